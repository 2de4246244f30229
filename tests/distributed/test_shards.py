from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plait.data import stream_texts
from plait.distributed import cut
from plait.distributed.shards import Shard, find_shards
from plait.types import DataError


def lines(path: Path, *texts: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def test_files_of_a_folder_at_any_depth(tmp_path: Path) -> None:
    lines(tmp_path / "in" / "b.jsonl", "b")
    lines(tmp_path / "in" / "deep" / "er" / "a.jsonl.gz", "a")
    pq.write_table(pa.table({"text": ["c"]}), tmp_path / "in" / "c.parquet")
    (tmp_path / "in" / "README.txt").write_text("no shard")
    shards = find_shards(tmp_path / "in")
    assert [shard.name for shard in shards] == ["b", "c", "deep/er/a"]
    assert [next(stream_texts(shard.source)) for shard in shards] == ["b", "c", "a"]
    assert shards[2].output(tmp_path / "out") == tmp_path / "out" / "deep" / "er" / "a.parquet"
    assert Shard.from_json(shards[2].to_json()) == shards[2]


def test_patterns_and_single_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("x1", "x2", "y"):
        lines(tmp_path / "in" / f"{name}.jsonl", name)
    monkeypatch.chdir(tmp_path)
    assert [shard.name for shard in find_shards("in/x*.jsonl")] == ["x1", "x2"]
    assert [shard.name for shard in find_shards("**/*.jsonl")] == ["x1", "x2", "y"]
    (one,) = find_shards("in/y.jsonl")
    assert (one.name, one.source) == ("y", tmp_path / "in" / "y.jsonl")


def test_files_without_rows_are_passed_over(tmp_path: Path) -> None:
    lines(tmp_path / "in" / "a.jsonl", "a")
    lines(tmp_path / "in" / "b.jsonl")
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "in" / "c.parquet")
    assert [shard.name for shard in find_shards(tmp_path / "in")] == ["a"]
    (tmp_path / "in" / "a.jsonl").unlink()
    with pytest.raises(DataError, match=r"the 2 files of .* are empty"):
        find_shards(tmp_path / "in")


def test_stamps_tell_contents_apart(tmp_path: Path) -> None:
    stamps = set()
    for text in ("a", "b", "a" * 3_000_000, "b" + "a" * 2_999_999, "a" * 2_999_999 + "b", "a"):
        lines(tmp_path / "s.jsonl", text)
        stamps.add(find_shards(tmp_path / "s.jsonl")[0].stamp)
    assert len(stamps) == 5


def test_what_is_no_set_of_shards(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\na\n")
    for source in (tmp_path, tmp_path / "nowhere", tmp_path / "*.jsonl", tmp_path / "a.csv"):
        with pytest.raises(DataError, match=r"names no \.parquet and no \.jsonl file"):
            find_shards(source)
    lines(tmp_path / "a.jsonl", "a")
    pq.write_table(pa.table({"text": ["c"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="files of one name with different endings: a"):
        find_shards(tmp_path)


def test_cut(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,text\n" + "".join(f"d{n},text {n}\n" for n in range(25)))
    assert cut(tmp_path / "in.csv", tmp_path / "cut", rows=10) == 3
    tables = [pq.read_table(shard.source) for shard in find_shards(tmp_path / "cut")]
    assert [len(table) for table in tables] == [10, 10, 5]
    assert pa.concat_tables(tables).to_pydict() == {
        "id": [f"d{n}" for n in range(25)],
        "text": [f"text {n}" for n in range(25)],
    }
    with pytest.raises(DataError, match="is not empty"):
        cut(tmp_path / "in.csv", tmp_path / "cut")
    with pytest.raises(DataError, match="rows is 0"):
        cut(tmp_path / "in.csv", tmp_path / "other", rows=0)
    (tmp_path / "none.txt").touch()
    with pytest.raises(DataError, match="empty"):
        cut(tmp_path / "none.txt", tmp_path / "other")
