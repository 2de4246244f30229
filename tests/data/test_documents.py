"""Folders in which each file is a document."""

from __future__ import annotations

from pathlib import Path

import pytest

from plait.data import read
from plait.data.streams import stream_rows, stream_texts
from plait.types import DataError


def test_a_file_is_a_text(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.md").write_text("no heading\nhere")
    (tmp_path / "a.md").write_text("# About cats\n\nThey purr.\n")
    (tmp_path / "notes.txt").write_text("one line\nanother\n")
    (tmp_path / ".hidden.md").write_text("secret")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    rows = list(stream_rows(tmp_path))
    assert [(row.id, row.metadata) for row in rows] == [
        ("a.md", {"title": "About cats"}),
        ("notes.txt", {"title": "notes"}),
        ("sub/b.md", {"title": "b"}),
    ]
    assert rows[0].text == "# About cats\n\nThey purr.\n"
    assert list(stream_texts(tmp_path)) == [row.text for row in rows]


@pytest.mark.parametrize("name", ["banking77", "crossner"])
def test_what_lies_beside_data_is_no_document(name: str) -> None:
    texts = list(stream_texts(f"demo:{name}"))
    assert len(texts) > 500
    assert not any("Licence:" in text for text in texts)
    assert len(list(stream_rows(f"demo:{name}"))) == len(texts)


def test_a_readme_alone_is_a_document(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# About\n")
    assert list(stream_texts(tmp_path)) == ["# About\n"]


def test_plain_files_are_documents_unless_they_are_parts(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.txt").write_text(f"{name}\nof two\n")
    assert list(stream_texts(tmp_path)) == ["one\nof two\n", "two\nof two\n"]
    for name in ("train", "test"):
        (tmp_path / f"{name}.txt").write_text("a line\nanother\n")
    (tmp_path / "one.txt").unlink()
    (tmp_path / "two.txt").unlink()
    assert list(stream_texts(tmp_path)) == ["a line", "another"] * 2


def test_a_beir_folder_with_a_readme_stays_one(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"_id": "1", "title": "", "text": "a text"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "a query"}\n')
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\t1\t1\n")
    (tmp_path / "README.md").write_text("# About this set\n")
    assert list(stream_texts(tmp_path)) == ["a text"]
    assert [row.id for row in stream_rows(tmp_path)] == ["1"]
    assert len(read(tmp_path).documents) == 1


def test_what_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.md").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match=r"bad\.md is no UTF-8 text \(byte 3\)"):
        list(stream_texts(tmp_path))
