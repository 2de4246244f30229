"""Power means against the formula written out, and through a recipe."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import plait
from plait.bank import Bank
from plait.pooling import PowerMeanPool
from plait.types import RecipeError, Tokens
from tests.pooling.ragged import groups_of, ragged

WIDTH = 4
POWERS = st.lists(st.sampled_from([-math.inf, 1, 3, 5, math.inf]), min_size=1, max_size=4)


def by_hand(column: np.ndarray, power: float) -> float:
    if math.isinf(power):
        return float(max(column) if power > 0 else min(column))
    mean = sum(float(x) ** power for x in column) / len(column)
    return math.copysign(abs(mean) ** (1 / power), mean)


@given(tokens=ragged(), powers=POWERS)
def test_formula(tokens: Tokens, powers: list[float]) -> None:
    values = np.random.default_rng(len(tokens.ids)).normal(size=(len(tokens.ids), WIDTH)).astype(np.float32)
    pooled = PowerMeanPool(powers).pool(values, tokens)
    assert pooled.shape == (len(tokens.bounds) - 1, WIDTH * len(powers))
    for vector, group in zip(pooled, groups_of(tokens), strict=True):
        rows = values[group] if len(group) else np.zeros((1, WIDTH))
        expected = [by_hand(column, power) for power in powers for column in rows.T]
        np.testing.assert_allclose(vector, expected, atol=2e-3)


@pytest.mark.parametrize("powers", [[], [2], [0], [-1], [0.5], [1.5], [math.nan]])
def test_a_power_without_a_real_root_is_refused(powers: list[float]) -> None:
    with pytest.raises(RecipeError, match="odd whole numbers"):
        PowerMeanPool(powers)


@pytest.mark.parametrize("text", ["PowerMeanPool()", "PowerMeanPool([-inf, 3])", "PowerMeanPool([inf, -inf])"])
def test_text_round_trip(text: str) -> None:
    assert str(plait.parse(text)) == text


def test_wide_vectors_go_through_a_recipe_and_a_bank(tiny_table: Path, tmp_path: Path) -> None:
    table = plait.StaticTable(str(tiny_table))
    recipe = table | PowerMeanPool() | plait.Pca(5)
    texts = [f"the {n} dog and the {n * n} cats" for n in range(12)]
    parts = [(table | pool).encode(texts).values for pool in (plait.MeanPool(), plait.MaxPool())]
    wide = (table | PowerMeanPool()).encode(texts, bank=Bank(tmp_path))
    np.testing.assert_allclose(wide.values[:, 16:], np.hstack(parts), atol=1e-6)
    assert recipe.fit(texts).encode(texts).values.shape == (12, 5)
