from __future__ import annotations

import json
from pathlib import Path

import plait
from plait.encoders.packaged import PACKAGED
from tests.cli.running import Cli
from tests.store.makers import many


def test_lists_models(cli: Cli) -> None:
    facts = json.loads(cli("info", "--json").out)
    assert set(facts) == {one.name for one in PACKAGED}


def test_a_table(cli: Cli, tiny_table: Path) -> None:
    facts = json.loads(cli("info", tiny_table, "--json").out)
    rows = plait.StaticTable(str(tiny_table)).table.vectors.shape[0]
    assert (facts["kind"], facts["depth"], facts["width"], facts["tokens"]) == ("static table", 0, 16, rows)
    assert (facts["parameters"], facts["bytes"], facts["verified"]) == (16 * rows, 64 * rows, False)


def test_a_transformer(cli: Cli, tiny_bert: Path) -> None:
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(tiny_bert, dtype=torch.float32)
    facts = json.loads(cli("info", tiny_bert, "--json").out)
    assert (facts["depth"], facts["width"], facts["max_length"]) == (3, 32, 64)
    assert facts["parameters"] == sum(p.numel() for p in model.parameters())
    assert len(facts["sha256"]) == 64


def test_a_recipe_and_a_saved_one(cli: Cli, tiny_table: Path, tmp_path: Path) -> None:
    text = f'StaticTable("{tiny_table}") | MeanPool() | Int8()'
    facts = json.loads(cli("info", text, "--json").out)
    assert (facts["recipe"], facts["fitted"]) == (text, False)
    recipe = plait.parse(text).fit(many(50))
    plait.save(recipe, tmp_path / "model", {"test accuracy": "0.9", "seed": 0})
    facts = json.loads(cli("info", "model", "--json").out)
    assert (facts["fingerprint"], facts["vector"]) == (recipe.fingerprint, "16 × int8")
    assert (facts["test accuracy"], facts["seed"]) == ("0.9", "0")
    assert "0.9" in cli("info", "model").out


def test_a_model_that_is_not_there(cli: Cli) -> None:
    done = cli("info", "wordlama")
    assert done.status == 2
    assert "Did you mean 'wordllama'" in done.err
