"""Recipes as ONNX files, run by onnxruntime."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from plait import parse
from plait.export import OnnxRecipe, to_onnx
from plait.step import Composite
from plait.types import ModelError, RecipeError
from tests.tiny import SENTENCES

pytest.importorskip("onnxruntime")

WITHOUT_TORCH = """
import json, sys
class Absent:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent)
from plait.export import OnnxRecipe
print(json.dumps(OnnxRecipe(sys.argv[1]).encode(json.loads(sys.argv[2]), "query").tolist()))
"""


@pytest.fixture(scope="module")
def recipe(tiny_bert: Path, tiny_table: Path) -> Composite:
    prompts = {"query": "query: ", "document": ""}
    bert, table = f'Transformer("{tiny_bert}", prompts={prompts})', f'StaticTable("{tiny_table}")'
    text = f"2 * ({bert} | LayerMean([1, 2]) | MaxPool() | Pca(8)) + ({table} | SifPool()) | Whitening(6)"
    return parse(text).fit(SENTENCES)


@pytest.fixture(scope="module")
def folder(recipe: Composite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = to_onnx(recipe, tmp_path_factory.mktemp("onnx") / "exported")
    assert written.agreement >= 0.9999
    return written.folder


@pytest.mark.parametrize("role", ["query", "document"])
def test_vectors_are_the_recipes(recipe: Composite, folder: Path, role: str) -> None:
    found = OnnxRecipe(folder).encode(SENTENCES, role)
    np.testing.assert_allclose(found, recipe.encode(SENTENCES, role).values, atol=1e-4)


def test_no_torch_is_needed(recipe: Composite, folder: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, str(folder), json.dumps(SENTENCES)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    np.testing.assert_allclose(json.loads(done.stdout), recipe.encode(SENTENCES, "query").values, atol=1e-4)


def test_the_graph_stands_alone(recipe: Composite, folder: Path) -> None:
    """Its inputs can be filled without plait; it says what it was made from."""
    import onnx

    graph = onnx.load(folder / "model.onnx")
    onnx.checker.check_model(graph)
    assert {entry.key: entry.value for entry in graph.metadata_props}["plait.recipe"] == str(recipe)
    assert [given.name for given in graph.graph.output] == ["vectors"]


def test_blocks_that_are_not_read_are_left_out(tiny_bert: Path, tmp_path: Path) -> None:
    import onnx

    recipe = parse(f'Transformer("{tiny_bert}") | Layer(1) | MeanPool() | Truncate(12) | Binary()')
    low = to_onnx(recipe, tmp_path / "low")
    assert low.agreement == 1.0
    assert OnnxRecipe(low.folder).encode(SENTENCES).dtype == np.uint8
    kept = {array.name for array in onnx.load(low.folder / "model.onnx").graph.initializer}
    assert any("layer.0." in name for name in kept)
    assert not any("layer.1." in name for name in kept)


def test_no_text_and_batches(recipe: Composite, folder: Path) -> None:
    exported = OnnxRecipe(folder, threads=1)
    assert exported.encode([]).shape == (0, 6)
    many = [f"{text} {number}" for number in range(300) for text in SENTENCES]
    np.testing.assert_allclose(exported.encode(many)[::-1], exported.encode(many[::-1]), atol=1e-5)
    with pytest.raises(RecipeError, match="expected one of query, document"):
        exported.encode(["a"], "passage")


def test_folders_are_not_overwritten_and_not_guessed(recipe: Composite, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    with pytest.raises(RecipeError, match="holds no export"):
        to_onnx(recipe, tmp_path / "mine")
    with pytest.raises(RecipeError, match=r"model\.onnx, plait\.json is not there"):
        OnnxRecipe(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "all of it"


def test_an_export_that_differs_is_not_kept(recipe: Composite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OnnxRecipe, "encode", lambda self, texts, role="document": np.ones((len(texts), 6), np.float32))
    with pytest.raises(ModelError, match="gives other vectors"):
        to_onnx(recipe, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_decoders(tiny_decoder: Path, tmp_path: Path) -> None:
    text = f'Transformer("{tiny_decoder}", prompts="echo", dtype="bfloat16") | WeightedMeanPool() | Int8()'
    written = to_onnx(parse(text).fit(SENTENCES), tmp_path / "out")
    assert written.agreement > 0.99
    assert OnnxRecipe(written.folder).encode(SENTENCES).dtype == np.int8


@pytest.mark.slow
@pytest.mark.parametrize("model", ["all-MiniLM-L6-v2", "all-mpnet-base-v2"])
def test_real_models(model: str, tmp_path: Path) -> None:
    recipe = parse(f'Transformer("{model}") | LayerMean([1, -1]) | MeanPool() | Whitening(6)').fit(SENTENCES * 2)
    assert to_onnx(recipe, tmp_path / "out").agreement >= 0.9999
