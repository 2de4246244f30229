import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.transforms import ClipOutliers
from plait.types import RecipeError


def sample(outliers: dict[int, float], width: int = 64) -> np.ndarray:
    X = np.random.default_rng(0).normal(size=(200, width)).astype(np.float32)
    for dim, offset in outliers.items():
        X[:, dim] += offset
    return X


def test_finds_the_dimensions_by_the_rule() -> None:
    X = sample({5: 40, 17: -50})
    clip = ClipOutliers().fit(X)
    means = X.mean(axis=0)
    z = (means - means.mean()) / means.std()
    assert clip.dims_.tolist() == np.flatnonzero(np.abs(z) > 3).tolist() == [5, 17]
    out = clip.transform(X)
    assert not out[:, [5, 17]].any()
    rest = np.setdiff1d(np.arange(64), [5, 17])
    np.testing.assert_array_equal(out[:, rest], X[:, rest])
    assert X[0, 5] != 0


def test_at_most_so_many_the_farthest_first() -> None:
    X = sample({1: 30, 2: 60, 3: 45}, width=200)
    assert ClipOutliers(max_dims=2).fit(X).dims_.tolist() == [2, 3]
    assert ClipOutliers(max_dims=0).fit(X).dims_.tolist() == []


@given(st.permutations(range(64)))
def test_the_dimensions_move_with_the_columns(order: list[int]) -> None:
    X = sample({5: 40, 17: -50})
    moved = sorted([order.index(5), order.index(17)])
    assert ClipOutliers().fit(X[:, order]).dims_.tolist() == moved


def test_modes() -> None:
    X = sample({5: 40})
    mean = ClipOutliers(mode="mean").fit(X).transform(X)
    np.testing.assert_allclose(mean[:, 5], X[:, 5].mean(dtype=np.float64), rtol=1e-6)
    winsor = ClipOutliers(mode="winsor").fit(X)
    means = X.mean(axis=0, dtype=np.float64)
    limit = means.mean() + 3 * means.std()
    np.testing.assert_allclose(winsor.transform(X)[:, 5], np.minimum(X[:, 5], limit), rtol=1e-6)


def test_clipping_lowers_the_mean_cosine() -> None:
    X = sample({5: 40})

    def anisotropy(rows: np.ndarray) -> float:
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return float((unit @ unit.T).mean())

    assert anisotropy(X) > 0.9
    assert abs(anisotropy(ClipOutliers().fit(X).transform(X))) < 0.05
    assert anisotropy(ClipOutliers(dims=[6]).fit(X).transform(X)) > 0.9


def test_given_dimensions() -> None:
    assert ClipOutliers(dims=[9, 2, 9]).fit(sample({})).dims_.tolist() == [2, 9]
    assert ClipOutliers(dims=[]).fit(sample({})).dims_.tolist() == []
    with pytest.raises(RecipeError, match="0 to 63"):
        ClipOutliers(dims=[64]).fit(sample({}))


def test_flat_and_single_rows_have_no_outlier() -> None:
    assert ClipOutliers().fit(np.ones((1, 8))).dims_.tolist() == []
    assert ClipOutliers().fit(np.ones((4, 1))).dims_.tolist() == []


@pytest.mark.parametrize("step", [ClipOutliers(mode="drop"), ClipOutliers(n_std=0), ClipOutliers(max_dims=-1)])  # type: ignore[arg-type]
def test_parameters_that_cannot_be_are_refused(step: ClipOutliers) -> None:
    with pytest.raises(RecipeError):
        step.fit(sample({}))
