"""Tables: what is written in any format is read back equal."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.data import Labels, Pairs, Tags, read
from plait.types import DataError
from tests.data.writers import ENDINGS, write_table

PLAIN = st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r\n\t\ufeff")
ANY = st.characters(exclude_categories=["Cs"], exclude_characters="\x00\ufeff")
ENDING = st.sampled_from(ENDINGS)


def texts(ending: str) -> st.SearchStrategy[str]:
    """Texts that the format can hold: a tab-separated line has neither tabs nor line ends in it."""
    alphabet = PLAIN if ending.startswith(".tsv") else ANY
    return st.text(alphabet, min_size=1, max_size=30).filter(lambda text: bool(text.strip()))


@settings(max_examples=150, deadline=None)
@given(st.data(), ENDING)
def test_labels_round_trip(data: st.DataObject, ending: str) -> None:
    rows = data.draw(
        st.lists(
            st.tuples(texts(ending), texts(ending).map(str.strip)),
            min_size=2,
            max_size=12,
        ).filter(lambda rows: len({label for _, label in rows}) > 1)
    )
    with tempfile.TemporaryDirectory() as folder:
        path = write_table(Path(folder) / f"t{ending}", {"text": [t for t, _ in rows], "label": [x for _, x in rows]})
        task = read(path)
    part = task.parts["all"]
    assert isinstance(part, Labels)
    assert task.kind == "classification"
    assert [task.documents[row] for row in part.rows] == [text for text, _ in rows]
    assert list(part.labels) == [label for _, label in rows]
    assert len(set(task.documents)) == len(task.documents)


@settings(max_examples=60, deadline=None)
@given(st.data(), ENDING)
def test_scores_round_trip(data: st.DataObject, ending: str) -> None:
    number = st.floats(-1e6, 1e6).map(lambda x: x + 0.0)
    rows = data.draw(st.lists(st.tuples(texts(ending), texts(ending), number), min_size=1, max_size=12))
    columns = {name: [row[n] for row in rows] for n, name in enumerate(("sentence1", "sentence2", "score"))}
    with tempfile.TemporaryDirectory() as folder:
        task = read(write_table(Path(folder) / f"t{ending}", columns))
    part = task.parts["all"]
    assert isinstance(part, Pairs)
    assert [task.documents[row] for row in part.left] == columns["sentence1"]
    assert [task.documents[row] for row in part.right] == columns["sentence2"]
    assert part.score.tolist() == columns["score"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.text(PLAIN, min_size=1, max_size=8), st.sampled_from("AB")), min_size=1, max_size=6),
        min_size=1,
        max_size=6,
    ).filter(lambda rows: len({tag for row in rows for _, tag in row}) > 1),
    st.sampled_from([".jsonl", ".parquet.gz"]),
)
def test_word_lists_round_trip(rows: list[list[tuple[str, str]]], ending: str) -> None:
    columns = {"tokens": [[w for w, _ in row] for row in rows], "ner_tags": [[t for _, t in row] for row in rows]}
    with tempfile.TemporaryDirectory() as folder:
        task = read(write_table(Path(folder) / f"t{ending}", columns))
    part = task.parts["all"]
    assert isinstance(part, Tags)
    assert [list(task.documents[row]) for row in part.rows] == columns["tokens"]
    assert [list(tags) for tags in part.tags] == columns["ner_tags"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_several_labels(tmp_path: Path, ending: str) -> None:
    listed = ending.startswith((".jsonl", ".parquet"))
    labels: list[object] = [["b", "a"], [], ["a"]] if listed else ["b|a", "", "a"]
    task = read(write_table(tmp_path / f"t{ending}", {"text": ["x", "y", "z"], "labels": labels}))
    part = task.parts["all"]
    assert isinstance(part, Labels)
    assert part.multi
    assert part.labels == (("a", "b"), (), ("a",))


def test_semicolons_and_quotes(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('text;label\n"one; two\nthree ""four""";a\nfive;b\n')
    assert list(read(path).documents) == ['one; two\nthree "four"', "five"]


def test_tsv_has_no_quoting(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text('text\tlabel\n"open\ta\nclosed"\tb\n')
    assert list(read(path).documents) == ['"open', 'closed"']


def test_no_header(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("src\t1\t\tGood.\nsrc\t0\t*\tBad.\n")
    task = read(path, columns={"label": 1, "text": 3})
    assert list(task.documents) == ["Good.", "Bad."]


def test_windows_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    for name in ("t.tsv", "t.csv"):
        path = tmp_path / name
        path.write_bytes("\ufefftext,label\r\nä,a\r\nb,b\r\n".replace(",", "\t" if name == "t.tsv" else ",").encode())
        assert list(read(path).documents) == ["ä", "b"]


def test_utf_16(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("text\tlabel\nä\ta\nö\tb\n", encoding="utf-16")
    assert list(read(path).documents) == ["ä", "ö"]


def test_a_single_column_is_the_text_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("remarks\n" + "".join(f"Remark number {n} is short.\n" for n in range(40)))
    assert read(path).proxy


def test_split_column(tmp_path: Path) -> None:
    columns = {
        "text": ["a", "b", "c", "d"],
        "label": ["x", "y", "x", "y"],
        "split": ["train", "train", "validation", "?"],
    }
    task = read(write_table(tmp_path / "t.csv", columns))
    assert {part: len(examples) for part, examples in task.parts.items()} == {"train": 2, "dev": 1}
    assert task.notes == ("1 row whose split is none of train, dev and test dropped", "1 label with a single example")


def test_parts_of_a_folder(tmp_path: Path) -> None:
    for name in ("my.train.csv", "my.valid.csv", "my.test.csv"):
        write_table(tmp_path / name, {"text": [f"a {name}", f"b {name}"], "label": ["x", "y"]})
    (tmp_path / "LICENSE.txt").write_text("free")
    assert sorted(read(tmp_path).parts) == ["dev", "test", "train"]
    assert sorted(read(tmp_path / "my").parts) == ["dev", "test", "train"]
    assert sorted(read([tmp_path / "my.train.csv", tmp_path / "my.test.csv"]).parts) == ["test", "train"]


def test_two_sets_in_a_folder(tmp_path: Path) -> None:
    for name in ("esp.train.csv", "ned.train.csv"):
        write_table(tmp_path / name, {"text": ["a", "b"], "label": ["x", "y"]})
    with pytest.raises(DataError, match=r"several sets.*esp, ned"):
        read(tmp_path)
    assert len(read(tmp_path / "esp").documents) == 2


def test_shards_of_a_part_are_read_together(tmp_path: Path) -> None:
    for n in range(2):
        write_table(tmp_path / f"train-0000{n}-of-00002.parquet", {"text": [f"a{n}", f"b{n}"], "label": ["x", "y"]})
    assert len(read(tmp_path).parts["train"]) == 4


def test_parquet_text_that_is_no_utf8(tmp_path: Path) -> None:
    broken = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0\3\0\0\0"), pa.py_buffer(b"\xff\xfeb")]
    )
    pq.write_table(pa.table({"text": broken, "label": ["x", "y"]}), tmp_path / "t.parquet")
    task = read(tmp_path / "t.parquet")
    assert list(task.documents) == ["\ufffd", "b"]
    assert "1 text with bytes or half characters that are not Unicode, replaced by U+FFFD" in task.notes


def test_a_column_that_only_later_lines_have(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl.gz"
    lines = [json.dumps({"text": f"t{n}", "label": "ab"[n % 2]}) for n in range(3)] + ['{"text": "t3"}', ""]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    task = read(path)
    assert len(task.parts["all"]) == 3
    assert "1 row without label dropped" in task.notes
