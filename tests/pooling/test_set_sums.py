"""Sums that tell sets apart: against formulas written out, and against sets made to collide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import plait
from plait.bank import Bank
from plait.pooling import constructive_directions, constructive_exponents, recover_multiset, width_bounds
from plait.pooling.set_functions import power_features
from plait.pooling.set_sums import ExpSetPool, PowerSetPool, SetPool
from plait.types import DataError, RecipeError, Tokens
from tests.pooling.ragged import groups_of, ragged

LAYERS = {"power": PowerSetPool, "exp": ExpSetPool}


def bags(sets: np.ndarray) -> Tokens:
    """Tokens of ``[B, N, D]`` sets, one item a set."""
    count, size = sets.shape[:2]
    bounds = np.arange(count + 1) * size
    every = np.arange(count * size)
    return Tokens(every.astype(np.int32), bounds, every, bounds, np.arange(count + 1), np.zeros(count, np.int64))


def pooled(pool: SetPool, sets: np.ndarray) -> np.ndarray:
    return pool.pool(sets.reshape(-1, sets.shape[-1]).astype(np.float32), bags(sets))


@pytest.mark.parametrize(("size", "dim", "power", "exponents"), [(3, 2, 62, 72), (5, 3, 1347, 1260), (2, 1, 5, 5)])
def test_published_widths(size: int, dim: int, power: int, exponents: int) -> None:
    assert constructive_directions(size, dim).shape == (power, dim)
    assert constructive_exponents(size, dim).shape == (exponents, dim)


@given(size=st.integers(2, 5), dim=st.integers(2, 4))
def test_constructions_lie_within_the_bounds(size: int, dim: int) -> None:
    for layer, width in (
        ("power", size * len(constructive_directions(size, dim))),
        ("exp", len(constructive_exponents(size, dim))),
    ):
        lower, upper = width_bounds(size, dim, layer)  # type: ignore[arg-type]
        assert lower <= width <= upper


def test_bounds_of_scalars_and_of_single_vectors() -> None:
    assert width_bounds(4, 1).lower == 4
    assert width_bounds(1, 4).lower == 4
    assert width_bounds(4, 3) == (16, 9 * 4**5)


@given(numbers=st.lists(st.integers(-10, 10), min_size=1, max_size=8, unique=True))
def test_numbers_come_back_from_their_power_sums(numbers: list[int]) -> None:
    values = np.array(sorted(numbers)) / 10
    sums = [np.sum(values**power) for power in range(1, len(values) + 1)]
    np.testing.assert_allclose(recover_multiset(sums), values, atol=1e-6)


def test_a_number_that_stands_twice_comes_back_twice() -> None:
    values = np.array([-0.5, 0.25, 0.25])
    found = recover_multiset([np.sum(values**power) for power in (1, 2, 3)])
    np.testing.assert_allclose(found, values, atol=1e-6)


@pytest.mark.parametrize("sums", [[], [[1.0]], [np.nan]])
def test_what_is_no_list_of_sums_is_refused(sums: list[object]) -> None:
    with pytest.raises(DataError, match="power sums"):
        recover_multiset(sums)


@given(tokens=ragged(), layer=st.sampled_from(sorted(LAYERS)))
def test_formula(tokens: Tokens, layer: str) -> None:
    values = np.random.default_rng(len(tokens.ids)).uniform(-1, 1, size=(len(tokens.ids), 3)).astype(np.float32)
    pool = LAYERS[layer](3, 4, dim=None, bounded=False, random_state=5)
    directions = np.random.default_rng(5).normal(size=(4, 3))
    out = pool.pool(values, tokens)
    for vector, group in zip(out, groups_of(tokens), strict=True):
        expected = []
        for direction in directions:
            if layer == "exp":
                expected.append(sum(np.exp(direction @ values[token]) for token in group))
            else:
                unit = direction / sum(abs(number) for number in direction)
                expected += [sum((unit @ values[token]) ** power for token in group) for power in (1, 2, 3)]
        np.testing.assert_allclose(vector, expected, rtol=1e-5, atol=1e-6)


def test_rows_are_brought_within_bounds() -> None:
    rows = np.array([[3.0, -4.0], [300.0, -400.0], [0.0, 0.0]], np.float32)
    out = pooled(PowerSetPool(1, "constructive", dim=None), rows[:, None])
    np.testing.assert_array_equal(out[0], out[1])
    np.testing.assert_allclose(out[0, :2], np.tanh([3 / np.sqrt(12.5), -4 / np.sqrt(12.5)]), rtol=1e-6)
    assert not out[2].any()


@pytest.mark.parametrize("layer", LAYERS)
def test_sets_that_agree_in_every_channel_are_told_apart(layer: str) -> None:
    one = np.array([[[-0.5, 0.1], [0.2, 0.7], [0.9, -0.3]]])
    other = one.copy()
    other[0, :, 1] = one[0, [1, 0, 2], 1]
    channels = [power_features(sets[0], np.eye(2), 3).sum(axis=0) for sets in (one, other)]
    np.testing.assert_allclose(channels[0], channels[1], atol=1e-12)
    for directions in (None, "constructive"):
        pool = LAYERS[layer](3, directions, dim=None, bounded=False)
        assert np.abs(pooled(pool, one) - pooled(pool, other)).max() > 1e-3
        np.testing.assert_allclose(pooled(pool, one), pooled(pool, one[:, [2, 0, 1]]), rtol=1e-6)


def test_as_many_directions_as_channels_always_collide() -> None:
    """The published necessary condition: K = D directions cannot do, whatever they are."""
    rng = np.random.default_rng(0)
    directions, one = rng.normal(size=(3, 3)), rng.uniform(-1, 1, size=(4, 3))
    along = one @ directions.T
    along[:, 0] = along[[1, 0, 2, 3], 0]
    other = along @ np.linalg.inv(directions).T
    assert np.abs(other - one).max() > 0.1
    sums = [power_features(rows, directions, 4).sum(axis=0) for rows in (one, other)]
    np.testing.assert_allclose(*sums, atol=1e-9)


@pytest.mark.parametrize("layer", LAYERS)
def test_sizes_of_sets_are_told_apart(layer: str) -> None:
    pool = LAYERS[layer](3, dim=None, bounded=False)
    point = np.full((1, 1, 2), 0.5)
    once, twice = (pooled(pool, np.repeat(point, count, axis=1)) for count in (1, 2))
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-6)


def test_large_values_do_not_overflow() -> None:
    out = pooled(ExpSetPool(2, dim=None, bounded=False), np.full((1, 2, 2), 1e6))
    assert np.isfinite(out).all()


def test_through_a_recipe_and_a_bank(tiny_table: Path, tmp_path: Path) -> None:
    recipe = plait.StaticTable(str(tiny_table)) | PowerSetPool(2, 6, dim=3)
    texts = ["dogs", "the dog and the cats", "cats and dogs"]
    out = recipe.encode(texts, bank=Bank(tmp_path)).values
    assert out.shape == (3, 12)
    np.testing.assert_array_equal(out, recipe.encode(texts, bank=Bank(tmp_path)).values)
    assert len({row.tobytes() for row in out}) == 3


@pytest.mark.parametrize(
    "pool", [PowerSetPool(0), PowerSetPool(2, 0), PowerSetPool(2, "all"), ExpSetPool(dim=9), ExpSetPool(dim=0)]
)
def test_sizes_that_cannot_be_are_refused(pool: SetPool) -> None:
    with pytest.raises(RecipeError, match=r"expected set_size|lower dim"):
        pool.width(5)


@pytest.mark.parametrize("sizes", [(0, 2), (2, 0)])
def test_bounds_of_nothing_are_refused(sizes: tuple[int, int]) -> None:
    for function in (width_bounds, constructive_directions, constructive_exponents):
        with pytest.raises(RecipeError, match="expected 1 or more"):
            function(*sizes)


def test_an_unknown_layer_is_refused() -> None:
    with pytest.raises(RecipeError, match="expected"):
        width_bounds(2, 2, "cosine")  # type: ignore[arg-type]
