"""What a table holds: records, and how they stand in columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plait.store.blocks import Layout, batched
from plait.store.shards import fixed_lists
from plait.types import DataError

JSON_COLUMN = pa.field("metadata", pa.string(), metadata={"ARROW:extension:name": "arrow.json"})
"""Text going in; LanceDB keeps it as binary JSON, which its filters can look into without parsing."""

_encoded = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode  # json.dumps would build one for each record


@dataclass(frozen=True)
class Record:
    """A text to store.

    Args:
        text: what is embedded.
        id: its name, of which a table holds one; None numbers it.
        metadata: what else to keep, as JSON can hold it; whole numbers of more than 64 bits come back as floats.
    """

    text: str
    id: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Columns:
    """Records and their vectors, column by column.

    Attributes:
        ids: None where a record is to be numbered.
        texts: of the records.
        metadata: of each record, as JSON.
        values: ``[N, B]`` vectors of length one, or codes.
    """

    ids: Sequence[str | None]
    texts: Sequence[str]
    metadata: Sequence[str]
    values: NDArray[np.generic]

    @classmethod
    def of(cls, records: Sequence[Record], values: NDArray[np.generic]) -> Columns:
        """Records beside their vectors."""
        metadata = [json_of(record.metadata, record.id or record.text) for record in records]
        return cls([record.id for record in records], [record.text for record in records], metadata, values)

    @classmethod
    def joined(cls, parts: Sequence[Columns]) -> Columns:
        """One after the other."""
        ids = [one for part in parts for one in part.ids]
        texts = [one for part in parts for one in part.texts]
        metadata = [one for part in parts for one in part.metadata]
        return cls(ids, texts, metadata, np.concatenate([part.values for part in parts]))

    def __len__(self) -> int:
        return len(self.values)

    def arrow(self, rows: NDArray[np.int64], ids: Sequence[str], kept: Sequence[int]) -> pa.Table:
        """The records at the places ``kept``, under these ids and in these rows of the table."""
        places = pa.array(kept, pa.int64())
        columns = [
            pa.array(rows),
            pa.array(ids, pa.string()),
            pa.array(self.texts, pa.string()),
            pa.array(self.metadata, pa.string()),
            fixed_lists(self.values),
        ]
        whole = pa.table(columns, schema=schema(Layout(str(self.values.dtype), self.values.shape[1])))
        return whole if len(kept) == len(self) else whole.take(places)


def schema(layout: Layout) -> pa.Schema:
    """Columns of a table of such vectors."""
    item = pa.field("item", pa.from_numpy_dtype(np.dtype(layout.dtype)), nullable=False)
    vector = pa.field("vector", pa.list_(item, layout.width))
    texts = [pa.field(name, pa.string()) for name in ("id", "text")]
    return pa.schema([pa.field("row", pa.int64()), *texts, JSON_COLUMN, vector])


def batched_records(records: Iterable[str | Record], size: int) -> Iterator[list[Record]]:
    """Lists of records; texts alone are turned to records, and lone surrogates, which no file can hold, to ``?``."""
    whole = (record if isinstance(record, Record) else Record(record) for record in records)
    clean = (Record(storable(r.text), None if r.id is None else storable(r.id), r.metadata) for r in whole)
    yield from batched(clean, size)


def storable(text: str) -> str:
    """The text without lone surrogates."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def json_of(metadata: Mapping[str, Any], name: str) -> str:
    """Metadata as one line of JSON.

    Raises:
        DataError: if it is no mapping, or JSON cannot hold it.
    """
    if not metadata:
        return "{}"
    try:
        return storable(_encoded(metadata if isinstance(metadata, dict) else dict(metadata)))
    except (TypeError, ValueError) as error:
        raise DataError(f"the metadata of {name[:40]!r} cannot be kept as JSON: {error}") from error
