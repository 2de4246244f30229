"""The tagging evaluator: token accuracy and span F1 over sentences."""

from __future__ import annotations

import numpy as np
import pytest

from plait.data.tasks import Labels, Tags
from plait.evaluation import Embedded, SequenceTagger, spans
from plait.evaluation.ridge import Penalty
from plait.evaluation.tagging import Tagging
from plait.types import DataError

TAGS = ("O", "B-PER", "I-PER")


def task(noise: float = 0.4, sentences: int = 90) -> tuple[Embedded, Tags, Tags]:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, sentences)
    numbers = [rng.integers(0, 3, length) for length in lengths]
    words = np.eye(3)[np.concatenate(numbers)] + noise * rng.normal(size=(int(lengths.sum()), 3))
    units = np.concatenate([[0], np.cumsum(lengths)])
    order = rng.permutation(sentences)
    tags = [tuple(TAGS[number] for number in found) for found in numbers]
    parts = [Tags(rows, tuple(tags[row] for row in rows)) for rows in (order[:60], order[60:])]
    return Embedded(words.astype(np.float32), units=units), parts[0], parts[1]


@pytest.mark.parametrize("head", ["ridge", "linear", "crf", SequenceTagger("lstm", hidden=16, lr=0.01)])
def test_every_head_finds_tags_that_show(head: str | SequenceTagger) -> None:
    vectors, fit, on = task(noise=0.2)
    assert Tagging(head).evaluate(vectors, fit, on).value > 0.93


def test_counts_are_those_of_tokens_and_spans() -> None:
    vectors, fit, on = task(noise=0.6)
    tokens = Tagging("ridge").evaluate(vectors, fit, on)
    assert tokens.examples[1].tolist() == [len(tags) for tags in on.tags]
    found = Tagging("ridge", "span-f1").evaluate(vectors, fit, on)
    assert len(found) == len(on)
    right, both = (values.sum() for values in found.examples)
    assert found.value == pytest.approx(right / both)
    assert both >= sum(len(spans(tags)) for tags in on.tags)
    assert 0 < found.value < 1


def test_right_tags_give_a_full_score() -> None:
    vectors, fit, on = task(noise=0.0)
    assert Tagging("ridge", "span-f1").evaluate(vectors, fit, on).value == 1
    assert Tagging("ridge").evaluate(vectors, fit, on).value == 1


@pytest.mark.parametrize("weights", [[1.0, 1.0], [0.3, 2.0]])
def test_the_ridge_of_a_concatenation_needs_no_concatenation(
    weights: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plait.evaluation.ridge.RIDGES", (Penalty(0.3),))  # additive scores share one penalty
    monkeypatch.setattr("plait.evaluation.ridge.DISCRIMINANTS", ())
    vectors, fit, on = task(noise=0.6)
    rng = np.random.default_rng(1)
    other = Embedded(rng.normal(size=(len(vectors.documents), 5)).astype(np.float32), units=vectors.units)
    expected = Tagging().evaluate(Embedded.concat([vectors, other], weights), fit, on)
    found = Tagging().additive([vectors, other], fit, on)(np.array(weights))
    assert found.examples[0].tolist() == expected.examples[0].tolist()


def test_many_words_are_sampled_by_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, fit, on = task(noise=0.2)
    monkeypatch.setattr("plait.evaluation.tagging.WORDS", 100)
    assert Tagging().evaluate(vectors, fit, on).value > 0.9


def test_a_tag_that_the_fit_part_lacks_is_an_error() -> None:
    vectors, fit, on = task(noise=0.0)
    other = Tags(on.rows, (("new",) * len(on.tags[0]), *on.tags[1:]))
    score = Tagging().evaluate(vectors, fit, other)
    assert score.examples[0][0] == 0
    assert score.examples[0][1:].tolist() == score.examples[1][1:].tolist()


def test_what_does_not_fit_is_refused() -> None:
    vectors, fit, on = task()
    with pytest.raises(DataError, match="give the part to fit on"):
        Tagging().evaluate(vectors, None, on)
    with pytest.raises(DataError, match="one vector a word"):
        Tagging().evaluate(Embedded(vectors.documents), fit, on)
    with pytest.raises(DataError, match="got Labels of 1"):
        Tagging().evaluate(vectors, fit, Labels(np.array([0]), ("a",)))
    longer = Tags(on.rows, ((*on.tags[0], "O"), *on.tags[1:]))
    with pytest.raises(DataError, match=rf"sentence 0 has {len(on.tags[0])} word vectors and"):
        Tagging().evaluate(vectors, fit, longer)
