"""What holds for every transform: an ordinary scikit-learn transformer that gives float32."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from plait.roles import Transform
from plait.types import PlaitError
from tests.contracts.makers import fitted

N, D = 40, 8


@pytest.fixture
def rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.normal(size=(N, D)) * np.geomspace(4, 0.5, D) + 3).astype(np.float32)


def test_one_row_for_each_row_in_float32(transform: Transform, rows: np.ndarray) -> None:
    out = fitted(transform, rows).transform(rows)
    assert out.dtype == np.float32
    assert len(out) == N
    assert out.ndim == 2
    assert 1 <= out.shape[1] <= D
    assert np.isfinite(out).all()


def test_rows_do_not_see_each_other(transform: Transform, rows: np.ndarray) -> None:
    out = fitted(transform, rows).transform(rows)
    np.testing.assert_allclose(transform.transform(rows[:1]), out[:1], atol=1e-5)
    np.testing.assert_allclose(transform.transform(rows[::-1]), out[::-1], atol=1e-5)


def test_no_rows_give_no_rows(transform: Transform, rows: np.ndarray) -> None:
    out = fitted(transform, rows).transform(rows[:0])
    assert out.shape == (0, transform.transform(rows).shape[1])


def test_float64_input_gives_the_same(transform: Transform, rows: np.ndarray) -> None:
    out = fitted(transform, rows).transform(rows)
    wide = fitted(clone(transform), rows.astype(np.float64)).transform(rows.astype(np.float64))
    assert wide.dtype == np.float32
    np.testing.assert_allclose(wide, out, atol=1e-4)


def test_input_is_left_alone(transform: Transform, rows: np.ndarray) -> None:
    before = rows.copy()
    fitted(transform, rows).transform(rows)
    np.testing.assert_array_equal(rows, before)


def test_fit_gives_itself_and_the_same_bytes_twice(transform: Transform, rows: np.ndarray) -> None:
    assert fitted(transform, rows) is transform
    assert fitted(clone(transform), rows).transform(rows).tobytes() == transform.transform(rows).tobytes()


def test_state_put_into_a_clone_is_the_whole_of_it(transform: Transform, rows: np.ndarray) -> None:
    state = fitted(transform, rows).state()
    assert all(isinstance(value, np.ndarray) and value.dtype.kind in "biuf" for value in state.values())
    copy = clone(transform).set_state(state)
    assert copy.fingerprint == transform.fingerprint
    assert copy.transform(rows).tobytes() == transform.transform(rows).tobytes()


def test_learned_state_is_in_the_fingerprint(transform: Transform, rows: np.ndarray) -> None:
    one = fitted(clone(transform), rows)
    other = fitted(clone(transform), rows * np.linspace(1, 2, D, dtype=np.float32) + 1)
    same = all(np.array_equal(value, other.state()[name]) for name, value in one.state().items())
    assert (one.fingerprint == other.fingerprint) == same


def test_stands_in_a_scikit_learn_pipeline(transform: Transform, rows: np.ndarray) -> None:
    labels = ["odd" if n % 2 else "even" for n in range(len(rows))]
    pipeline = make_pipeline(FunctionTransformer(), clone(transform))
    expected = fitted(transform, rows).transform(rows)
    np.testing.assert_array_equal(pipeline.fit(rows, labels).transform(rows), expected)
    np.testing.assert_array_equal(clone(pipeline).fit_transform(rows, labels), expected)


def test_one_row_or_constant_columns_never_give_nan(transform: Transform, rows: np.ndarray) -> None:
    for few in (rows[:1], np.ones((6, D), np.float32)):
        step = clone(transform)
        try:
            out = fitted(step, few).transform(few)
        except PlaitError:
            continue
        assert np.isfinite(out).all()


def test_rows_with_nan_are_refused_and_counted(transform: Transform, rows: np.ndarray) -> None:
    rows[[3, 7], 0] = np.nan
    with pytest.raises(PlaitError, match="2"):
        fitted(transform, rows).transform(rows)
