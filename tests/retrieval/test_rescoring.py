"""A cross-encoder and late interaction beside what the peer and the formula give."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from plait import Layer, MeanPool, StaticTable, Transformer
from plait.retrieval import CrossEncoder, LateInteraction, TokenEncoder, max_similarity, rescore
from plait.retrieval.rescoring import scorer
from plait.store import Hit
from plait.types import ModelError, RecipeError
from tests.tiny import SENTENCES


@pytest.fixture(scope="module")
def pair_model(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    import transformers

    folder = tmp_path_factory.mktemp("pairs")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(tiny_bert, num_labels=1)
    model.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(folder)
    return folder


def test_a_cross_encoder_scores_as_its_library_does(pair_model: Path) -> None:
    from sentence_transformers import CrossEncoder as Peer

    expected = Peer(str(pair_model)).predict([("a query", text) for text in SENTENCES], show_progress_bar=False)
    found = CrossEncoder(str(pair_model)).scores("a query", SENTENCES)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    hits = [Hit(str(n), text, 1.0) for n, text in enumerate(SENTENCES)]
    best = rescore("a query", hits, CrossEncoder(str(pair_model)), k=3)
    assert [hit.id for hit in best] == [str(n) for n in np.argsort(-expected, kind="stable")[:3]]
    assert best[0].score == pytest.approx(float(expected.max()), abs=1e-6)
    assert rescore("a query", [], CrossEncoder("nowhere"), 3) == []


def test_a_cross_encoder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot load the cross-encoder"):
        CrossEncoder(str(tmp_path / "nowhere")).scores("a", ["b"])


def test_late_interaction_is_the_mean_of_the_best_matches(tiny_bert: Path) -> None:
    encoder = TokenEncoder(Transformer(str(tiny_bert)) | Layer(2))
    query, first, second = encoder.vectors(["rain in the north", *SENTENCES[:2]])
    by_hand = np.mean([max(float(a @ b) for b in first) for a in query])
    assert max_similarity(query, first) == pytest.approx(by_hand, abs=1e-6)
    assert max_similarity(query, query) == pytest.approx(1, abs=1e-5)
    found = LateInteraction(encoder).scores("rain in the north", SENTENCES[:2])
    np.testing.assert_allclose(found, [max_similarity(query, first), max_similarity(query, second)], atol=1e-6)


def test_what_else_stands_in_a_batch_changes_nothing(tiny_bert: Path) -> None:
    encoder = TokenEncoder(Transformer(str(tiny_bert)))
    together = encoder.vectors(SENTENCES)
    for text, vectors in zip(SENTENCES, together, strict=True):
        np.testing.assert_allclose(encoder.vectors([text])[0], vectors, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_recipes_that_pool_give_no_token_vectors(tiny_bert: Path) -> None:
    with pytest.raises(RecipeError, match="gives no token vectors"):
        TokenEncoder(Transformer(str(tiny_bert)) | MeanPool())


class Given:
    def __init__(self, *scores: float) -> None:
        self.given = scores

    def scores(self, query: str, texts: Sequence[str]) -> np.ndarray:
        return np.array(self.given, np.float32)


@pytest.mark.parametrize(("share", "order"), [(1.0, "cba"), (0.6, "bca"), (0.2, "abc")])
def test_the_second_look_weighs_its_share(share: float, order: str) -> None:
    hits = [Hit("a", "", 9.0), Hit("b", "", 8.0), Hit("c", "", 5.0)]  # 1, 0.75, 0 once brought to 0 … 1
    best = rescore("?", hits, Given(-1, 0, 1), 3, share)  # 0, 0.5, 1
    assert "".join(hit.id for hit in best) == order


def test_scorers_have_names(tiny_table: Path) -> None:
    own = StaticTable(str(tiny_table)) | MeanPool()
    assert isinstance(scorer("a/cross-encoder", own), CrossEncoder)
    texts = [f'StaticTable("{tiny_table}")', "tokens"]
    first, second = (scorer(text, own).scores("a fox", SENTENCES) for text in texts)
    np.testing.assert_array_equal(first, second)
    with pytest.raises(RecipeError, match="gives no token vectors"):
        scorer(f'StaticTable("{tiny_table}") | MeanPool()', own)
