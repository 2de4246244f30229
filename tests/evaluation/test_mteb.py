"""The MTEB face of a recipe, held against the documented protocol; against mteb itself where it is installed."""

from __future__ import annotations

import importlib.util
from enum import StrEnum
from pathlib import Path

import numpy as np
import pytest

from plait.compression import Int8
from plait.encoders import StaticTable
from plait.evaluation import as_mteb
from plait.pooling import MeanPool
from plait.types import RecipeError

TEXTS = ["cats and dogs", "rain in the north", "a word"]


class PromptType(StrEnum):
    query = "query"
    document = "document"


@pytest.fixture
def recipe(tiny_table: Path):
    return StaticTable(str(tiny_table)) | MeanPool()


def test_batches_are_joined_in_order(recipe) -> None:
    model = as_mteb(recipe)
    found = model.encode(
        [{"text": TEXTS[:2]}, {"text": TEXTS[2:]}],
        task_metadata=None,
        hf_split="test",
        hf_subset="default",
        prompt_type=PromptType.query,
        batch_size=2,
    )
    assert found.tolist() == recipe.encode(TEXTS).values.tolist()


def test_roles_are_passed_on(recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    roles, encode = [], type(recipe).encode

    def spy(self, items, role="document"):
        roles.append(role)
        return encode(self, items, role)

    monkeypatch.setattr(type(recipe), "encode", spy)
    for prompt_type in (PromptType.query, PromptType.document, None):
        as_mteb(recipe).encode([{"text": TEXTS}], prompt_type=prompt_type)
    assert roles == ["query", "document", "document"]


def test_codes_are_decoded(recipe) -> None:
    coded = (recipe | Int8()).fit(TEXTS)
    found = as_mteb(coded).encode([{"text": TEXTS}])
    assert found == pytest.approx(recipe.encode(TEXTS).values, abs=0.05)


def test_similarities_are_cosines(recipe) -> None:
    model, rng = as_mteb(recipe), np.random.default_rng(0)
    a, b = rng.normal(size=(2, 4, 5)).astype(np.float32)
    expected = (a @ b.T) / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)
    assert model.similarity(a, b) == pytest.approx(expected, abs=1e-6)
    assert model.similarity(a[0], b).shape == (1, 4)
    assert model.similarity_pairwise(a, b) == pytest.approx(expected.diagonal(), abs=1e-6)


def test_a_recipe_without_vectors_is_refused(tiny_table: Path) -> None:
    with pytest.raises(RecipeError, match="end with a pooling"):
        as_mteb(StaticTable(str(tiny_table)))  # type: ignore[arg-type]


@pytest.mark.skipif(importlib.util.find_spec("mteb") is None, reason="mteb is not installed")
def test_mteb_takes_it_for_an_encoder(recipe) -> None:
    from mteb.models import EncoderProtocol
    from mteb.models.model_meta import ModelMeta

    model = as_mteb(recipe)
    assert isinstance(model, EncoderProtocol)
    assert isinstance(model.mteb_model_meta, ModelMeta)
    assert recipe.fingerprint in str(model.mteb_model_meta.name)
