from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.analysis import length_profile, low_pass_rate
from plait.encoders.static import StaticTable
from plait.encoders.transformer import Transformer
from plait.pooling.mean import MeanPool
from plait.transforms.attention_temperature import AttentionTemperature
from plait.types import DataError, RecipeError
from tests.tiny import SENTENCES

LONG = [f"{a} {b}" for a, b in pairwise(SENTENCES[:7])]


@given(st.integers(1, 12), st.integers(0, 1000))
def test_rate_is_the_largest_singular_value(size: int, seed: int) -> None:
    weights = np.random.default_rng(seed).dirichlet(np.ones(size), size=(2, size))
    centring = np.eye(size) - np.ones((size, size)) / size
    expected = [np.linalg.svd(centring @ matrix, compute_uv=False)[0] for matrix in weights]
    assert low_pass_rate(weights) == pytest.approx(expected, abs=1e-7)


def test_rate_bounds_what_is_left_of_differences() -> None:
    rng = np.random.default_rng(0)
    weights, values = rng.dirichlet(np.ones(9) * 0.1, size=9), rng.normal(size=(9, 5))
    before = np.linalg.norm(values - values.mean(axis=0))
    mixed = weights @ values
    assert np.linalg.norm(mixed - mixed.mean(axis=0)) <= low_pass_rate(weights) * before


@pytest.mark.parametrize("bad", [np.ones((2, 3)), np.ones(3), np.ones((2, 0, 0))])
def test_rate_refuses_what_is_not_square(bad: np.ndarray) -> None:
    with pytest.raises(DataError, match="T, T"):
        low_pass_rate(bad)


def test_profile_is_that_of_the_cut_texts(tiny_bert: Path) -> None:
    recipe = Transformer(str(tiny_bert)) | MeanPool()
    profile = length_profile(recipe, [*LONG, "Word"], lengths=[8, 16], score=lambda vectors: float(len(vectors)))
    assert profile.texts == len(LONG)
    unit = (Transformer(str(tiny_bert), max_length=8) | MeanPool()).encode(LONG).values.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    pairs = (unit @ unit.T)[~np.eye(len(LONG), dtype=bool)]
    assert profile.mean_cosine[0] == pytest.approx(pairs.mean(), abs=1e-6)
    assert profile.centre_distance[0] == pytest.approx(
        np.linalg.norm(unit - unit.mean(axis=0), axis=1).mean(), abs=1e-6
    )
    assert profile.rates is not None
    assert profile.rates.shape == (2, 3)
    assert [row["score"] for row in profile.table()] == [len(LONG)] * 2


def test_attention_is_what_the_model_uses(tiny_bert: Path) -> None:
    host = Transformer(str(tiny_bert)).host
    ids = np.array([[2, 7, 9, 11, 3], [2, 8, 8, 12, 3]])
    weights = host.attention(ids)
    assert [block.shape for block in weights] == [(2, 4, 5, 5)] * 3
    np.testing.assert_allclose(weights[1].sum(axis=-1), 1, atol=1e-5)
    first = host.blocks[0].attention.self
    state = host.states(ids, None, (0,))[0]
    query, key = (
        (state @ module.weight.numpy().T + module.bias.numpy()).reshape(2, 5, 4, 8).transpose(0, 2, 1, 3)
        for module in (first.query, first.key)
    )
    logits = query @ key.transpose(0, 1, 3, 2) / np.sqrt(8)
    expected = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(weights[0], expected, atol=1e-5)


def test_a_temperature_is_in_force(tiny_bert: Path) -> None:
    encoder = Transformer(str(tiny_bert))
    ids = np.array([[2, 7, 9, 11, 3]])
    plain = encoder.host.attention(ids)[0]
    with encoder.scaled_queries(2.0):
        sharp = encoder.host.attention(ids)[0]
    squared = plain**2 / (plain**2).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(sharp, squared, atol=1e-5)
    profiles = [
        length_profile(r, LONG, [16]) for r in (encoder | MeanPool(), encoder | AttentionTemperature(0.5) | MeanPool())
    ]
    assert not np.array_equal(profiles[0].rates, profiles[1].rates)  # type: ignore[arg-type]
    assert profiles[0].mean_cosine != profiles[1].mean_cosine


def test_what_has_no_lengths(tiny_table: Path) -> None:
    recipe = StaticTable(str(tiny_table)) | MeanPool()
    assert length_profile(recipe, LONG, [2, 4]).rates is None
    with pytest.raises(DataError, match="0 of 6"):
        length_profile(recipe, LONG, [1000])
    with pytest.raises(RecipeError, match="one encoder"):
        length_profile(recipe + recipe, LONG, [2])  # type: ignore[arg-type]
