from __future__ import annotations

import builtins
import shutil
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

import plait
from plait.store import Record, Table
from plait.store.lance import LanceRows
from plait.store.records import Columns
from plait.types import DataError, MissingExtra, RecipeError
from tests.store.makers import TEXTS, codes, floats, many
from tests.store.test_vector_file import cosine_order

pytest.importorskip("lancedb")
Disk = namedtuple("Disk", "total used free")


def test_search_is_exact(tiny_table: Path, tmp_path: Path) -> None:
    recipe, texts = floats(tiny_table), many(80)
    table = Table.create(tmp_path / "t", recipe, texts)
    rows = recipe.encode(texts).values
    for query in ("dogs and rabbits", "a transfer to the bank"):
        vector = recipe.encode([query]).values
        hits = table.search(query, k=12)
        assert [int(hit.id) for hit in hits] == cosine_order(vector, rows)[:12]
        lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(vector)
        cosines = (rows @ vector[0]) / lengths
        np.testing.assert_allclose([h.score for h in hits], cosines[[int(h.id) for h in hits]], atol=1e-5)


@pytest.mark.parametrize("kind", ["Int8", "Binary"])
def test_codes(tiny_table: Path, tmp_path: Path, kind: str) -> None:
    table = Table.create(tmp_path / "t", codes(tiny_table, kind), many(40))
    assert all(hit.text.startswith(TEXTS[2]) for hit in table.search(TEXTS[2], k=3))
    assert table.add([TEXTS[2]]) == 1
    assert TEXTS[2] in [hit.text for hit in table.search(TEXTS[2], k=20)]


def test_opened_again_it_needs_nothing_else(tiny_table: Path, tmp_path: Path) -> None:
    recipe = codes(tiny_table, "Int8")
    made = Table.create(tmp_path / "t", recipe, many(30))
    again = Table.open(tmp_path / "t")
    assert again.fingerprint == made.fingerprint == recipe.fingerprint
    assert again.search(TEXTS[1], k=5) == made.search(TEXTS[1], k=5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t"]


def test_records_keep_ids_and_metadata(tiny_table: Path, tmp_path: Path) -> None:
    records = [Record(text, f"doc-{n}", {"page": n, "tags": ["ä", None]}) for n, text in enumerate(TEXTS)]
    table = Table.create(tmp_path / "t", floats(tiny_table), records)
    (hit,) = table.search(TEXTS[3], k=1)
    assert (hit.id, hit.text, hit.metadata) == ("doc-3", TEXTS[3], {"page": 3, "tags": ["ä", None]})
    with pytest.raises(DataError, match="cannot be kept as JSON"):
        table.add([Record("x", metadata={"no": object()})])


def test_equal_texts_come_in_order(tiny_table: Path, tmp_path: Path) -> None:
    table = Table.create(tmp_path / "t", floats(tiny_table), [TEXTS[n % 2] for n in range(40)])
    assert [hit.id for hit in table.search(TEXTS[1], k=5)] == ["1", "3", "5", "7", "9"]


def test_more_results_than_records(tiny_table: Path, tmp_path: Path) -> None:
    table = Table.create(tmp_path / "t", floats(tiny_table), TEXTS)
    assert len(table.search("x", k=100)) == len(TEXTS)
    with pytest.raises(RecipeError, match="k is 0"):
        table.search("x", k=0)


def test_empty_texts_do_no_harm(tiny_table: Path, tmp_path: Path) -> None:
    table = Table.create(tmp_path / "t", floats(tiny_table), ["", TEXTS[0], "  "])
    assert table.search(TEXTS[0], k=1)[0].id == "1"
    assert [hit.score for hit in table.search("", k=3)] == [0, 0, 0]


def test_writes_are_large(tiny_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    original = LanceRows.write

    def write(self: LanceRows, columns: Columns, replace: bool = False) -> None:
        written.append(len(columns))
        original(self, columns, replace)

    monkeypatch.setattr(LanceRows, "write", write)
    table = Table.create(tmp_path / "t", floats(tiny_table), (f"text {n}" for n in range(20_000)))
    assert written == [16_384, 20_000 - 16_384]
    assert len(table) == 20_000


def test_another_recipe_is_refused_with_both_named(tiny_table: Path, tmp_path: Path) -> None:
    recipe, other = floats(tiny_table), plait.parse(f'StaticTable("{tiny_table}") | MaxPool()')
    table = Table.create(tmp_path / "t", recipe, TEXTS)
    assert table.search("x", floats(tiny_table))
    with pytest.raises(RecipeError) as caught:
        table.search("x", other)
    for part in (str(recipe), recipe.fingerprint, str(other), other.fingerprint):
        assert part in str(caught.value)


def test_what_is_there_stays(tiny_table: Path, tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "mine.txt").write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(DataError, match="exists; choose another folder"):
            Table.create(tmp_path / "t", floats(tiny_table), TEXTS, overwrite=overwrite)
    Table.create(tmp_path / "u", floats(tiny_table), TEXTS)
    with pytest.raises(DataError, match="no text"):
        Table.create(tmp_path / "u", floats(tiny_table), [], overwrite=True)
    assert len(Table.open(tmp_path / "u")) == len(TEXTS)
    assert len(Table.create(tmp_path / "u", floats(tiny_table), TEXTS[:2], overwrite=True)) == 2


def test_a_stop_leaves_no_half_table(tiny_table: Path, tmp_path: Path) -> None:
    def records() -> object:
        yield TEXTS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Table.create(tmp_path / "t", floats(tiny_table), records())  # type: ignore[arg-type]
    assert not (tmp_path / "t").exists()
    assert len(Table.create(tmp_path / "t", floats(tiny_table), TEXTS)) == len(TEXTS)


def test_no_table_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is no table of vectors; make one with plait index"):
        Table.open(tmp_path)


def test_full_disk(tiny_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Disk(1, 1, 0))
    with pytest.raises(DataError, match="are free"):
        Table.create(tmp_path / "t", floats(tiny_table), TEXTS)
    assert not (tmp_path / "t").exists()


def test_missing_extra(tiny_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("lancedb"):
            raise ImportError(name)
        return original(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setitem(sys.modules, "lancedb", None)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"plait\[store\]"):
        Table.create(tmp_path / "t", floats(tiny_table), TEXTS)
