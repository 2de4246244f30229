"""Trained combinations of layers, against formulas written out and against what they must find."""

from pathlib import Path

import numpy as np
import pytest
import torch

import plait
from plait.bank import Bank
from plait.data import Labels
from plait.layers import CrossAttention, LayerWeights
from plait.layers.attention import LayerStack
from plait.types import RecipeError
from tests.tiny import SENTENCES


def test_mix_is_the_softmax_weighted_sum() -> None:
    mix = LayerWeights(3, layer_norm=True)
    with torch.no_grad():
        mix.logits.copy_(torch.tensor([0.5, -1.0, 2.0]))
        mix.gamma.fill_(1.7)
    states = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0))
    s = np.exp([0.5, -1.0, 2.0])
    s /= s.sum()
    x = states.numpy()
    normed = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    expected = 1.7 * np.einsum("l,btld->btd", s, normed)
    np.testing.assert_allclose(mix(states).detach().numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(mix(list(states.unbind(-2))).detach().numpy(), expected, atol=1e-5)


def test_every_layer_gets_a_direct_gradient() -> None:
    mix, states = LayerWeights(3), torch.randn(4, 3, 6, requires_grad=True)
    mix(states).square().sum().backward()
    assert states.grad is not None
    assert all(states.grad[:, layer].abs().sum() > 0 for layer in range(3))
    assert mix.logits.grad is not None


def test_dropped_layers_are_left_out_in_training_only() -> None:
    mix = LayerWeights(50, scale=False, dropout=0.5)
    states = torch.eye(50)[None]
    torch.manual_seed(0)
    weights = mix.train()(states)[0]
    assert 5 < int((weights == 0).sum()) < 45
    assert weights.sum().item() == pytest.approx(1, abs=1e-5)
    assert (mix.eval()(states) == 1 / 50).all()


def planted(rows: int = 500, layers: int = 4, dim: int = 6, told: int = 2) -> tuple[np.ndarray, Labels]:
    """Layers of noise, one of which says the class."""
    rng = np.random.default_rng(0)
    classes = rng.integers(3, size=rows)
    stack = rng.normal(size=(rows, layers, dim)).astype(np.float32)
    stack[:, told] += 2 * np.eye(dim, dtype=np.float32)[classes]
    return stack.reshape(rows, -1), Labels(np.arange(rows), tuple(map(str, classes)))


def test_the_mix_finds_the_layer_that_tells() -> None:
    stack, labels = planted()
    mix = plait.ScalarMix().fit(stack, labels, layers=4)
    assert mix.weights.argmax() == 2
    assert mix.weights[2] > 0.27
    lengths = np.linalg.norm(stack.reshape(-1, 4, 6), axis=2).mean(axis=0)
    expected = mix.weights * lengths / (mix.weights * lengths).sum()
    np.testing.assert_allclose(mix.importance(stack), expected, rtol=1e-5)


def attention(query: np.ndarray, keys: np.ndarray, module: CrossAttention, real: np.ndarray) -> np.ndarray:
    """One row's cross-attention with residual and gated feed-forward part, by the formula."""

    def norm(x: np.ndarray, layer: torch.nn.LayerNorm) -> np.ndarray:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return x * layer.weight.numpy() + layer.bias.numpy()

    def gelu(x: np.ndarray) -> np.ndarray:
        return torch.nn.functional.gelu(torch.from_numpy(x)).numpy()

    weights = {name: p.numpy() for name, p in module.state_dict().items()}
    q = norm(query, module.norm_queries) @ weights["to_queries.weight"].T
    k, v = np.split(norm(keys, module.norm_keys) @ weights["to_keys_values.weight"].T, 2, axis=-1)
    heads = []
    for h in np.split(np.arange(q.shape[1]), module.heads):
        logits = q[:, h] @ k[:, h].T / np.sqrt(len(h))
        logits = np.where(real[None, :], logits, -np.inf)
        share = np.exp(logits - logits.max(1, keepdims=True))
        heads.append(share / share.sum(1, keepdims=True) @ v[:, h])
    out = query + np.hstack(heads) @ weights["to_out.weight"].T
    gate, up = np.split(norm(out, module.norm_feed) @ weights["feed_in.weight"].T + weights["feed_in.bias"], 2, axis=-1)
    return out + (gelu(gate) * up) @ weights["feed_out.weight"].T + weights["feed_out.bias"]


@pytest.mark.parametrize("direction", ["latent_query", "token_query"])
def test_cross_attention_by_the_formula_and_blind_to_padding(direction: str) -> None:
    torch.manual_seed(0)
    module = CrossAttention(6, latents=3, heads=2, head_dim=4, direction=direction).requires_grad_(False)
    vectors, mask = torch.randn(2, 5, 6), torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]).bool()
    found = module(vectors, mask).numpy()
    for row in range(2):
        tokens, real, latents = vectors[row].numpy(), mask[row].numpy(), module.latents.numpy()
        if direction == "latent_query":
            expected = attention(latents, tokens, module, real).mean(axis=0)
        else:
            expected = attention(tokens, latents, module, np.ones(3, bool))[real].mean(axis=0)
        np.testing.assert_allclose(found[row], expected, atol=1e-5)
    poisoned = vectors.masked_fill(~mask[..., None], 1e6)
    np.testing.assert_array_equal(module(poisoned, mask).numpy(), found)


def test_latents_have_no_order_and_matter() -> None:
    torch.manual_seed(1)
    module = CrossAttention(6, latents=4, heads=2, head_dim=4, direction="token_query").requires_grad_(False)
    vectors = torch.randn(3, 2, 6)
    before = module(vectors)
    latents = module.latents.clone()
    module.latents.copy_(latents[[2, 0, 3, 1]])
    torch.testing.assert_close(module(vectors), before)
    module.latents.zero_()
    assert not torch.allclose(module(vectors), before)


def test_tokens_outside_the_mean_still_are_asked_of_by_none() -> None:
    torch.manual_seed(2)
    module = CrossAttention(4, latents=2, heads=1, head_dim=4, direction="token_query").requires_grad_(False)
    vectors = torch.randn(1, 3, 4)
    pool = torch.tensor([[False, True, True]])
    torch.testing.assert_close(module(vectors, pool=pool), module(vectors[:, 1:]))


def test_lower_layers_reach_the_output_and_learn() -> None:
    torch.manual_seed(0)
    stack = LayerStack(3, 4, CrossAttention(4, latents=2, heads=1, head_dim=4))
    states = torch.randn(2, 3, 4)
    changed = states.clone()
    changed[:, 0] = 0
    assert not torch.allclose(stack(states), stack(changed))
    stack(states).square().sum().backward()
    assert stack.place.grad is not None
    assert (stack.place.grad.abs().sum(dim=1) > 0).all()


def test_unknown_direction_is_refused() -> None:
    with pytest.raises(RecipeError, match="sideways"):
        CrossAttention(4, direction="sideways")


@pytest.mark.parametrize("step", [plait.ScalarMix(epochs=2), plait.LayerAttention(2, 1, 4, epochs=2)])
def test_in_a_recipe_with_a_bank_and_saved(tiny_bert: Path, tmp_path: Path, step: plait.Step) -> None:
    recipe = plait.Transformer(str(tiny_bert)) | plait.ConcatLayers("all") | plait.MeanPool() | step
    with pytest.raises(RecipeError, match="got no examples"):
        recipe.fit(SENTENCES)
    labels = ["odd" if n % 2 else "even" for n in range(len(SENTENCES))]
    fitted = recipe.fit(SENTENCES, labels, bank=Bank(tmp_path / "bank"))
    expected = fitted.encode(SENTENCES).values
    loaded = plait.load(plait.save(fitted, tmp_path / "model"))
    np.testing.assert_array_equal(loaded.encode(SENTENCES).values, expected)
    assert expected.shape == (len(SENTENCES), 32)
    assert not list((tmp_path / "bank").glob("*.training"))


@pytest.mark.parametrize(
    "tail",
    [
        'ConcatLayers("all") | MeanPool() | ScalarMix(epochs=2)',
        "AttentionPool(latents=2, heads=1, head_dim=4, epochs=1)",
    ],
)
def test_what_a_bank_holds_is_not_trained_again(
    tiny_bert: Path, tmp_path: Path, tail: str, trainings: list[str]
) -> None:
    def fitted(texts: list[str], labels: list[str]) -> np.ndarray:
        recipe = plait.parse(f'Transformer("{tiny_bert}") | {tail}')
        return np.asarray(recipe.fit(texts, labels, bank=Bank(tmp_path / "bank")).encode(SENTENCES).values)

    labels = ["odd" if n % 2 else "even" for n in range(len(SENTENCES))]
    first = fitted(list(SENTENCES), labels)
    np.testing.assert_array_equal(fitted(list(SENTENCES), labels), first)
    assert len(trainings) == 1
    (kept,) = (tmp_path / "bank").glob("*.trained")
    kept.write_bytes(kept.read_bytes()[:99])
    np.testing.assert_array_equal(fitted(list(SENTENCES), labels), first)
    assert len(trainings) == 2  # a damaged one is made anew
    trainings.pop()
    fitted(list(SENTENCES), [labels[1], *labels[1:]])
    fitted([*SENTENCES[1:], "another text"], labels)
    assert len(trainings) == 3
