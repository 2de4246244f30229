"""The samples in the package: whole, small, with their licence, and what their names promise."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from plait.data import Judgements, Labels, Pairs, Tags, demos, named, read, split, stream_texts
from plait.data.sets import SAMPLES
from plait.types import DataError

SIZES = {
    "banking77": ("classification", {"train": 720, "test": 240}),
    "crossner": ("tagging", {"train": 100, "dev": 350, "test": 431}),
    "scifact": ("retrieval", {"dev": 200, "test": 300}),
    "stsb": ("sts", {"dev": 600, "test": 600}),
}


def test_all_samples_are_known() -> None:
    assert demos() == sorted(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_sizes(name: str) -> None:
    task = read(f"demo:{name}")
    kind, parts = SIZES[name]
    assert task.kind == kind
    assert task.name == f"demo:{name}"
    assert {part: len(examples) for part, examples in task.parts.items()} == parts
    assert task.notes == ()
    assert task.proxy is None
    assert len(split(task).folds) == 1


def test_they_are_small_and_say_where_they_come_from() -> None:
    files = [path for path in SAMPLES.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1_500_000
    for name in demos():
        text = (SAMPLES / name / "README.md").read_text()
        assert "Licence:" in text
        assert "Source:" in text
        assert "Changed:" in text


def test_scifact() -> None:
    task = read("demo:scifact")
    for part in task.parts.values():
        assert isinstance(part, Judgements)
        assert all(relevant for relevant in part.relevant)
    assert max(len(str(text).split()) for text in task.documents) < 200
    assert len(list(stream_texts("demo:scifact"))) == 1000


def test_stsb() -> None:
    for part in read("demo:stsb").parts.values():
        assert isinstance(part, Pairs)
        assert part.score.min() == 0
        assert part.score.max() == 5


def test_banking77() -> None:
    task = read("demo:banking77")
    for part, most in (("train", 60), ("test", 20)):
        examples = task.parts[part]
        assert isinstance(examples, Labels)
        assert set(Counter(examples.labels).values()) == {most}


def test_crossner() -> None:
    task = read("demo:crossner")
    for part in task.parts.values():
        assert isinstance(part, Tags)
        assert all(len(task.documents[row]) == len(tags) for row, tags in zip(part.rows, part.tags, strict=True))


def test_reading_twice_gives_the_same() -> None:
    one, two = read("demo:scifact"), read("demo:scifact")
    assert one.documents == two.documents
    assert one.corpus is not None
    assert two.corpus is not None
    assert np.array_equal(one.corpus, two.corpus)


def test_names_that_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="did you mean demo:stsb"):
        read("demo:stbs")
    monkeypatch.delenv("PLAIT_DATA", raising=False)
    with pytest.raises(DataError, match="PLAIT_DATA"):
        read("data:sts/stsb")
    monkeypatch.setenv("PLAIT_DATA", str(tmp_path))
    assert named("data:a/b") == tmp_path / "a" / "b"
    with pytest.raises(DataError, match="is not there"):
        read("data:a")
