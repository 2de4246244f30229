from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import Cli
from tests.store.makers import TEXTS


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs commands in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("PLAIT_DEBUG", raising=False)
    return Cli(capsys)


@pytest.fixture
def recipe(tiny_table: Path) -> str:
    return f'StaticTable("{tiny_table}") | MeanPool()'


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n")
    return path
