from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import plait
from plait.serve.errors import ApiError
from plait.serve.models import Model, model_name, sorted_dimensions, with_those_of
from plait.serve.searching import TableIndex
from plait.step import Composite
from plait.types import RecipeError
from tests.store.makers import TEXTS, codes, many


@pytest.mark.parametrize(
    ("steps", "sorts"),
    [
        ("", False),
        (" | Center()", False),
        (" | Normalize()", False),
        (" | Pca(8)", True),
        (" | Pca(8) | Normalize() | Normalize()", True),
        (" | Pca(8) | Standardize()", False),
        (" | Truncate(8)", True),
        (" | Whitening(8)", True),
        (' | Whitening(8, method="zca")', False),
        (" | Pca(8) | Int8()", True),
        (" | Int8()", False),
    ],
)
def test_vectors_are_cut_only_where_their_dimensions_are_sorted(recipe: Composite, steps: str, sorts: bool) -> None:
    model = Model.of("m", plait.parse(f"{recipe}{steps}").fit(many(100)))
    assert model.cuttable is sorts
    assert Model.of("m", model.recipe, matryoshka=True).cuttable


def test_a_concatenation_is_in_no_order(recipe: Composite) -> None:
    assert not sorted_dimensions(plait.parse(f"({recipe} | Pca(8)) + ({recipe} | Pca(8))"))


def test_a_cut_vector_has_length_one_and_the_first_numbers(recipe: Composite) -> None:
    model = Model.of("m", recipe, matryoshka=True)
    whole = recipe.encode(TEXTS).values
    model.check_dimensions(5)
    cut = model.cut(whole, 5)
    np.testing.assert_allclose(cut, whole[:, :5] / np.linalg.norm(whole[:, :5], axis=1, keepdims=True), atol=1e-6)
    for every in (None, 16):
        model.check_dimensions(every)
        np.testing.assert_array_equal(model.cut(whole, every), whole)
    with pytest.raises(ApiError, match="expected 1 to 16"):
        model.check_dimensions(17)


def test_what_cannot_be_served_is_refused(tiny_bert: Path, recipe: Composite) -> None:
    with pytest.raises(RecipeError, match="yet to learn"):
        Model.of("m", plait.parse(f"{recipe} | Pca(8)"))
    with pytest.raises(RecipeError, match="one vector a chunk"):
        Model.of("m", plait.parse(f'Transformer("{tiny_bert}") | SpanPool("tokens:8")'))


def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert model_name("runs/mine") == "mine"
    assert model_name("./mine/model") == "mine"


def test_models_of_other_collections_are_served_too(tables: Path, recipe: Composite, tiny_table: Path) -> None:
    indexes = [TableIndex(tables / name) for name in ("first", "second", "first")]
    models = with_those_of(Model.of("second", recipe), indexes)
    assert [(model.name, model.recipe.fingerprint) for model in models] == [
        ("second", recipe.fingerprint),
        ("second-2", indexes[1].recipe.fingerprint),
    ]
    assert Model.of("codes", codes(tiny_table, "Int8")).width == 16
