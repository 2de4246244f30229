"""Which files are the shards of an input, and how one large input is cut into some."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from plait.bank import digest
from plait.data.files import format_of, listing, stem_of
from plait.data.streams import TextRow, stream_rows
from plait.types import DataError

KINDS = ("parquet", "jsonl")
LOOKED_AT = 1 << 20
"""Bytes at the beginning and at the end of a file that go into its stamp, beside its size."""


@dataclass(frozen=True)
class Shard:
    """A file to embed.

    Attributes:
        source: the file.
        name: its place below the folder of all shards, without its ending; the output's, too.
        size: in bytes.
        stamp: digest of its size, beginning and end; an output of another stamp is made anew.
    """

    source: Path
    name: str
    size: int
    stamp: str

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self) | {"source": str(self.source)})

    @classmethod
    def from_json(cls, line: str) -> Shard:
        """What `to_json` wrote."""
        facts = json.loads(line)
        return cls(**facts | {"source": Path(facts["source"])})

    def output(self, folder: Path) -> Path:
        """Where its vectors go."""
        return folder / f"{self.name}.parquet"


def find_shards(source: str | os.PathLike[str]) -> list[Shard]:
    """The Parquet and JSONL files of a folder (at any depth), those that a pattern matches, or the one file.

    Files without rows are passed over: they give no output.

    Args:
        source: a folder, a pattern such as ``texts/*.parquet``, or a file; each also with ``.jsonl.gz``.

    Raises:
        DataError: if there is none, or two would write the same output.
    """
    text = os.path.abspath(os.path.expanduser(os.fspath(source)))
    where = Path(text)
    found = [where] if where.exists() else [Path(path) for path in glob.glob(text, recursive=True)]
    files = sorted(file for path in found for file in (path.rglob("*") if path.is_dir() else [path]) if _is_shard(file))
    if not files:
        raise DataError(f"{source} names no .parquet and no .jsonl file; expected a folder of them, or a pattern")
    base = where if where.is_dir() else Path(os.path.commonpath([file.parent for file in files]))
    shards = [_shard(file, base) for file in files if not _is_empty(file)]
    names = [shard.name for shard in shards]
    twice = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
    if twice:
        raise DataError(
            f"{source} holds files of one name with different endings: {listing(twice)}; rename one of each"
        )
    if not shards:
        raise DataError(f"there is no text to embed: the {len(files)} files of {source} are empty")
    return shards


def cut(source: str | os.PathLike[str], folder: str | Path, rows: int = 100_000, column: str | None = None) -> int:
    """Cut one input into Parquet shards with the columns id and text, to be embedded side by side.

    Args:
        source: as in `plait.data.stream_texts`.
        folder: where the shards go; it must be empty or new.
        rows: of a shard; the default is minutes of work for a transformer on one core, which is what a kill may cost.
        column: the column of texts; by default it is recognised.

    Returns:
        How many shards there are.

    Raises:
        DataError: if the folder holds something, or the input has no text.

    Example:
        >>> cut("demo:scifact", "shards", rows=400)
        3
    """
    folder = Path(folder)
    if rows < 1:
        raise DataError(f"rows is {rows}; expected how many rows a shard has, 1 or more")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} exists and is not empty; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for number, part in enumerate(_parts(stream_rows(source, column, keep=()), rows), 1):
        table = pa.table({"id": pa.array([row.id for row in part], pa.string()), "text": [row.text for row in part]})
        path = folder / f"{number - 1:06}.parquet"
        pq.write_table(table, path.with_suffix(".part"), compression="zstd")
        os.replace(path.with_suffix(".part"), path)
    if not number:
        raise DataError(f"there is no text to cut: {source} is empty")
    return number


def _parts(stream: Iterator[TextRow], rows: int) -> Iterator[list[TextRow]]:
    while part := list(islice(stream, rows)):
        yield part


def _is_shard(path: Path) -> bool:
    return path.is_file() and format_of(path) in KINDS


def _is_empty(path: Path) -> bool:
    if path.stat().st_size == 0:
        return True
    if path.suffix != ".parquet":
        return False
    try:
        return int(pq.read_metadata(path).num_rows) == 0
    except pa.ArrowInvalid:
        return False  # whoever embeds it will say what is wrong


def _shard(path: Path, base: Path) -> Shard:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(LOOKED_AT)
        file.seek(max(0, size - LOOKED_AT))
        tail = file.read(LOOKED_AT)
    return Shard(path, str(path.relative_to(base).with_name(stem_of(path))), size, digest(str(size), head, tail))
