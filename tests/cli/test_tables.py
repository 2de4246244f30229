from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.cli.running import Cli
from tests.store.makers import TEXTS

pytest.importorskip("lancedb")


@pytest.fixture
def table(cli: Cli, recipe: str, tmp_path: Path) -> str:
    rows = [
        {"id": f"it's {n}", "text": text, "year": 2000 + n, "lang": ["en", "de"][n % 2]} for n, text in enumerate(TEXTS)
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert cli("index", recipe, "in.jsonl", "-o", "table").status == 0
    return "table"


def ids(cli: Cli, *more: str) -> list[str]:
    return sorted(hit["id"] for hit in json.loads(cli("search", "table", "x", "--json", *more).out))


def test_where(cli: Cli, table: str) -> None:
    assert ids(cli, "--where", "year>=2003") == ["it's 3", "it's 4"]
    assert ids(cli, "--where", "year>=2001", "--where", "lang=de,fr") == ["it's 1", "it's 3"]
    (hit,) = json.loads(cli("search", table, TEXTS[2], "-k", "1", "--json").out)
    assert hit["metadata"] == {"year": 2002, "lang": "en"}


def test_upsert_with_chosen_columns(cli: Cli, recipe: str, table: str, tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_text('key,body,year,note\n"it\'s 1",about whales,1851,x\nnew,about a dog,1903,y\n')
    options = ["--id", "key", "--column", "body", "--metadata", "year"]
    done = cli("index", recipe, "more.csv", "-o", table, "--upsert", *options)
    assert done.out.splitlines()[0] == "2 texts stored, 6 in table"
    (hit,) = json.loads(cli("search", table, "about whales", "-k", "1", "--json").out)
    assert (hit["id"], hit["metadata"]) == ("it's 1", {"year": 1851})
    done = cli("index", recipe, "more.csv", "-o", table, "--add", *options)
    assert done.status == 2
    assert '"it\'s 1" is in table already' in done.err


def test_delete_versions_restore_compact(cli: Cli, table: str, tmp_path: Path) -> None:
    version = json.loads(cli("table", "versions", table, "--json").out)[-1]
    assert version["rows"] == 5
    (tmp_path / "ids.txt").write_text("it's 0\nit's 4\nnobody\n")
    done = cli("table", "delete", table, "ids.txt")
    assert done.out == "2 deleted, 1 were not there, 3 left in table\n"
    (tmp_path / "ids.json").write_text(json.dumps(["it's 1"]))
    assert cli("table", "delete", table, "ids.json").out.startswith("1 deleted, 0 were not there, 2 left")
    assert ids(cli) == ["it's 2", "it's 3"]
    listed = cli("table", "versions", table).out.splitlines()
    assert [line.split()[-2] for line in listed][-3:] == ["5", "3", "2"]
    assert cli("table", "restore", table, str(version["number"])).out.endswith("5 records\n")
    assert len(ids(cli)) == 5
    assert cli("table", "compact", table, "--keep-days", "0").status == 0
    assert len(json.loads(cli("table", "versions", table, "--json").out)) == 1


def test_dump(cli: Cli, table: str, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("it's 0\n")
    version = json.loads(cli("table", "versions", table, "--json").out)[-1]["number"]
    cli("table", "delete", table, "ids.txt")
    assert cli("dump", table, "v.parquet").out.startswith("4 records in v.parquet, ")
    assert pq.read_table("v.parquet").column("id").to_pylist() == [f"it's {n}" for n in range(1, 5)]
    assert cli("search", "v.parquet", "x", "-k", "1").status == 0
    assert cli("dump", table, "v.npy", "--version", str(version)).status == 0
    assert np.load("v.npy", allow_pickle=False).shape == (5, 16)
    assert cli("dump", table, "v.sql", "--half", "--name", "docs").status == 0
    assert 'COPY "docs"' in Path("v.sql").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dump", "nowhere", "v.npy"], "is no table of vectors"),
        (["dump", "table", "v.csv"], "neither .parquet"),
        (["dump", "table", "v.npy", "--version", "99"], "has no version 99"),
        (["table", "restore", "table", "99"], "has no version 99"),
        (["table", "delete", "table", "none.txt"], "none.txt"),
        (["table", "delete", "table", "bad.json"], "expected a list of ids"),
        (["table", "delete", "nowhere", "ids.txt"], "is no table of vectors"),
    ],
)
def test_what_goes_wrong_is_said(cli: Cli, table: str, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "ids.txt").write_text("a\n")
    (tmp_path / "bad.json").write_text("{}")
    done = cli(*arguments)
    assert done.status == 2
    assert message in done.err
    assert "Traceback" not in done.err
