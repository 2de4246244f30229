"""The front, against the definition."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.selection.pareto import front

ROWS = st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=25)


@given(rows=ROWS)
@settings(max_examples=200, deadline=None)
def test_the_front_is_what_nothing_beats(rows: list[tuple[int, int, int]]) -> None:
    def beats(a: tuple[int, int, int], b: tuple[int, int, int]) -> bool:
        as_good = a[0] >= b[0] and a[1] <= b[1] and a[2] <= b[2]
        return as_good and a != b

    columns = np.array(rows, float).reshape(-1, 3).T
    expected = [not any(beats(other, row) for other in rows) for row in rows]
    assert front(*columns).tolist() == expected


def test_equals_stand_side_by_side() -> None:
    assert front(np.array([1.0, 1.0]), np.array([2.0, 2.0])).tolist() == [True, True]


def test_without_costs_only_the_best_is_left() -> None:
    assert front(np.array([0.2, 0.9, 0.5])).tolist() == [False, True, False]
