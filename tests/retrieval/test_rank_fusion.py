"""Fused rankings beside the formulas, written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.retrieval import Ranking, fuse, tune_weights
from plait.retrieval.rank_fusion import NOTHING
from plait.types import DataError, RecipeError

LINES = st.lists(st.dictionaries(st.integers(0, 12), st.floats(-5, 5, width=32), max_size=8), min_size=2, max_size=2)


def ranking(*lines: dict[int, float], k: int = 8) -> Ranking:
    pairs = [(np.array(list(line), np.int64), np.array(list(line.values()), np.float32)) for line in lines]
    return Ranking.of(pairs, k)


def by_hand(lines: list[dict[int, float]], weights: list[float], norm: str, k: int) -> list[tuple[int, float]]:
    total: dict[int, float] = {}
    for line, weight in zip(lines, weights, strict=True):
        if not weight:
            continue
        order = sorted(line, key=lambda n: (-np.float32(line[n]), n))
        low, high = (min(line.values()), max(line.values())) if line else (0.0, 0.0)
        for rank, number in enumerate(order, start=1):
            if norm == "rank":
                gain = 1 / (60 + rank)
            elif norm == "minmax":
                gain = (line[number] - low) / (high - low) if high > low else 1.0
            else:
                gain = line[number]
            total[number] = total.get(number, 0.0) + weight * gain
    return sorted(total.items(), key=lambda item: (-round(item[1], 4), item[0]))[:k]


@given(LINES, st.tuples(st.floats(0, 2), st.floats(0, 2)), st.sampled_from(["rank", "minmax", "none"]))
def test_scores_are_the_formulas(lines: list[dict[int, float]], weights: tuple[float, float], norm: str) -> None:
    found = fuse([ranking(line) for line in lines], list(weights), norm, k=20)
    numbers, scores = found.line(0)
    expected = dict(by_hand(lines, list(weights), norm, 20))
    assert set(numbers.tolist()) == set(expected)
    for number, score in zip(numbers.tolist(), scores.tolist(), strict=True):
        assert score == pytest.approx(expected[number], abs=2e-5)
    assert (np.diff(scores) <= 0).all()


def test_a_document_in_one_ranking_alone_gets_nothing_from_the_other() -> None:
    found = fuse([ranking({1: 1.0, 2: 0.0}), ranking({3: 9.0})], [1, 0.4], k=3)
    assert found.numbers.tolist() == [[1, 3, 2]]
    np.testing.assert_allclose(found.scores, [[1, 0.4, 0]])


def test_rankings_that_run_out_are_filled_up_with_nothing() -> None:
    found = fuse([ranking({5: 1.0}), ranking({})], k=3)
    assert found.numbers.tolist() == [[5, NOTHING, NOTHING]]
    assert found.line(0)[0].tolist() == [5]


@pytest.mark.parametrize(
    ("weights", "norm", "message"),
    [([1.0], "minmax", "give each ranking one"), ([1, -1], "minmax", "0 or more"), (None, "zmuv", "expected one of")],
)
def test_what_cannot_be_fused(weights: list[float] | None, norm: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        fuse([ranking({1: 1.0}), ranking({1: 1.0})], weights, norm)


def test_rankings_must_be_of_the_same_queries() -> None:
    with pytest.raises(DataError, match="same queries"):
        fuse([ranking({1: 1.0}), ranking({1: 1.0}, {2: 1.0})])


def test_weights_are_the_best_of_all_that_were_tried() -> None:
    rng = np.random.default_rng(0)

    def line() -> dict[int, float]:
        return dict(zip(rng.permutation(30)[:10].tolist(), rng.random(10).tolist(), strict=True))

    lines = [[line() for _ in range(20)] for _ in range(3)]
    relevant = [{int(rng.integers(30)): 1, int(rng.integers(30)): 2} for _ in range(20)]
    rankings = [ranking(*mine, k=10) for mine in lines]
    tuned = tune_weights(rankings, relevant, 30, steps=4)
    assert len(tuned.tried) == 15  # ways to share four quarters among three
    assert all(sum(weights) == pytest.approx(1) for weights in tuned.tried)
    assert tuned.score == max(tuned.tried.values()) == tuned.tried[tuned.weights]
    numbers = fuse(rankings, tuned.weights, k=10).numbers
    assert tuned.score == pytest.approx(
        np.mean([ndcg(line, gold) for line, gold in zip(numbers, relevant, strict=True)])
    )


def ndcg(numbers: np.ndarray, relevant: dict[int, int]) -> float:
    gains = [relevant.get(int(number), 0) / np.log2(place + 2) for place, number in enumerate(numbers)]
    ideal = [grade / np.log2(place + 2) for place, grade in enumerate(sorted(relevant.values(), reverse=True)[:10])]
    return float(sum(gains) / sum(ideal))
