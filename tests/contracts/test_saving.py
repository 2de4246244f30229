"""A fitted recipe, saved and loaded, is the same recipe: text, fingerprint and bytes out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import plait
from plait.chunks import cuts
from plait.roles import Pooling, Quantiser, Transform
from plait.step import Composite, Step
from plait.types import RecipeError
from tests.contracts.makers import MAKERS, Places
from tests.tiny import SENTENCES

TEXTS = [*SENTENCES, *(f"{sentence} And so on, {n} times." for n, sentence in enumerate(SENTENCES))]

LABELS = ["odd" if n % 2 else "even" for n in range(len(TEXTS))]
"""For steps that are trained; the others do not look at them."""


def recipe_with(step: Step, places: Places) -> Composite:
    """A short recipe that the step is part of."""
    table = MAKERS["StaticTable"](places)
    if isinstance(step, Composite):
        return step
    if isinstance(step, Pooling):
        return (plait.Transformer(str(places.bert)) if cuts(step) else table) | step | plait.Center()
    if isinstance(step, Transform | Quantiser):
        return table | plait.MeanPool() | step
    host = places.experts if isinstance(step, plait.RouterWeights) else places.bert
    encoder = step if step.takes is str else plait.Transformer(str(host), prompts="a {blank} {text}") | step
    return encoder | plait.MeanPool() | plait.Center()


def test_saved_and_loaded_is_the_same(any_step: Step, places: Places, tmp_path: Path) -> None:
    recipe = recipe_with(any_step, places).fit(TEXTS, LABELS)
    loaded = plait.load(plait.save(recipe, tmp_path / "model"))
    assert str(loaded) == str(recipe)
    assert loaded.fingerprint == recipe.fingerprint
    assert loaded.encode(TEXTS).values.tobytes() == recipe.encode(TEXTS).values.tobytes()


def test_saved_twice_is_the_same_files(any_step: Step, places: Places, tmp_path: Path) -> None:
    made = clone(recipe_with(any_step, places))
    folders = [plait.save(clone(made).fit(TEXTS, LABELS), tmp_path / name) for name in ("one", "two")]
    one, two = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert one == two


def test_equal_text_is_the_same_recipe_however_it_was_put_together(places: Places, tmp_path: Path) -> None:
    joined = ((MAKERS["StaticTable"](places) | plait.MeanPool()) | plait.Center()).fit(TEXTS, LABELS)
    flat = plait.parse(str(joined)).fit(TEXTS, LABELS)
    assert joined.fingerprint == flat.fingerprint
    assert plait.load(plait.save(joined, tmp_path / "model")).fingerprint == joined.fingerprint
    with pytest.raises(RecipeError, match="inside a chain"):
        plait.Chain([MAKERS["StaticTable"](places) | plait.MeanPool(), plait.Center()])


def test_changed_arrays_are_noticed(places: Places, tmp_path: Path) -> None:
    folder = plait.save(recipe_with(plait.Whitening(4), places).fit(TEXTS, LABELS), tmp_path / "model")
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(RecipeError, match="damaged"):
        plait.load(folder)


def test_loading_does_not_touch_what_was_saved(places: Places, tmp_path: Path) -> None:
    recipe = recipe_with(plait.Center(), places).fit(TEXTS, LABELS)
    before = recipe.encode(TEXTS).values.copy()
    other = plait.load(plait.save(recipe, tmp_path / "model"))
    other.fit(TEXTS[:3], LABELS[:3])
    np.testing.assert_array_equal(recipe.encode(TEXTS).values, before)
