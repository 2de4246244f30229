"""A trained pooling over packed tokens, against the module on padded ones."""

from pathlib import Path

import numpy as np
import pytest
import torch

import plait
from plait.types import RecipeError, States, Tokens


def packed(lengths: list[int], dim: int = 5) -> tuple[np.ndarray, Tokens]:
    offsets = np.cumsum([0, *lengths])
    total = int(offsets[-1])
    tokens = Tokens(
        np.arange(total, dtype=np.int32), offsets, np.arange(total), offsets, np.arange(len(offsets)),
        np.zeros(len(lengths), np.int64),
    )  # fmt: skip
    return np.random.default_rng(0).normal(size=(total, dim)).astype(np.float32), tokens


@pytest.mark.parametrize("direction", ["latent_query", "token_query"])
def test_is_the_module_on_each_units_tokens(direction: str) -> None:
    values, tokens = packed([3, 1, 0, 7, 2])
    pool = plait.AttentionPool(direction, latents=3, heads=1, head_dim=4, epochs=1)
    pool.fit(States(values[None], (0,), tokens), list("abbab"))
    found = pool.pool(values, tokens)
    for unit, (start, end) in enumerate(zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)):
        with torch.no_grad():
            alone = pool.module_(torch.from_numpy(values[None, start:end])).numpy()[0] if end > start else 0
        np.testing.assert_allclose(found[unit], alone, atol=1e-6)


def test_learns_from_banked_states_without_another_pass(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plait.bank import Bank

    texts = [f"{word} is what this text says" for word in ("cats", "dogs", "rain", "card")] * 3
    texts = [f"{text} {n}" for n, text in enumerate(texts)]
    labels = [text.split()[0] for text in texts]
    recipe = plait.Transformer(str(tiny_bert)) | plait.AttentionPool(latents=2, heads=1, head_dim=4, epochs=2)
    first = recipe.fit(texts, labels, bank=Bank(tmp_path)).encode(texts).values
    calls: list[int] = []
    states = plait.Transformer.states
    monkeypatch.setattr(plait.Transformer, "states", lambda self, *a: calls.append(1) or states(self, *a))
    again = plait.parse(str(recipe)).fit(texts, labels, bank=Bank(tmp_path))
    assert not calls
    np.testing.assert_array_equal(again.encode(texts).values, first)


def test_without_training_it_says_so(tiny_bert: Path) -> None:
    recipe = plait.Transformer(str(tiny_bert)) | plait.AttentionPool()
    with pytest.raises(RecipeError, match="not fitted"):
        recipe.encode(["a text"])
