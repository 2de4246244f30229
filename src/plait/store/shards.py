"""A folder of finished blocks beside an output that is not whole yet.

A block's file is named after its number and the content of its texts, and appears once it is whole. Going on after a
kill means to read the input again and to encode only the blocks that have no file; a block whose texts have changed has
none.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from plait.bank import digest, write_atomic
from plait.store.blocks import Block, Layout
from plait.types import DataError

SPARE = 64 << 20
"""Bytes that are left free on the disk."""


@dataclass(frozen=True)
class Counts:
    """Figures of a block, kept with it."""

    rows: int
    tokens: int
    cut_texts: int
    cut_tokens: int


class Shards:
    """The blocks of one output.

    Args:
        folder: where they lie.
        layout: of a vector.
        settings: what decides the vectors; blocks that were made with others are not used.
        resume: go on with the blocks that are there; otherwise they are deleted.

    Raises:
        DataError: if the folder cannot be written, or its blocks were made with other settings.
    """

    def __init__(self, folder: Path, layout: Layout, settings: Mapping[str, object], resume: bool) -> None:
        self.folder, self.layout = folder, layout
        path = folder / "settings.json"
        try:
            if resume and path.exists():
                _same(json.loads(path.read_text()), settings, folder)
            elif folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(path, json.dumps(settings, indent=1).encode())
        except OSError as error:
            raise DataError(f"cannot write {folder}: {error.strerror or error}; choose another output") from error

    def path(self, number: int, texts: Sequence[str]) -> Path:
        """Where the block of these texts lies, if it is done."""
        return self.folder / f"{number:06}-{digest(*texts)}.arrow"

    def write(self, path: Path, first_row: int, texts: Sequence[str], block: Block) -> None:
        """Put a block there, whole or not at all."""
        need_space(self.folder, block.values.nbytes + sum(map(len, texts)))
        columns = [
            pa.array(np.arange(first_row, first_row + len(texts))),
            pa.array(texts, pa.string()),
            fixed_lists(block.values),
        ]
        counts = Counts(len(texts), block.tokens, block.cut_texts, block.cut_tokens)
        schema = vector_schema(self.layout).with_metadata({"counts": json.dumps(asdict(counts))})
        part = path.with_suffix(".part")
        try:
            with part.open("wb") as sink:
                with pa.ipc.new_file(sink, schema) as writer:
                    writer.write_batch(pa.record_batch(columns, schema=schema))
                sink.flush()
                os.fsync(sink.fileno())
            os.replace(part, path)
        except OSError as error:
            raise DataError(f"cannot write {part}: {error.strerror or error}; finished blocks are kept") from error


def vector_schema(layout: Layout) -> pa.Schema:
    """Columns of vectors beside their texts."""
    item = pa.from_numpy_dtype(np.dtype(layout.dtype))
    vector = pa.list_(pa.field("item", item, nullable=False), layout.width)
    return pa.schema([("row", pa.int64()), ("text", pa.string()), ("vector", vector)])


def read_shard(path: Path) -> tuple[pa.RecordBatch, Counts]:
    """A finished block, memory-mapped."""
    with pa.memory_map(str(path)) as source:
        reader = pa.ipc.open_file(source)
        return reader.get_batch(0), Counts(**json.loads(reader.schema.metadata[b"counts"]))


def fixed_lists(values: np.ndarray[Any, Any]) -> pa.FixedSizeListArray:
    """``[N, B]`` numbers as a column of lists of equal length."""
    field = pa.field("item", pa.from_numpy_dtype(values.dtype), nullable=False)
    flat = pa.array(np.ascontiguousarray(values).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, type=pa.list_(field, values.shape[1]))


def matrix(column: pa.Array | pa.ChunkedArray, layout: Layout) -> np.ndarray[Any, Any]:
    """The ``[N, B]`` numbers of a column of lists."""
    if isinstance(column, pa.ChunkedArray):
        parts = [matrix(chunk, layout) for chunk in column.chunks]
        return np.concatenate([np.zeros((0, layout.width), layout.dtype), *parts])
    flat: np.ndarray[Any, Any] = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, layout.width).astype(layout.dtype, copy=False)


def need_space(folder: Path, size: float) -> None:
    """Refuse to write what will not fit.

    Raises:
        DataError: if ``folder`` has not ``size`` bytes left.
    """
    free = shutil.disk_usage(folder).free
    if free < size + SPARE:
        raise DataError(
            f"{size / 1e6:,.0f} MB are needed at {folder} and {free / 1e6:,.0f} MB are free; "
            "free some space or choose another output (what is finished is kept)"
        )


def _same(before: Mapping[str, object], now: Mapping[str, object], folder: Path) -> None:
    changed = [f"{key} was {before.get(key)!r}, is {value!r}" for key, value in now.items() if before.get(key) != value]
    if changed:
        raise DataError(f"cannot go on in {folder}: {'; '.join(changed)}; leave resume out to start anew")
