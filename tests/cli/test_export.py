from __future__ import annotations

from pathlib import Path

from plait.export import OnnxRecipe
from tests.cli.running import Cli


def test_export_as_onnx(cli: Cli, recipe: str, tmp_path: Path) -> None:
    done = cli("export", recipe, "exported")
    assert done.status == 0
    assert "alike on sample texts" in done.out
    assert OnnxRecipe(tmp_path / "exported").recipe == recipe


def test_export_as_a_folder(cli: Cli, recipe: str, tmp_path: Path) -> None:
    done = cli("export", recipe, "folder", "--to", "sentence-transformers")
    assert done.status == 0
    assert (tmp_path / "folder" / "modules.json").exists()
    assert cli("export", recipe, ".").status == 2
