"""Points and ranks against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.evaluation import borda_count, rank_table
from plait.types import DataError

HAND = {
    "a": {"x": 3.0, "y": 1.0, "z": 5.0},
    "b": {"x": 2.0, "y": 1.0, "z": None},
    "c": {"x": 1.0, "y": 0.0, "z": 5.0},
}


def test_points_by_hand() -> None:
    # x: a 2, b 1, c 0; y: a and b share ranks 1 and 2: 1.5 each, c 0; z: a and c share: 1.5 each, b nothing
    assert borda_count(HAND) == {"a": 5.0, "b": 2.5, "c": 1.5}


@given(
    rows=st.lists(st.lists(st.integers(0, 4), min_size=5, max_size=5), min_size=2, max_size=6),
    scale=st.integers(1, 1000),
)
def test_points_are_wins_and_half_ties(rows: list[list[int]], scale: int) -> None:
    scores = {str(n): {str(t): float(v) for t, v in enumerate(row)} for n, row in enumerate(rows)}
    expected = [
        sum(
            (a > b) + (a == b) / 2
            for other, mine in enumerate(rows)
            if other != n
            for a, b in zip(row, mine, strict=True)
        )
        for n, row in enumerate(rows)
    ]
    assert list(borda_count(scores).values()) == pytest.approx(expected)
    stretched = {n: {t: v * scale if t == "0" else v for t, v in row.items()} for n, row in scores.items()}
    assert borda_count(stretched) == borda_count(scores)


def test_ranks_and_means() -> None:
    table = {row.model: row for row in rank_table(HAND, {"x": "one", "y": "two", "z": "two"})}
    assert {name: row.rank for name, row in table.items()} == {"a": 1, "b": 2, "c": 3}
    assert table["a"].mean == 3
    assert table["a"].group_mean == pytest.approx((3 + (1 + 5) / 2) / 2)
    assert (table["b"].mean, table["b"].tasks) == (1.5, 2)
    assert [row.model for row in rank_table(HAND)] == ["a", "b", "c"]


def test_equal_points_share_the_better_rank() -> None:
    scores = {name: {"x": value} for name, value in (("a", 1.0), ("b", 2.0), ("c", 2.0), ("d", 0.0))}
    assert {row.model: row.rank for row in rank_table(scores)} == {"b": 1, "c": 1, "a": 3, "d": 4}


def test_a_model_without_a_score_is_refused() -> None:
    with pytest.raises(DataError, match="b has no score"):
        rank_table({"a": {"x": 1.0}, "b": {"x": None}})


def test_zero_is_a_score() -> None:
    assert borda_count({"a": {"x": 0.0}, "b": {"x": -1.0}}) == {"a": 1.0, "b": 0.0}
    assert np.isfinite(rank_table({"a": {"x": 0.0}})[0].mean)
