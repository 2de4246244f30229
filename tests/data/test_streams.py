"""Streams of texts: one for each row, in little memory."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plait.data import TextRow, stream_rows, stream_texts
from plait.types import DataError
from tests.data.writers import ENDINGS, write_table

MEASURED = """
import resource, sys
from plait.data import {name}
import pyarrow.parquet
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = peak()
{code}
print(peak() - before)
"""


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_row_gives_a_text(tmp_path: Path, ending: str) -> None:
    path = write_table(tmp_path / f"t{ending}", {"id": [1, 2, 3], "text": ["a", "", "a"], "label": ["x", "y", "z"]})
    assert list(stream_texts(path)) == ["a", "", "a"]
    assert list(stream_texts(path, "label")) == ["x", "y", "z"]
    with pytest.raises(DataError, match="there is no such column"):
        next(stream_texts(path, "body"))


def test_titles_go_in_front(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.jsonl", {"title": ["T", ""], "text": ["a", "b"]})
    assert list(stream_texts(path)) == ["T a", "b"]


def test_plain_lines(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"a\n\nb\xff\n\xe2\x80\xa8c")
    assert list(stream_texts(tmp_path / "t.txt")) == ["a", "", "b\ufffd", "\u2028c"]


def test_no_column_of_texts(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.csv", {"alpha": ["a"], "beta": ["b"]})
    with pytest.raises(DataError, match="could be the text"):
        next(stream_texts(path))
    assert list(stream_texts(path, "beta")) == ["b"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_rows_bring_ids_and_other_cells(tmp_path: Path, ending: str) -> None:
    columns = {"id": ["x", "y"], "year": [2020, 1999], "text": ["a", "b"], "lang": ["en", ""], "part": [0.5, -3.0]}
    path = write_table(tmp_path / f"t{ending}", columns)
    first, second = {"year": 2020, "lang": "en", "part": 0.5}, {"year": 1999, "part": -3.0}
    assert list(stream_rows(path)) == [TextRow("a", "x", first), TextRow("b", "y", second)]
    assert list(stream_rows(path, key="year", keep=["lang"])) == [
        TextRow("a", "2020", {"lang": "en"}),
        TextRow("b", "1999"),
    ]
    assert [row.id for row in stream_rows(path, column="id")] == [None, None]
    for wrong in ({"key": "nr"}, {"keep": ["nr"]}):
        with pytest.raises(DataError, match="lacks nr"):
            next(stream_rows(path, **wrong))  # type: ignore[arg-type]


def test_rows_of_odd_cells(tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": ["a"],
            "_id": [7],
            "day": [datetime.date(2020, 1, 2)],
            "bytes": [b"x\xff"],
            "many": [["p", None]],
            "nan": [float("nan")],
            "vector": [[0.5, 0.25]],
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    (row,) = stream_rows(tmp_path / "t.parquet")
    assert row == TextRow("a", "7", {"day": "2020-01-02", "bytes": "x\ufffd", "many": ["p", None]})
    (tmp_path / "t.csv").write_text("text,code,big\na,007,12345678901234567890123\n")
    assert next(stream_rows(tmp_path / "t.csv")).metadata == {"code": "007", "big": "12345678901234567890123"}
    (tmp_path / "t.txt").write_text("a\n")
    assert list(stream_rows(tmp_path / "t.txt")) == [TextRow("a")]
    with pytest.raises(DataError, match="lacks nr"):
        next(stream_rows(tmp_path / "t.txt", key="nr"))


def test_rows_of_a_beir_folder_are_its_documents() -> None:
    rows = list(stream_rows("demo:scifact"))
    assert [row.text for row in rows] == list(stream_texts("demo:scifact"))
    assert len({row.id for row in rows}) == len(rows)
    assert rows[0].text.startswith(str(rows[0].metadata["title"]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "code", "most"),
    [
        ("stream_texts", "assert sum(1 for _ in stream_texts(sys.argv[1])) == 1_000_000", 50),
        ("read", "assert len(read(sys.argv[1], 'classification').documents) == 1_000_000", 350),
    ],
)
def test_a_million_lines(tmp_path: Path, name: str, code: str, most: int) -> None:
    path = tmp_path / "t.csv"
    with path.open("w") as file:
        file.write("text,label\n")
        for n in range(1_000_000):
            file.write(
                f"line {n} of a long file, which holds about as many words as a sentence,{n % 7}\n".replace(", w", " w")
            )
    command = [sys.executable, "-c", MEASURED.format(name=name, code=code), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < most
