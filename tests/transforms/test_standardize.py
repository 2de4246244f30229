"""Standardising against scikit-learn's scaler."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from plait.transforms.standardize import Standardize


@given(rows=st.integers(2, 30), offset=st.floats(-1e3, 1e3), seed=st.integers(0, 99))
def test_equals_scikit_learn(rows: int, offset: float, seed: int) -> None:
    X = np.random.default_rng(seed).normal(size=(rows, 4)) * [1, 5, 0.1, 2] + offset
    step = Standardize().fit(X)
    np.testing.assert_allclose(step.transform(X), StandardScaler().fit_transform(X), atol=2e-3)
    np.testing.assert_allclose(step.inverse_transform(step.transform(X)), X, rtol=1e-5, atol=1e-4)


def test_a_dimension_that_never_varies_is_only_centred() -> None:
    X = np.column_stack([np.full(7, np.float32(1.1)), np.arange(7, dtype=np.float32)])
    step = Standardize().fit(X)
    assert step.scale_[0] == 1
    assert np.abs(step.transform(X)[:, 0]).max() < 1e-6
    np.testing.assert_allclose(step.transform(X)[:, 1].std(), 1, rtol=1e-6)
