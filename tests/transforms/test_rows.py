"""What all transforms share: how they treat rows of any kind. And the small ones that have no file of their own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from sklearn.preprocessing import normalize

from plait.recipe import parse
from plait.roles import Transform
from plait.transforms import AllButTheTop, Center, ClipOutliers, Normalize, Pca, Truncate, Whitening
from plait.types import DataError, RecipeError

STEPS: list[Transform] = [
    Normalize(),
    Center(),
    Truncate(2),
    Pca(2),
    AllButTheTop(),
    ClipOutliers(),
    Whitening(2),
    Whitening(method="zca"),
    Whitening(method="cholesky"),
]
LEARNING = [step for step in STEPS if not isinstance(step, Normalize | Truncate)]
X = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)

finite = st.floats(-1e4, 1e4, width=32)
rows = st.integers(1, 9).flatmap(
    lambda n: st.integers(2, 5).flatmap(lambda d: arrays(np.float32, (n, d), elements=finite))
)


@pytest.mark.parametrize("step", STEPS, ids=str)
@given(values=rows)
def test_any_finite_rows_give_finite_float32(step: Transform, values: np.ndarray) -> None:
    before = values.copy()
    out = clone(step).fit(values).transform(values)
    assert out.dtype == np.float32
    assert len(out) == len(values)
    assert np.isfinite(out).all()
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_no_rows(step: Transform) -> None:
    fitted = clone(step).fit(X)
    out = fitted.transform(np.zeros((0, 4), np.float32))
    assert out.shape == (0, fitted.transform(X).shape[1])


@pytest.mark.parametrize("step", LEARNING, ids=str)
def test_no_rows_to_learn_from(step: Transform) -> None:
    with pytest.raises(DataError, match=r"cannot learn from an array of shape \(0, 4\)"):
        clone(step).fit(np.zeros((0, 4), np.float32))


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_bad_rows_are_counted(step: Transform) -> None:
    bad = X.copy()
    bad[3, 1], bad[7] = np.nan, np.inf
    fitted = clone(step).fit(X)
    for use in (fitted.transform, clone(step).fit if step in LEARNING else fitted.transform):
        with pytest.raises(DataError, match=r"2 of 20 rows with NaN or infinity \(the first is row 3\)"):
            use(bad)


@pytest.mark.parametrize("step", LEARNING, ids=str)
def test_another_width_and_an_unfitted_step(step: Transform) -> None:
    with pytest.raises(RecipeError, match=r"fitted on vectors of 4 numbers; got \(2, 3\)"):
        clone(step).fit(X).transform(np.zeros((2, 3)))
    with pytest.raises(RecipeError, match="not fitted"):
        clone(step).transform(X)


@pytest.mark.parametrize("step", STEPS, ids=str)
@pytest.mark.parametrize("wrong", [np.zeros(3), np.zeros((2, 2, 2)), np.array([["a", "b"]])])
def test_what_is_no_array_of_vectors(step: Transform, wrong: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"takes an \[N, D\] array of numbers"):
        clone(step).fit(X).transform(wrong)


@pytest.mark.parametrize("step", STEPS, ids=str)
@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int64])
def test_other_number_types(step: Transform, dtype: type) -> None:
    values = (X * 8).astype(dtype)
    out = clone(step).fit(values).transform(values)
    np.testing.assert_allclose(
        out, clone(step).fit(values.astype(np.float32)).transform(values.astype(np.float32)), atol=1e-3
    )


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_text_and_state_round_trip(step: Transform) -> None:
    assert str(parse(str(step))) == str(step)
    fitted = clone(step).fit(X)
    loaded = clone(step).set_state(fitted.state())
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))


def test_normalize_equals_scikit_learn() -> None:
    values = np.vstack([X, np.zeros((1, 4), np.float32)])
    np.testing.assert_allclose(Normalize().transform(values), normalize(values), atol=1e-6)


def test_center() -> None:
    center = Center().fit(X)
    np.testing.assert_allclose(center.transform(X), X - X.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(center.inverse_transform(center.transform(X)), X, atol=1e-6)


def test_truncate() -> None:
    np.testing.assert_array_equal(Truncate(3).transform(X), X[:, :3])
    for width in (0, 5):
        with pytest.raises(RecipeError, match=r"of shape \(20, 4\)"):
            Truncate(width).transform(X)
