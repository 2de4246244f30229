from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.fft import dct

from plait.analysis import PositionContextSums, decompose_position_context, effects_by_layer
from plait.encoders.transformer import Transformer
from plait.types import DataError, RecipeError
from tests.tiny import SENTENCES

TEXTS = [f"{SENTENCES[n % 7]} {SENTENCES[(3 * n + 1) % 7]} {SENTENCES[(5 * n + 2) % 7]}" for n in range(14)]


def planted(texts: int = 60, places: int = 50, dims: int = 32, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """A smooth helix of rank 3 in the first three dimensions, texts in the others, a mean, and noise."""
    rng = np.random.default_rng(seed)
    turn = np.linspace(0, 4 * np.pi, places, endpoint=False)
    helix = np.zeros((places, dims))
    helix[:, :3] = np.column_stack([np.cos(turn), np.sin(turn), np.linspace(-1, 1, places)])
    contexts = np.zeros((texts, dims))
    contexts[:, 3:] = rng.normal(size=(texts, dims - 3))
    spread = noise * rng.normal(size=(texts, places, dims))
    return 3 + helix + contexts[:, None] + spread


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 5), st.integers(0, 99))
def test_it_is_the_two_way_analysis_of_variance(texts: int, places: int, dims: int, seed: int) -> None:
    states = np.random.default_rng(seed).normal(size=(texts, places, dims)) * 7 + 2
    found = decompose_position_context(states)
    assert found.residual is not None
    whole = found.mean + found.position + found.context[:, None] + found.residual
    np.testing.assert_allclose(whole, states, atol=1e-9)
    np.testing.assert_allclose(found.mean, states.mean(axis=(0, 1)), atol=1e-9)
    for effect, axis in ((found.position, 0), (found.context, 0), (found.residual, 0), (found.residual, 1)):
        np.testing.assert_allclose(effect.sum(axis=axis), 0, atol=1e-9)
    total = np.square(states - states.mean(axis=(0, 1))).sum(axis=2).mean()
    assert found.variance == pytest.approx(total, abs=1e-8)
    if total > 1e-6:
        expected = [np.square(e).sum(axis=-1).mean() / total for e in (found.position, found.context, found.residual)]
        assert found.explained_variance() == pytest.approx(expected, abs=1e-6)


def test_batches_give_what_the_whole_gives() -> None:
    states = planted(noise=0.5).astype(np.float32)
    sums = PositionContextSums()
    for start in range(0, 60, 17):
        sums.partial_fit(states[start : start + 17])
    streamed, whole = sums.effects(), decompose_position_context(states)
    for name in ("mean", "position", "context", "variance"):
        np.testing.assert_allclose(getattr(streamed, name), getattr(whole, name), atol=1e-5)
    assert streamed.residual is None
    assert streamed.table() == [pytest.approx(whole.table()[0], abs=1e-5)]


def test_planted_effects_come_back() -> None:
    states = planted()
    found = decompose_position_context(states)
    expected = states[0] - states[0].mean(axis=0)
    np.testing.assert_allclose(found.position, expected, atol=1e-9)
    assert found.rank() == found.rank("energy") == 3
    assert found.incoherence() < 1e-9
    assert found.explained_variance().residual == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(found.remove_position(states), states - expected, atol=1e-9)


def test_noise_is_not_counted_as_rank() -> None:
    found = decompose_position_context(planted(texts=200, noise=1.0))
    assert found.rank() == 3
    assert found.rank("energy") > 3
    squares = np.linalg.eigvalsh(found.position.T @ found.position)
    assert found.stable_rank() == pytest.approx(squares.sum() / squares[-1])
    values = np.sqrt(np.sort(squares)[::-1].clip(0))
    assert found.explained_ratio(3) == pytest.approx(values[:3].sum() / values.sum(), abs=1e-6)


def test_relative_norm_is_that_of_the_tall_matrices() -> None:
    found = decompose_position_context(planted(noise=0.3))
    tall = (found.mean + found.position + found.context[:, None]).reshape(-1, 32)
    tiled = np.tile(found.position, (60, 1))
    assert found.relative_norm() == pytest.approx(np.linalg.norm(tiled, 2) / np.linalg.norm(tall, 2))


def test_only_order_makes_positions_smooth() -> None:
    states = planted()
    found = decompose_position_context(states)
    assert found.smoothness() > 0.95
    order = np.random.default_rng(0).permutation(50)
    assert decompose_position_context(states[:, order]).smoothness() < 0.1
    unit = found.position / np.linalg.norm(found.position, axis=1, keepdims=True)
    energy = np.square(dct(dct(unit @ unit.T, axis=0, norm="ortho"), axis=1, norm="ortho"))
    constant = energy[0, 0]
    expected = (energy[:4, :4].sum() - constant) / (energy.sum() - constant)
    assert found.smoothness(k=4) == pytest.approx(expected)


def test_contrast_is_the_mean_over_pairs() -> None:
    found = decompose_position_context(planted(texts=5))
    labels = ["a", "b", "a", "b", "a"]
    unit = found.context / np.linalg.norm(found.context, axis=1, keepdims=True)
    same = [unit[i] @ unit[j] for i in range(5) for j in range(i) if labels[i] == labels[j]]
    other = [unit[i] @ unit[j] for i in range(5) for j in range(i) if labels[i] != labels[j]]
    assert found.cluster_contrast(labels, absolute=False) == pytest.approx((np.mean(same), np.mean(other)))
    assert found.cluster_contrast(labels) == pytest.approx((np.mean(np.abs(same)), np.mean(np.abs(other))))


def test_constant_states_have_no_effects() -> None:
    found = decompose_position_context(np.ones((3, 5, 4)))
    assert found.rank() == 0
    assert found.table()[0] == pytest.approx(
        dict.fromkeys(found.table()[0], 0.0),
    )


def test_layers_of_an_encoder_in_the_order_of_its_texts(tiny_bert: Path) -> None:
    encoder = Transformer(str(tiny_bert))
    found = effects_by_layer(encoder, ["short", *TEXTS], positions=20, layers=[0, 2])
    assert list(found) == [0, 2]
    states = [encoder.states(encoder.tokenize([text]), (2,)).values[0, 1:21] for text in TEXTS]
    whole = decompose_position_context(np.stack(states))
    np.testing.assert_allclose(found[2].context, whole.context, atol=1e-5)
    np.testing.assert_allclose(found[2].position, whole.position, atol=1e-5)
    assert found[2].variance == pytest.approx(whole.variance, rel=1e-4)


def test_what_cannot_be_taken_apart(tiny_bert: Path) -> None:
    found = decompose_position_context(planted(texts=4))
    for bad in (np.ones((3, 2)), np.ones((0, 2, 2)), np.full((2, 2, 2), np.nan)):
        with pytest.raises(DataError, match=r"\[C, T, D\]"):
            decompose_position_context(bad)
    with pytest.raises(DataError, match="before had"):
        PositionContextSums().partial_fit(np.ones((2, 3, 4))).partial_fit(np.ones((2, 4, 4)))
    with pytest.raises(DataError, match="partial_fit first"):
        PositionContextSums().effects()
    with pytest.raises(DataError, match="one a text"):
        found.cluster_contrast(["a"])
    with pytest.raises(DataError, match="two labels"):
        found.cluster_contrast(["a"] * 4)
    with pytest.raises(DataError, match="screenot or energy"):
        found.rank("guess")
    with pytest.raises(DataError, match="50, 32"):
        found.remove_position(np.ones((2, 3, 32)))
    encoder = Transformer(str(tiny_bert))
    with pytest.raises(DataError, match="0 of 14"):
        effects_by_layer(encoder, TEXTS, positions=63)
    with pytest.raises(RecipeError, match="layers 0 to 3"):
        effects_by_layer(encoder, TEXTS, layers=[4])
