"""Data sets through the `datasets` library, from a local folder in the hub's layout."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from plait.data import Labels, Tags, read
from plait.types import DataError, MissingExtra
from tests.data.writers import write_table

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    datasets.disable_progress_bars()


def test_parts_and_labels(tmp_path: Path) -> None:
    write_table(tmp_path / "train.csv", {"text": ["a", "b", "c"], "label": ["x", "y", "x"]})
    write_table(tmp_path / "validation.csv", {"text": ["d"], "label": ["y"]})
    task = read(f"hf:{tmp_path}")
    assert task.kind == "classification"
    assert {part: len(examples) for part, examples in task.parts.items()} == {"train": 3, "dev": 1}


def test_class_numbers_become_names(tmp_path: Path) -> None:
    features = datasets.Features(
        {
            "tokens": datasets.List(datasets.Value("string")),
            "ner_tags": datasets.List(datasets.ClassLabel(names=["O", "B-X"])),
        }
    )
    rows = {"tokens": [["a", "b"], ["c"]], "ner_tags": [[0, 1], [1]]}
    made = datasets.Dataset.from_dict(rows, features=features)
    (tmp_path / "data").mkdir()
    made.to_parquet(tmp_path / "data" / "train.parquet")
    part = read(f"hf:{tmp_path}").parts["train"]
    assert isinstance(part, Tags)
    assert part.tags == (("O", "B-X"), ("B-X",))


def test_rows_without_a_class(tmp_path: Path) -> None:
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["n", "p"])})
    made = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [0, 1, -1]}, features=features)
    made.to_parquet(tmp_path / "train.parquet")
    task = read(f"hf:{tmp_path}")
    part = task.parts["train"]
    assert isinstance(part, Labels)
    assert part.labels == ("n", "p")
    assert "1 row without label dropped" in task.notes


def test_a_set_that_cannot_be_had() -> None:
    with pytest.raises(DataError, match="'nobody/nothing' cannot be loaded"):
        read("nobody/nothing")


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"plait\[hf\]"):
        read("hf:nobody/nothing")
    with pytest.raises(DataError, match=r"no file or folder nobody/nothing.*plait\[hf\]"):
        read("nobody/nothing")
