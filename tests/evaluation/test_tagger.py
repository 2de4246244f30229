"""The trainable tagger: it learns, it stops, and padding never shows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone

from plait.evaluation import SequenceTagger
from plait.evaluation.tagger import named
from plait.types import DataError

Sentences = list[np.ndarray]
KINDS = [{}, {"crf": True}, {"rnn": "lstm"}, {"rnn": "lstm", "crf": True}]


def sentences(seed: int, number: int = 80) -> tuple[Sentences, list[list[str]]]:
    """Words whose tag shows in their vector."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(rng.integers(1, 9), 6)).astype(np.float32) for _ in range(number)]
    return X, [[f"T{int(word[:3].argmax())}" for word in sentence] for sentence in X]


def tagger(**options: object) -> SequenceTagger:
    return SequenceTagger(**({"hidden": 12, "epochs": 15, "lr": 0.02, "dropout": 0.0} | options))  # type: ignore[arg-type]


@pytest.mark.parametrize("options", KINDS)
def test_every_kind_learns_and_pads_without_a_trace(options: dict[str, object]) -> None:
    model = tagger(**options).fit(*sentences(0))
    X, y = sentences(1, 40)
    assert model.score(X, y) > 0.85
    together = model.predict(X)
    assert together == [model.predict([sentence])[0] for sentence in X]
    assert [len(tags) for tags in together] == [len(sentence) for sentence in X]


@pytest.mark.parametrize("options", KINDS)
def test_emissions_do_not_depend_on_the_batch(options: dict[str, object]) -> None:
    X, y = sentences(0)
    network = tagger(**(options | {"epochs": 1})).fit(X, y).network_.eval()
    short, long = torch.randn(3, 6), torch.randn(9, 6)
    batch = torch.nn.utils.rnn.pad_sequence([short, long], batch_first=True)
    with torch.no_grad():
        alone = network(short[None], torch.tensor([3]))[0]
        padded = network(batch, torch.tensor([3, 9]))[0, :3]
    assert padded.numpy() == pytest.approx(alone.numpy(), abs=1e-5)


def test_a_crf_learns_what_only_neighbours_tell() -> None:
    rng = np.random.default_rng(0)
    y = [["AB"[(start + place) % 2] for place in range(6)] for start in rng.integers(0, 2, 150)]
    X = []
    for tags in y:
        words = rng.normal(size=(6, 4)).astype(np.float32)
        words[:, 0] = [4 if tags[0] == "A" else -4, 0, 0, 0, 0, 0]  # only the first word shows its tag
        X.append(words)
    scores = [tagger(crf=crf, rnn=None).fit(X[:100], y[:100]).score(X[100:], y[100:]) for crf in (True, False)]
    assert scores[0] > 0.95
    assert scores[1] < 0.8


def test_flat_rows_with_offsets_are_the_same_as_a_list() -> None:
    X, y = sentences(0)
    flat = np.concatenate(X), np.concatenate([[0], np.cumsum([len(sentence) for sentence in X])])
    assert tagger().fit(flat, y).predict(X) == tagger().fit(X, y).predict(flat)


def test_a_seed_repeats_the_training_and_leaves_the_world_alone() -> None:
    X, y = sentences(0)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second, other = (tagger(random_state=seed, epochs=2).fit(X, y) for seed in (0, 0, 1))
    assert torch.rand(1) == expected
    weights = [model.network_.output.weight for model in (first, second, other)]
    assert weights[0].equal(weights[1])
    assert not weights[0].equal(weights[2])


def test_training_stops_early_and_keeps_the_best_epoch() -> None:
    X, y = sentences(0)
    model = tagger(epochs=200, patience=2).fit(X, y, dev=sentences(1))
    assert model.epochs_ < 100
    assert model.score(*sentences(1)) > 0.85


def test_empty_sentences_get_no_tags() -> None:
    X, y = sentences(0)
    nothing = np.zeros((0, 6), np.float32)
    model = tagger(rnn="lstm", crf=True, epochs=2).fit([nothing, *X], [[], *y])
    assert model.predict([nothing, X[0], nothing])[::2] == [(), ()]
    assert model.predict([nothing]) == [()]


def test_a_tag_that_is_new_in_dev_is_an_error_not_a_crash() -> None:
    X, y = sentences(0)
    model = tagger(epochs=2).fit(X, y, dev=(X[:2], [["new"] * len(tags) for tags in y[:2]]))
    assert model.score(X[:1], [["new"] * len(y[0])]) == 0


def test_weights_of_blocks_survive_the_scaling() -> None:
    X, y = sentences(0)
    model = tagger(epochs=1).fit([sentence * [1, 1, 1, 9, 9, 9] for sentence in X], y)
    scaled = (np.concatenate(X) * [1, 1, 1, 9, 9, 9] - model.mean_) / model.scale_
    spread = scaled.std(axis=0)
    assert spread[3:].mean() / spread[:3].mean() == pytest.approx(9, rel=0.1)


def test_names_stand_for_taggers() -> None:
    assert [(named(head).rnn, named(head).crf) for head in ("linear", "crf", "lstm-crf")] == [
        (None, False),
        (None, True),
        ("lstm", True),
    ]


def test_parameters_are_those_of_scikit_learn() -> None:
    assert clone(tagger(crf=True)).get_params()["crf"] is True


def test_what_does_not_fit_is_refused() -> None:
    X, y = sentences(0, 3)
    with pytest.raises(DataError, match="rnn is 'gru'"):
        tagger(rnn="gru").fit(X, y)
    with pytest.raises(DataError, match="no sentences"):
        tagger().fit([], [])
    with pytest.raises(DataError, match="no tagged words"):
        tagger().fit([X[0][:0]], [[]])
    with pytest.raises(DataError, match="do not match 2 sentences"):
        tagger().fit(X, y[:2])
    with pytest.raises(DataError, match="not fitted"):
        tagger().predict(X)
