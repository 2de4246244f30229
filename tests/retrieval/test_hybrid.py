"""The three scores of one pass, each beside its formula, and their sum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plait import ClsPool, MeanPool, Transformer
from plait.retrieval import HybridScorer, LexicalWeights, fuse, rescore, tune_weights
from plait.retrieval.hybrid import represent
from plait.retrieval.rank_fusion import NOTHING
from plait.retrieval.rescoring import Scorer
from plait.step import unit_rows
from plait.store import Hit
from plait.types import DataError, RecipeError
from tests.retrieval.test_sparse import ANSWERS, QUERIES
from tests.tiny import SENTENCES

QUERY = "rain in the north"


@pytest.fixture(scope="module")
def scorer(tiny_bert: Path) -> HybridScorer:
    lexical = LexicalWeights(Transformer(str(tiny_bert)), epochs=2, batch_size=2).fit(QUERIES, ANSWERS)
    return HybridScorer(lexical, (1.0, 0.3, 0.5))


def by_formula(folder: Path, scorer: HybridScorer, query: str, text: str) -> tuple[float, float, float]:
    """The three scores from the host's own library, one text at a time."""
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder)
    sides = []
    for given in (query, text):
        tokens = tokenizer(given, return_tensors="pt")
        with torch.no_grad():
            states = model(**tokens).last_hidden_state[0].numpy()
        dense = states.mean(axis=0)
        sides.append((dense / np.linalg.norm(dense), [s / np.linalg.norm(s) for s in states[1:-1]]))
    (one, asked), (two, told) = sides
    multi = np.mean([max(float(a @ b) for b in told) for a in asked]) if asked and told else 0.0
    vectors = scorer.lexical.transform([query, text]).toarray()
    return float(one @ two), float(sum(a * b for a, b in zip(*vectors, strict=True))), float(multi)


def test_the_score_is_the_weighted_sum_of_three(tiny_bert: Path, scorer: HybridScorer) -> None:
    expected = np.array([by_formula(tiny_bert, scorer, QUERY, text) for text in SENTENCES])
    np.testing.assert_allclose(scorer.scores(QUERY, SENTENCES), expected @ [1, 0.3, 0.5], atol=2e-3)
    three = scorer.rankings(scorer.encode([QUERY], "query"), scorer.encode(SENTENCES), np.arange(len(SENTENCES))[None])
    for ranking, column in zip(three, expected.T, strict=True):
        numbers, scores = ranking.line(0)
        np.testing.assert_allclose(scores, column[numbers], atol=2e-3)
        assert (np.diff(scores) <= 0).all()


def test_a_text_matches_itself_token_by_token(scorer: HybridScorer) -> None:
    texts = [text for text in SENTENCES if text]
    seen = scorer.encode(texts)
    own = scorer.rankings(seen, seen, np.arange(len(texts))[:, None]).multi
    np.testing.assert_allclose(own.scores, 1, atol=1e-3)


def test_what_else_stands_in_a_batch_changes_no_score(scorer: HybridScorer) -> None:
    together = scorer.scores(QUERY, SENTENCES)
    alone = [scorer.scores(QUERY, [text])[0] for text in SENTENCES]
    np.testing.assert_allclose(together, alone, atol=2e-3)
    assert scorer.scores(QUERY, []).shape == (0,)


def test_it_looks_at_what_a_search_found_as_any_scorer_does(scorer: HybridScorer) -> None:
    hits = [Hit(str(n), text, 1.0) for n, text in enumerate(SENTENCES)]
    some: Scorer = scorer
    best = rescore(QUERY, hits, some, k=3)
    assert [hit.id for hit in best] == [str(n) for n in np.argsort(-scorer.scores(QUERY, SENTENCES))[:3]]


def test_an_empty_query_or_text_has_no_words_and_no_tokens(scorer: HybridScorer) -> None:
    seen = scorer.encode(["", "the dog"])
    for query in range(2):
        three = scorer.rankings(seen, seen, np.array([[0, 1], [0, 1]]))
        for ranking in three[1:]:
            scores = dict(zip(*(a.tolist() for a in ranking.line(query)), strict=True))
            assert scores[0] == 0
            assert (scores[1] > 0) == (query == 1)


def test_lists_of_candidates_may_differ_in_length(scorer: HybridScorer) -> None:
    queries, documents = scorer.encode(QUERIES[:3], "query"), scorer.encode(SENTENCES)
    candidates = np.array([[3, 1, NOTHING], [0, NOTHING, NOTHING], [NOTHING] * 3])
    for ranking in scorer.rankings(queries, documents, candidates):
        assert [sorted(ranking.line(row)[0].tolist()) for row in range(3)] == [[1, 3], [0], []]
    with pytest.raises(DataError, match="one line a query"):
        scorer.rankings(queries, documents, candidates[:2])


def test_weights_are_chosen_with_what_there_is(scorer: HybridScorer) -> None:
    queries, documents = scorer.encode(QUERIES, "query"), scorer.encode(ANSWERS)
    three = scorer.rankings(queries, documents, np.tile(np.arange(len(ANSWERS)), (len(QUERIES), 1)))
    relevant = [{number: 1} for number in range(len(QUERIES))]
    tuned = tune_weights(three, relevant, len(ANSWERS), "nDCG@3", norm="none", steps=4)
    assert tuned.score == max(tuned.tried.values())
    assert tuned.score >= tuned.tried[0.0, 1.0, 0.0]
    total = fuse(three, (1.0, 0.3, 0.5), norm="none", k=len(ANSWERS))
    for row, query in enumerate(QUERIES):
        numbers, scores = total.line(row)
        np.testing.assert_allclose(scores, scorer.scores(query, ANSWERS)[numbers], atol=2e-3)


@pytest.mark.parametrize("pool", [MeanPool(), ClsPool()])
def test_the_dense_vector_is_the_recipes(tiny_bert: Path, scorer: HybridScorer, pool: MeanPool | ClsPool) -> None:
    expected = unit_rows((Transformer(str(tiny_bert)) | pool).encode(SENTENCES).values)
    found = HybridScorer(scorer.lexical, dense_pool=pool).encode(SENTENCES).dense
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_several_heads_share_a_pass(tiny_bert: Path, scorer: HybridScorer, monkeypatch: pytest.MonkeyPatch) -> None:
    other = LexicalWeights(Transformer(str(tiny_bert)), epochs=0, random_state=1).fit(QUERIES, ANSWERS)
    states, calls = Transformer.states, []
    monkeypatch.setattr(Transformer, "states", lambda self, *given: calls.append(1) or states(self, *given))
    one, two = represent(scorer.lexical.encoder, SENTENCES, "document", [scorer.lexical, other])
    passes = len(calls)
    alone = scorer.encode(SENTENCES)
    assert len(calls) == 2 * passes
    assert one.tokens is two.tokens
    np.testing.assert_array_equal(one.sparse.toarray(), alone.sparse.toarray())
    np.testing.assert_array_equal(two.sparse.toarray(), other.transform(SENTENCES).toarray())


@pytest.mark.parametrize("weights", [(1.0, 1.0), (1.0, -1.0, 1.0), (1.0, float("nan"), 1.0)])
def test_weights_that_are_none(scorer: HybridScorer, weights: tuple[float, float, float]) -> None:
    with pytest.raises(RecipeError, match="three of 0 or more"):
        HybridScorer(scorer.lexical, weights)
