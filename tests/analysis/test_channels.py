from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy

from plait.analysis import channel_entropy
from plait.types import DataError

MATRICES = arrays(
    np.float64,
    st.tuples(st.integers(1, 40), st.integers(1, 7)),
    elements=st.floats(-100, 100, allow_subnormal=False),
)


@given(MATRICES, st.integers(1, 4), st.integers(1, 16))
@settings(max_examples=60, deadline=None)
def test_joint_lies_between_the_largest_part_and_the_sum(values: np.ndarray, channels: int, bins: int) -> None:
    found = channel_entropy(values, channels, bins)
    alone = channel_entropy(values, 1, bins).joint
    assert len(found.joint) == len(found.marginal) == -(-values.shape[1] // channels)
    assert (found.joint <= found.marginal + 1e-9).all()
    for group, joint in enumerate(found.joint):
        part = alone[group * channels : (group + 1) * channels]
        assert found.marginal[group] == pytest.approx(part.sum(), abs=1e-9)
        assert part.max() - 1e-9 <= joint <= np.log2(len(values)) + 1e-9


@given(MATRICES, st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_a_shuffle_leaves_each_channel_as_it_is(values: np.ndarray, seed: int) -> None:
    real, apart = channel_entropy(values, 3), channel_entropy(values, 3, shuffle=seed)
    np.testing.assert_allclose(real.marginal, apart.marginal)
    np.testing.assert_array_equal(apart.joint, channel_entropy(values, 3, shuffle=seed).joint)


def test_is_that_of_a_histogram() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6))
    found = channel_entropy(values, 3, bins=8)
    for group, joint in enumerate(found.joint):
        mine = values[:, 3 * group : 3 * group + 3]
        assert joint == pytest.approx(entropy(np.histogramdd(mine, bins=8)[0].ravel(), base=2))
        alone = [entropy(np.histogram(column, bins=8)[0], base=2) for column in mine.T]
        assert found.marginal[group] == pytest.approx(sum(alone))


def test_dependence_shows_against_the_shuffle_and_independence_does_not() -> None:
    rng = np.random.default_rng(0)
    free = rng.normal(size=(2000, 4))
    bound = free[:, [0, 0, 1, 1]] + 0.1 * free
    for values, least, most in ((free, -0.1, 0.1), (bound, 1.0, 9.0)):
        real, apart = (channel_entropy(values, 2, shuffle=how).joint for how in (None, 0))
        assert ((apart - real > least) & (apart - real < most)).all()


def test_table_and_drawing() -> None:
    found = channel_entropy(np.arange(32).reshape(8, 4) % 3, 3)
    assert [sorted(row) for row in found.table()] == [["group", "joint", "marginal"]] * 2
    assert found.gap == pytest.approx(np.mean([row["marginal"] - row["joint"] for row in found.table()]))
    assert found.plot()["data"] == {"values": found.table()}
    assert found.rows == 8


@pytest.mark.parametrize(
    ("values", "channels", "bins"),
    [([[np.nan, 1]], 1, 2), ([1.0, 2], 1, 2), (np.zeros((0, 3)), 1, 2), ([[1.0]], 0, 2), ([[1.0]], 1, 0)],
)
def test_what_has_no_entropy_is_refused(values: object, channels: int, bins: int) -> None:
    with pytest.raises(DataError, match=r"expected finite|must be 1 or more"):
        channel_entropy(values, channels, bins)  # type: ignore[arg-type]
