import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.covariance import ledoit_wolf_shrinkage

from plait.rows import BLOCK
from plait.transforms.moments import Moments, axes_of


def sample(rows: int, width: int, offset: float = 0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, width)) @ rng.normal(size=(width, width)) + offset * rng.normal(size=width)


@given(st.integers(1, 40), st.integers(1, 6), st.floats(-100, 100), st.lists(st.integers(0, 40), max_size=4))
def test_sums_equal_the_definition_however_the_rows_are_cut(
    rows: int, width: int, offset: float, cuts: list[int]
) -> None:
    X = sample(rows, width, offset)
    moments = Moments(width)
    for part in np.split(X, sorted(min(c, rows) for c in cuts)):
        moments.add(part)
    np.testing.assert_allclose(moments.mean, X.mean(axis=0), atol=1e-9)
    expected = np.cov(X.T).reshape(width, width) if rows > 1 else np.zeros((width, width))
    np.testing.assert_allclose(moments.covariance, expected, atol=1e-8 * (1 + abs(offset)))


@pytest.mark.parametrize("offset", [0, 1, 300])
@pytest.mark.parametrize("shape", [(10, 30), (300, 8), (2, 5)])
def test_ledoit_wolf_equals_scikit_learn(shape: tuple[int, int], offset: float) -> None:
    X = sample(*shape, offset)
    moments = Moments(shape[1])
    for part in np.array_split(X, 4):
        moments.add(part)
    assert moments.ledoit_wolf() == pytest.approx(ledoit_wolf_shrinkage(X), abs=1e-7)


def test_ledoit_wolf_of_one_row_is_no_number_out_of_range() -> None:
    assert Moments(3).add(np.ones((1, 3))).ledoit_wolf() == 0


def test_more_rows_than_a_block() -> None:
    X = sample(2 * BLOCK + 5, 3, 10).astype(np.float32)
    np.testing.assert_allclose(Moments(3).add(X).covariance, np.cov(X.T.astype(np.float64)), rtol=1e-9)


def test_axes_are_sorted_and_have_one_sign() -> None:
    covariance = np.cov(sample(50, 6).T)
    values, axes = axes_of(covariance)
    np.testing.assert_allclose(axes @ np.diag(values) @ axes.T, covariance, atol=1e-10)
    assert (np.diff(values) <= 0).all()
    assert (axes[np.abs(axes).argmax(axis=0), np.arange(6)] > 0).all()
    top_values, top = axes_of(covariance, 2)
    np.testing.assert_allclose(top_values, values[:2])
    np.testing.assert_allclose(top, axes[:, :2], atol=1e-8)
