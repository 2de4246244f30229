"""The retrieval evaluator: shared rows, ties, weighted sums, codes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from plait.compression import Binary, Int8
from plait.data.tasks import Judgements, Labels
from plait.evaluation import Embedded
from plait.evaluation.retrieval import Retrieval
from plait.step import unit_rows
from plait.types import Codes, DataError
from tests.evaluation.makers import embedded


def judgements(queries: int, documents: int, seed: int = 0) -> Judgements:
    rng = np.random.default_rng(seed)
    found = [rng.choice(documents, rng.integers(1, 5), replace=False).tolist() for _ in range(queries)]
    relevant = tuple({number: int(rng.integers(1, 4)) for number in numbers} for numbers in found)
    return Judgements(rng.permutation(queries), relevant)


@pytest.mark.parametrize("metric", ["nDCG@10", "Recall@20", "MRR@5", "MAP"])
@pytest.mark.parametrize("zeros", [0, 7])
@pytest.mark.parametrize("shared", [False, True])
def test_weighted_sums_score_as_the_concatenation_does(metric: str, zeros: int, shared: bool) -> None:
    corpus = np.random.default_rng(5).integers(0, 120, 150) if shared else None
    on, evaluator = judgements(30, 150 if shared else 120), Retrieval(corpus, metric)
    blocks = [embedded(seed, 120, 6 + seed, 30, zeros) for seed in range(3)]
    score = evaluator.additive(blocks, None, on)
    for weights in ([1, 1, 1], [0.5, 0, 2], [0, 3, 0]):
        expected = evaluator.evaluate(Embedded.concat(blocks, weights), None, on)
        found = score(np.array(weights, float))
        assert found.metric == expected.metric
        assert found.examples[0] == pytest.approx(expected.examples[0], abs=1e-9)


def test_a_cache_that_would_be_too_large_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    on, evaluator = judgements(20, 60), Retrieval(None)
    blocks = [embedded(seed, 60, 8, 20) for seed in range(2)]
    cached = evaluator.additive(blocks, None, on)(np.array([1.0, 2.0]))
    monkeypatch.setattr("plait.evaluation.retrieval.CACHE_BYTES", 10)
    assert evaluator.additive(blocks, None, on)(np.array([1.0, 2.0])).value == pytest.approx(cached.value)


def test_query_blocks_do_not_change_the_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    on, block, evaluator = judgements(20, 60), embedded(0, 60, 8, 20), Retrieval(None)
    whole = evaluator.evaluate(block, None, on)
    monkeypatch.setattr("plait.evaluation.retrieval.BLOCK", 130)
    assert evaluator.evaluate(block, None, on).examples[0].tolist() == whole.examples[0].tolist()


def test_equal_texts_are_ranked_by_their_number() -> None:
    vectors = Embedded(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)[:1])
    corpus = np.array([1, 0, 0, 2])
    for number, expected in ((1, 1.0), (2, 0.5)):
        on = Judgements(np.array([0]), ({number: 1},))
        assert Retrieval(corpus, "MRR@10").evaluate(vectors, None, on).value == expected


def test_a_query_may_be_asked_twice() -> None:
    vectors = Embedded(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32))
    on = Judgements(np.array([1, 1]), ({1: 1}, {2: 1}))
    assert Retrieval(None, "MRR@10").evaluate(vectors, None, on).examples[0].tolist() == [1.0, pytest.approx(1 / 3)]


@pytest.mark.parametrize("quantiser", [Int8(), Binary()])
def test_codes_are_searched_in_place_of_the_vectors(quantiser: Int8 | Binary) -> None:
    rng = np.random.default_rng(0)
    documents = rng.normal(size=(80, 64)).astype(np.float32)
    block = Embedded(documents, documents[:30] + 0.3 * rng.normal(size=(30, 64)).astype(np.float32))
    corpus = np.arange(80)[::-1].copy()
    on = Judgements(np.arange(30), tuple({79 - number: 1} for number in range(30)))
    codes = Codes(quantiser.fit(documents).transform(documents), quantiser)
    exact = Retrieval(corpus).evaluate(block, None, on)
    coded = Retrieval(corpus).evaluate(block, None, on, codes)
    assert coded.value > 0.95 * exact.value
    nothing = Embedded(np.zeros_like(documents), block.queries)
    assert Retrieval(corpus).evaluate(nothing, None, on, codes).value == coded.value


def test_what_is_missing_is_said() -> None:
    with pytest.raises(DataError, match="vectors of the queries"):
        Retrieval(None).evaluate(embedded(0, 5, 3), None, judgements(2, 5))
    with pytest.raises(DataError, match="judged queries; got Labels of 1"):
        Retrieval(None).evaluate(embedded(0, 5, 3, 2), None, Labels(np.array([0]), ("a",)))
    with pytest.raises(DataError, match="expected 1 numbers"):
        Retrieval(None).additive([embedded(0, 5, 3, 2)], None, judgements(2, 5))(np.zeros(1))


@pytest.mark.parametrize("shared", [False, True])
def test_documents_in_chunks_score_as_their_best_chunk(shared: bool) -> None:
    rng = np.random.default_rng(3)
    units = np.concatenate([[0], np.cumsum(rng.integers(1, 5, 40))])
    corpus = rng.integers(0, 40, 50) if shared else None
    on, evaluator = judgements(20, 50 if shared else 40), Retrieval(corpus, "MRR@5")
    blocks = [embedded(seed, int(units[-1]), 6 + seed, 20) for seed in range(2)]
    blocks = [Embedded(block.documents, block.queries, units) for block in blocks]
    both = Embedded.concat(blocks, [1, 2])
    assert both.queries is not None
    similar = unit_rows(both.queries[on.queries]) @ unit_rows(both.documents).T
    best = np.array([[row[a:b].max() for a, b in pairwise(units.tolist())] for row in similar])
    best = best if corpus is None else best[:, corpus]
    order = np.argsort(-best, axis=1, kind="stable")[:, :5]
    ranks = [
        [1 / (n + 1) for n, d in enumerate(row) if d in found] for row, found in zip(order, on.relevant, strict=True)
    ]
    expected = [max(values, default=0.0) for values in ranks]
    assert evaluator.evaluate(both, None, on).examples[0] == pytest.approx(expected)
    assert evaluator.additive(blocks, None, on)(np.array([1.0, 2.0])).examples[0] == pytest.approx(expected)
    int8 = Int8().fit(both.documents)
    codes = Codes(int8.transform(both.documents), int8, units)
    dots = both.queries[on.queries] @ int8.inverse_transform(codes.values).T
    best = np.array([[row[a:b].max() for a, b in pairwise(units.tolist())] for row in dots])
    first = (best if corpus is None else best[:, corpus]).argmax(axis=1)
    found = Retrieval(corpus, "MRR@1").evaluate(both, None, on, codes).examples[0]
    assert found.tolist() == [float(number in relevant) for number, relevant in zip(first, on.relevant, strict=True)]
