"""The torch module of a recipe beside the recipe itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from plait import parse
from plait.export.module import RecipeModule
from plait.export.padding import batches, padded
from plait.export.steps import affine
from plait.recipe import vocabulary
from plait.step import Composite, unit_rows
from plait.transforms import Normalize
from plait.types import RecipeError, Tokens
from tests.tiny import SENTENCES

LABELS = ["odd", "even"] * 4 + ["odd"]
POOLINGS = (
    "MeanPool()",
    "WeightedMeanPool()",
    "ClsPool()",
    "LastPool()",
    "SifPool(a=0.1)",
    "MaxPool()",
    "AttentionPool(latents=2, heads=2, head_dim=4, epochs=1)",
)
LAYERS = ("Layer(0)", "Layer(2)", "Layer(-1)", "LayerMean([0, 3])", "ConcatLayers([1, 2])")
BEHIND = (
    "Center()",
    "Standardize()",
    "AllButTheTop(2)",
    "Whitening(8)",
    'Whitening(method="zca")',
    "Pca(9) | Truncate(5)",
    "Normalize()",
    "ClipOutliers(dims=[1, 3])",
    'ClipOutliers(dims=[1, 3], n_std=0.1, mode="winsor")',
    "ScalarMix(layer_norm=True, epochs=1)",
    "LayerAttention(latents=2, heads=2, head_dim=4, epochs=1)",
    "LinearMap(4, epochs=1)",
    "Int8()",
    "Binary()",
    "Truncate(13) | Binary()",
    "ProductQuantizer(4, bits=2)",
    "ProductQuantizer(3, bits=3, rotate=True)",
    "ProductQuantizer(8, bits=8)",
    "ResidualBinary(width=12, loops=2, epochs=1)",
)


def run(recipe: Composite, texts: list[str]) -> np.ndarray:
    module = RecipeModule(recipe).eval()
    arrays = [array for encoder in module.encoders for array in padded(encoder.tokenize(texts))]
    with torch.no_grad():
        return module(*map(torch.from_numpy, arrays)).numpy()


def agrees(text: str) -> None:
    recipe = parse(text).fit(SENTENCES, LABELS)
    expected = recipe.encode(SENTENCES).values
    found = run(recipe, SENTENCES)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    if expected.dtype == np.float32:
        np.testing.assert_allclose(found, expected, atol=2e-4 * max(1.0, float(np.abs(expected).max())))
    else:  # a number on the edge of two codes may fall on either side
        decoded = [unit_rows(recipe.quantiser.inverse_transform(codes)) for codes in (found, expected)]  # type: ignore[union-attr]
        assert np.einsum("ij,ij->i", *decoded).min() > 0.9999


@pytest.mark.parametrize("pooling", POOLINGS)
def test_poolings(tiny_bert: Path, pooling: str) -> None:
    agrees(f'Transformer("{tiny_bert}") | {pooling}')


@pytest.mark.parametrize("pooling", POOLINGS[:6])
def test_poolings_of_decoders_and_prompts(tiny_decoder: Path, pooling: str) -> None:
    agrees(f'Transformer("{tiny_decoder}", prompts="echo") | {pooling}')
    agrees(f'Transformer("{tiny_decoder}") | {pooling}')


@pytest.mark.parametrize("pooling", POOLINGS[:6])
def test_tables(tiny_table: Path, pooling: str) -> None:
    agrees(f'StaticTable("{tiny_table}") | {pooling}')


@pytest.mark.parametrize("layers", LAYERS)
def test_layers(tiny_bert: Path, tiny_decoder: Path, layers: str) -> None:
    agrees(f'Transformer("{tiny_bert}") | {layers} | MeanPool()')
    agrees(f'Transformer("{tiny_decoder}") | {layers} | MeanPool()')


@pytest.mark.parametrize("behind", BEHIND)
def test_steps_behind_the_pooling(tiny_bert: Path, behind: str) -> None:
    agrees(f'Transformer("{tiny_bert}") | ConcatLayers([1, 3]) | MeanPool() | {behind}')


def test_concatenations_and_averages(tiny_bert: Path, tiny_table: Path) -> None:
    bert, table = f'Transformer("{tiny_bert}")', f'StaticTable("{tiny_table}")'
    agrees(f"2 * ({bert} | MaxPool() | Pca(4)) + ({table} | MeanPool()) | Center() | Binary()")
    agrees(f"Average([{bert} | MaxPool(), {bert} | Layer(1) | MeanPool()], weights=[1, 3], normalize=True)")


def test_models_are_run_once(tiny_bert: Path, tiny_table: Path) -> None:
    bert, table = f'Transformer("{tiny_bert}")', f'StaticTable("{tiny_table}")'
    module = RecipeModule(parse(f"({bert} | MaxPool()) + ({table} | MeanPool()) + ({bert} | Layer(1) | MeanPool())"))
    assert [type(encoder).__name__ for encoder in module.encoders] == ["Transformer", "StaticTable"]
    assert module.inputs == [*TOKENS, *(f"{name}_1" for name in TOKENS)]


TOKENS = ("input_ids", "attention_mask", "pool_mask")


def test_the_loaded_model_stays_as_it_is(tiny_decoder: Path) -> None:
    recipe = parse(f'Transformer("{tiny_decoder}") | LastPool()')
    run(recipe, SENTENCES)
    host = next(recipe.strands()).encoder.host  # type: ignore[attr-defined]
    assert host.shares_prefix
    assert not any(module._forward_hooks for module in host.model.modules())


def test_padding_changes_nothing(tiny_bert: Path) -> None:
    for pooling in POOLINGS[:6]:
        recipe = parse(f'Transformer("{tiny_bert}") | {pooling}').fit(SENTENCES)
        together = run(recipe, SENTENCES)
        alone = np.concatenate([run(recipe, [text]) for text in SENTENCES])
        np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Transformer({bert}) | SpanPool('sentences:2')", r"SpanPool.* cannot be exported"),
        ("Transformer({bert}) | PowerSetPool()", r"PowerSetPool.* cannot be exported; take one of .*MeanPool"),
        ("Transformer({bert}) | AttentionTemperature(2) | MeanPool()", "works inside the model"),
        ("Transformer({bert}, on_overflow='chunk') | MeanPool()", "reads windows"),
        ("Transformer({bert}) | MeanPool() | Whitening()", "not fitted|fit it"),
    ],
)
def test_what_cannot_be_exported_is_named(tiny_bert: Path, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        RecipeModule(parse(text.format(bert=repr(str(tiny_bert)))))


def test_a_map_that_is_not_affine_is_told() -> None:
    with pytest.raises(RecipeError, match="no affine map"):
        affine(Normalize(), 4)


def test_every_transform_is_tried() -> None:
    """A new transform or pooling must be exported, or refused on purpose."""
    tried = " ".join([*POOLINGS, *LAYERS, *BEHIND])
    rooms = ("plait.transforms", "plait.pooling", "plait.compression")
    names = {name for name, module in vocabulary().items() if module.startswith(rooms)}
    left_out = {name for name in names if f"{name}(" not in tried}
    assert left_out == REFUSED_OR_AFFINE


REFUSED_OR_AFFINE = {
    "AttentionTemperature",  # works inside the model
    "ExpSetPool",
    "PowerMeanPool",
    "PowerSetPool",
    "SpanPool",
}


def test_batches_hold_every_row_once() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 90, 200)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    nothing = np.zeros(0, np.int64)
    tokens = Tokens(np.ones(offsets[-1], np.int32), offsets, nothing, nothing, nothing, np.zeros(200, np.int64))
    found = batches([tokens], 256)
    assert sorted(np.concatenate(found).tolist()) == list(range(200))
    assert all(len(rows) == 1 or len(rows) * lengths[rows].max() <= 256 for rows in found)
