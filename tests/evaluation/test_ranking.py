"""Rankings against a full sort, metrics against ir-measures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.evaluation.ranking import Grades, Measure, top_k
from plait.evaluation.retrieval import reported
from plait.types import DataError

NAMES = ["nDCG@10", "nDCG@3", "Recall@100", "Recall@5", "MRR@10", "MAP"]


def by_sorting(scores: np.ndarray, k: int) -> list[list[int]]:
    return [sorted(range(len(row)), key=lambda column: (-row[column], column))[:k] for row in scores.tolist()]


@given(
    queries=st.integers(1, 4),
    size=st.integers(1, 300),
    k=st.integers(1, 20),
    levels=st.sampled_from([1, 2, 5, 1000]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=150, deadline=None)
def test_the_top_is_that_of_a_full_sort_with_lower_numbers_first(
    queries: int, size: int, k: int, levels: int, seed: int
) -> None:
    scores = np.random.default_rng(seed).integers(0, levels, (queries, size)).astype(np.float32) / 8 - 1
    assert top_k(scores, k).tolist() == by_sorting(scores, k)


def test_nothing_to_rank_gives_nothing() -> None:
    assert top_k(np.zeros((2, 0), np.float32), 5).shape == (2, 0)


@pytest.mark.parametrize("name", NAMES)
@given(
    size=st.integers(1, 40),
    relevant=st.lists(st.dictionaries(st.integers(0, 39), st.integers(1, 3), max_size=12), min_size=1, max_size=6),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=40, deadline=None)
def test_every_metric_equals_ir_measures(name: str, size: int, relevant: list[dict[int, int]], seed: int) -> None:
    rng, measure = np.random.default_rng(seed), Measure.parse(name)
    judged = [{number: grade for number, grade in found.items() if number < size} for found in relevant]
    ranking = top_k(rng.random((len(judged), size)).astype(np.float32), measure.depth)
    ours = Grades(judged, size).measure(ranking, measure)
    assert ours == pytest.approx(reported(ranking, judged, measure), abs=1e-9)


def test_ndcg_by_hand() -> None:
    ranking = np.array([[4, 0, 2]])
    gain = 1 / np.log2(3) + 3 / np.log2(4)
    ideal = 3 / np.log2(2) + 1 / np.log2(3)
    found = Grades([{0: 1, 2: 3}], 5).measure(ranking, Measure.parse("nDCG@10"))
    assert found.tolist() == pytest.approx([gain / ideal])


def test_a_metric_without_depth_is_refused() -> None:
    with pytest.raises(DataError, match=r"e\.g\. nDCG@10"):
        Measure.parse("nDCG")
