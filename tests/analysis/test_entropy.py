from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy as shannon

from plait.analysis import curvature, matrix_entropy, prompt_entropy
from plait.types import DataError


def singular_entropy(Z: np.ndarray) -> float:
    """Shannon entropy of the squared singular values of the rows at length 1."""
    unit = Z / np.linalg.norm(Z, axis=1, keepdims=True)
    return float(shannon(np.linalg.svd(unit, compute_uv=False) ** 2))


@given(st.integers(2, 12), st.integers(2, 12), st.integers(0, 500))
def test_entropy_is_that_of_the_squared_singular_values(rows: int, dims: int, seed: int) -> None:
    Z = np.random.default_rng(seed).normal(size=(rows, dims)) + 0.3
    expected = singular_entropy(Z)
    assert matrix_entropy(Z, normalization="none") == pytest.approx(expected, abs=1e-9)
    assert matrix_entropy(Z) == pytest.approx(expected / np.log(min(rows, dims)), abs=1e-9)
    assert matrix_entropy(Z, normalization="rows") == pytest.approx(expected / np.log(rows), abs=1e-9)
    assert matrix_entropy(Z, normalization="dims") == pytest.approx(expected / np.log(dims), abs=1e-9)


def test_collision_entropy_needs_no_spectrum() -> None:
    unit = np.random.default_rng(0).normal(size=(9, 4))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    expected = -np.log(np.square(unit @ unit.T / 9).sum())
    assert matrix_entropy(5 * unit, alpha=2, normalization="none") == pytest.approx(expected)


def test_orthonormal_rows_give_log_n_and_equal_ones_0() -> None:
    Z = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 7)))[0].T
    assert matrix_entropy(Z, normalization="none") == pytest.approx(np.log(7))
    assert matrix_entropy(np.tile(Z[0], (5, 1)), normalization="none") == pytest.approx(0, abs=1e-9)
    assert matrix_entropy(Z[:1]) == 0


def test_a_row_of_zeros_takes_no_part() -> None:
    Z = np.random.default_rng(0).normal(size=(4, 9))
    whole = matrix_entropy(np.vstack([Z, np.zeros(9)]), normalization="none")
    assert whole == pytest.approx(matrix_entropy(Z, normalization="none"))
    assert matrix_entropy(np.zeros((3, 2))) == 0


def test_prompt_entropy_is_the_mean_over_texts_of_two_tokens() -> None:
    Z = np.random.default_rng(0).normal(size=(9, 5))
    expected = (singular_entropy(Z[:4]) / np.log(4) + singular_entropy(Z[5:]) / np.log(4)) / 2
    assert prompt_entropy(Z, [0, 4, 5, 9]) == pytest.approx(expected)
    assert prompt_entropy(Z) == pytest.approx(singular_entropy(Z) / np.log(9))


@pytest.mark.parametrize("bad", [np.ones(3), np.ones((0, 3)), np.array([[np.nan, 1.0]])])
def test_what_has_no_entropy(bad: np.ndarray) -> None:
    with pytest.raises(DataError):
        matrix_entropy(bad)


def test_options_that_are_not_there() -> None:
    with pytest.raises(DataError, match="max, rows, dims, none"):
        matrix_entropy(np.eye(2), normalization="log")
    with pytest.raises(DataError, match="above 0"):
        matrix_entropy(np.eye(2), alpha=0)
    with pytest.raises(DataError, match="two tokens"):
        prompt_entropy(np.eye(2), [0, 1, 2])
    with pytest.raises(DataError, match="differences, states"):
        curvature(np.eye(3), mode="angle")


@given(st.floats(0.05, 3.0), st.integers(3, 20))
def test_a_circle_turns_by_the_same_angle_everywhere(angle: float, count: int) -> None:
    turns = angle * np.arange(count)
    circle = np.column_stack([np.cos(turns), np.sin(turns), np.zeros(count)])
    assert curvature(circle) == pytest.approx(angle, abs=1e-3)
    assert curvature(circle + 5) == pytest.approx(angle, abs=1e-3)
    assert curvature(circle, mode="states") == pytest.approx(angle, abs=1e-3)


def test_a_straight_line_has_no_curvature_and_a_way_back_has_pi() -> None:
    line = np.outer(np.array([0, 1, 3, 3, 7]), [1.0, 2.0])
    assert curvature(line) == pytest.approx(0, abs=1e-3)
    assert curvature([[0.0], [1.0], [0.0]]) == pytest.approx(np.pi, abs=1e-3)
    assert curvature([[0.0], [1.0]]) == 0
