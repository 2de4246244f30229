"""Layers side by side: each is the layer's own vector, and none costs a pass."""

from pathlib import Path

import numpy as np
import pytest

import plait
from plait import plan
from plait.types import RecipeError
from tests.tiny import SENTENCES


def test_is_the_layers_own_vectors_side_by_side(tiny_bert: Path) -> None:
    host = plait.Transformer(str(tiny_bert))
    found = (host | plait.ConcatLayers([3, 0]) | plait.MaxPool()).encode(SENTENCES).values
    single = [(host | plait.Layer(layer) | plait.MaxPool()).encode(SENTENCES).values for layer in (3, 0)]
    np.testing.assert_array_equal(found, np.hstack(single))


def test_shares_strands_with_single_layers(tiny_bert: Path) -> None:
    host = plait.Transformer(str(tiny_bert))
    stacked = {strand.key for strand in (host | plait.ConcatLayers("all") | plait.MeanPool()).strands()}
    assert stacked == {strand.key for n in range(4) for strand in (host | plait.Layer(n) | plait.MeanPool()).strands()}


def test_all_layers_of_many_recipes_take_one_pass(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = plait.Transformer(str(tiny_bert))
    seen: list[int] = []
    states = plait.Transformer.states

    def counted(self, tokens, layers):  # type: ignore[no-untyped-def]
        seen.append(len(tokens))
        return states(self, tokens, layers)

    monkeypatch.setattr(plait.Transformer, "states", counted)
    recipes = [host | plait.ConcatLayers("all") | pool for pool in (plait.MeanPool(), plait.LastPool())]
    plan.run([s for recipe in recipes for s in recipe.strands()], SENTENCES)
    assert sum(seen) == len(SENTENCES)


@pytest.mark.parametrize("layers", [[], "some", [9], [1, -3], ["1"]])
def test_refuses_layers_that_are_not_there_or_twice(tiny_bert: Path, layers: object) -> None:
    recipe = plait.Transformer(str(tiny_bert)) | plait.ConcatLayers(layers) | plait.MeanPool()  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match=r"ConcatLayers"):
        recipe.encode(["a text"])
