"""What holds for every pooling, on ragged tokens drawn at random."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.pooling.set_sums import SetPool
from plait.roles import Pooling
from plait.training.learned import Learned
from plait.types import Floats, States, Tokens, Vectors
from tests.contracts.makers import MAKERS, WIDTH, Places, fitted, step_names

POOLINGS = list(step_names(Pooling))


def ragged(sizes: list[list[int]], gap: int, seed: int = 0) -> tuple[Floats, Tokens]:
    """States and tokens of items with units of the given sizes; ``gap`` tokens before each unit are nobody's."""
    rng = np.random.default_rng(seed)
    units = [size for item in sizes for size in item]
    starts = np.cumsum([0, *(gap + size for size in units)])
    index = [np.arange(start + gap, start + gap + size) for start, size in zip(starts[:-1], units, strict=True)]
    total = int(starts[-1])
    item_ends = np.cumsum([0, *(sum(gap + size for size in item) for item in sizes)])
    tokens = Tokens(
        ids=rng.integers(0, 7, total).astype(np.int32),
        offsets=item_ends.astype(np.int64),
        index=np.concatenate([np.zeros(0, np.int64), *index]).astype(np.int64),
        bounds=np.cumsum([0, *units]).astype(np.int64),
        units=np.cumsum([0, *map(len, sizes)]).astype(np.int64),
        cut=np.zeros(len(sizes), np.int64),
    )
    return rng.normal(size=(total, WIDTH)).astype(np.float32), tokens


def take(values: Floats, tokens: Tokens, rows: np.ndarray) -> tuple[Floats, Tokens]:
    """The same items in another order, or some of them."""
    kept = [np.arange(tokens.offsets[row], tokens.offsets[row + 1]) for row in rows]
    return values[np.concatenate([np.zeros(0, np.int64), *kept])], tokens.take(rows)


SIZES = st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=3), min_size=1, max_size=6)


def made(name: str) -> Pooling:
    """A pooling by name, fitted on some tokens if it learns from them; no pooling needs the tiny models."""
    step = MAKERS[name](Places(Path(), Path()))
    assert isinstance(step, Pooling)
    return fitted(step, ragged([[2] * 10], gap=0, seed=100)[1])


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(POOLINGS), sizes=SIZES, gap=st.integers(0, 2), seed=st.integers(0, 99), data=st.data())
def test_order_and_batch_do_not_matter(
    name: str, sizes: list[list[int]], gap: int, seed: int, data: st.DataObject
) -> None:
    values, tokens = ragged(sizes, gap, seed)
    pooling = made(name)
    whole = pooling.pool(values, tokens)
    rows = np.array(data.draw(st.permutations(range(len(sizes)))))[: data.draw(st.integers(1, len(sizes)))]
    expected = [whole[tokens.units[row] : tokens.units[row + 1]] for row in rows]
    np.testing.assert_allclose(pooling.pool(*take(values, tokens, rows)), np.concatenate(expected), atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(POOLINGS), sizes=SIZES, seed=st.integers(0, 99))
def test_tokens_that_no_unit_names_are_not_seen(name: str, sizes: list[list[int]], seed: int) -> None:
    values, tokens = ragged(sizes, 2, seed)
    pooling = made(name)
    poisoned = np.full_like(values, 1e9)
    poisoned[tokens.index] = values[tokens.index]
    np.testing.assert_array_equal(pooling.pool(poisoned, tokens), pooling.pool(values, tokens))


def test_shape_type_and_determinism(pooling: Pooling) -> None:
    values, tokens = ragged([[3, 1], [2], [4, 0, 5]], gap=1)
    out = fitted(pooling, tokens).pool(values, tokens)
    assert out.dtype == np.float32
    assert out.shape == (6, pooling.width(WIDTH))
    assert out.tobytes() == pooling.pool(values, tokens).tobytes()


def test_input_is_left_alone(pooling: Pooling) -> None:
    values, tokens = ragged([[3, 1], [2]], gap=1)
    before, index = values.copy(), tokens.index.copy()
    fitted(pooling, tokens).pool(values, tokens)
    np.testing.assert_array_equal(values, before)
    np.testing.assert_array_equal(tokens.index, index)


def test_unit_without_tokens_gives_zeros(pooling: Pooling) -> None:
    values, tokens = ragged([[0], [3, 0], [0]], gap=1)
    out = fitted(pooling, tokens).pool(values, tokens)
    assert np.isfinite(out).all()
    assert not out[[0, 2, 3]].any()
    assert out[1].any()


def test_no_tokens_at_all(pooling: Pooling) -> None:
    values, tokens = ragged([[0], [0]], gap=0)
    assert not fitted(pooling, ragged([[3, 2]] * 4, 0)[1]).pool(values, tokens).any()


def test_one_token_is_its_own_vector(pooling: Pooling) -> None:
    if isinstance(pooling, SetPool | Learned):
        pytest.skip("it gives features of the tokens")
    values, tokens = ragged([[1], [1]], gap=1)
    expected = np.tile(values[tokens.index], pooling.width(1))
    np.testing.assert_allclose(fitted(pooling, tokens).pool(values, tokens), expected, rtol=1e-6)


def test_equal_tokens_pool_to_that_token(pooling: Pooling) -> None:
    if isinstance(pooling, SetPool | Learned):
        pytest.skip("a sum of equal tokens grows with their number")
    _, tokens = ragged([[7], [3]], gap=0)
    values = np.tile(np.arange(WIDTH, dtype=np.float32), (10, 1))
    expected = np.tile(values[:2], pooling.width(1))
    np.testing.assert_allclose(fitted(pooling, tokens).pool(values, tokens), expected, rtol=1e-5)


def test_transform_pools_the_last_plane(pooling: Pooling) -> None:
    values, tokens = ragged([[3, 2], [2]], gap=1)
    out = fitted(pooling, tokens).transform(States(np.stack([values * 0, values]), (0, 1), tokens))
    assert isinstance(out, Vectors)
    assert out.units is tokens.units
    np.testing.assert_array_equal(out.values, pooling.pool(values, tokens))
