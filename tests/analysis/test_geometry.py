from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from plait.analysis import OutlierDimensions, anisotropy, outlier_dimensions
from plait.encoders.static import StaticTable
from plait.encoders.transformer import Transformer
from plait.types import DataError, RecipeError
from tests.tiny import SENTENCES


def test_anisotropy_is_the_mean_over_all_pairs() -> None:
    X = np.random.default_rng(3).normal(size=(40, 6)) + 0.4
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    every = (unit @ unit.T)[~np.eye(40, dtype=bool)].mean()
    assert anisotropy(X, n_pairs=200_000) == pytest.approx(every, abs=5e-3)


@given(arrays(np.float32, (7, 3), elements=st.floats(-100, 100, width=32, allow_subnormal=False)), st.floats(0.5, 20))
def test_anisotropy_is_a_cosine_and_ignores_scale(X: np.ndarray, factor: float) -> None:
    value = anisotropy(X, n_pairs=50)
    assert -1.0001 <= value <= 1.0001
    lengths = np.linalg.norm(X, axis=1)
    if ((lengths == 0) | (lengths > 1e-3)).all():
        assert anisotropy(X * np.float32(factor), n_pairs=50) == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("bad", [np.ones((1, 3)), np.ones(3), np.array([[1.0, np.nan], [1.0, 2.0]])])
def test_anisotropy_refuses_what_has_no_pairs(bad: np.ndarray) -> None:
    with pytest.raises(DataError):
        anisotropy(bad)


def made(z: list[list[float]]) -> OutlierDimensions:
    means = np.array(z)
    return OutlierDimensions(tuple(range(len(z))), means, np.zeros_like(means), 10, 1.5)


def test_outliers_are_ordered_and_persist() -> None:
    found = made([[0, 0, 0, 9, 0], [0, 0, 0, 9, 0], [9, 0, 0, 0, 0], [0, 0, 0, 9, 0]])
    assert found.z[0].tolist() == pytest.approx([-0.5, -0.5, -0.5, 2, -0.5])
    assert [found.of(layer) for layer in range(4)] == [[3], [3], [0], [3]]
    assert (found.run(3), found.run(0), found.run(1)) == (2, 1, 0)
    assert found.persistent(2) == [3]
    assert found.persistent(3) == []
    assert json.loads(found.to_json())[0] == {"layer": 0, "dim": 3, "mean": 9.0, "z": 2.0, "argmax_share": 0.0}
    assert found.plot()["data"] == {"values": found.table()}


def test_a_flat_layer_has_no_outlier() -> None:
    assert made([[1, 1, 1]]).table() == []


def test_means_and_shares_are_those_of_the_tokens(tiny_bert: Path) -> None:
    encoder = Transformer(str(tiny_bert))
    found = outlier_dimensions(encoder, SENTENCES, layers=[1, 3])
    states = encoder.states(encoder.tokenize(SENTENCES), (1, 3))
    assert found.layers == (1, 3)
    np.testing.assert_allclose(found.means, states.values.mean(axis=1), atol=1e-5)
    largest = np.abs(states.values).argmax(axis=2)
    np.testing.assert_allclose(found.largest[0], np.bincount(largest[0], minlength=32) / found.tokens, atol=1e-6)


def test_words_leave_special_tokens_out(tiny_bert: Path) -> None:
    encoder = Transformer(str(tiny_bert))
    items = [tuple(text.split()) for text in SENTENCES if text]
    whole = outlier_dimensions(encoder, [" ".join(item) for item in items])
    assert outlier_dimensions(encoder, items).tokens == whole.tokens - 2 * len(items)


def test_what_cannot_be_looked_at(tiny_table: Path) -> None:
    with pytest.raises(DataError, match="no token"):
        outlier_dimensions(StaticTable(str(tiny_table)), ["", ""])
    with pytest.raises(RecipeError, match="layers 0 to 0"):
        outlier_dimensions(StaticTable(str(tiny_table)), ["word"], layers=[1])
