"""Rows in LanceDB: appended, replaced and deleted by id. A write is one version, whole or not there at all."""

from __future__ import annotations

import contextlib
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from plait._lazy import need
from plait.bank import locked
from plait.store.blocks import Layout
from plait.store.records import Columns, schema
from plait.store.shards import need_space
from plait.types import DataError, Ints, PlaitError

NAME = "items"
FRAGMENTS = 16
"""Small files of which a table may consist before they are joined: each scan opens them all, joining rewrites them."""


class DamagedError(DataError):
    """A table whose files are gone, or hold something else than they should."""


@dataclass(frozen=True)
class Version:
    """A state of a table that can still be opened.

    Attributes:
        number: what to open or restore.
        time: when it was written.
        rows: records it holds.
    """

    number: int
    time: datetime
    rows: int


class LanceRows:
    """The columns row, id, text, metadata and vector of a table.

    ``row`` numbers records in the order in which they came; one that is replaced keeps its number.

    Args:
        folder: where the LanceDB data base lies.
        handle: the open table.
    """

    def __init__(self, folder: Path, handle: Any) -> None:
        self.folder, self._handle = folder, handle
        self._ids: _Hashes | None = None
        self._next = self._seen = 0
        self._pinned: int | None = None

    @classmethod
    def create(cls, folder: Path, layout: Layout) -> LanceRows:
        """Begin an empty table."""
        lancedb: Any = need("lancedb", "store")
        with _writing(folder):
            return cls(folder, lancedb.connect(str(folder)).create_table(NAME, schema=schema(layout)))

    @classmethod
    def open(cls, folder: Path, version: int | None = None) -> LanceRows:
        """Open a table, as it is or as it was.

        Raises:
            DataError: if it is damaged, or the version is not there any more.
        """
        lancedb: Any = need("lancedb", "store")
        with _reading(folder):
            rows = cls(folder, lancedb.connect(str(folder)).open_table(NAME))
            if "vector" not in rows._handle.schema.names:  # a version whose file is noise reads as an empty one
                raise ValueError("it has no column of vectors")
        if version is not None:
            rows._must_have(version)
            with _reading(folder):
                rows._handle.checkout(version)
            rows._pinned = version
        return rows

    def __len__(self) -> int:
        with _reading(self.folder):
            return int(self._handle.count_rows())

    @property
    def layout(self) -> Layout:
        """Of a vector."""
        kind = self._handle.schema.field("vector").type
        return Layout(str(np.dtype(kind.value_type.to_pandas_dtype())), kind.list_size)

    @property
    def version(self) -> int:
        """Number of the state that is read."""
        return int(self._handle.version)

    @property
    def stamp(self) -> tuple[int, int]:
        """Another one after every write, whoever wrote: the date and the number of the folder of versions."""
        found = (self.folder / f"{NAME}.lance" / "_versions").stat()
        return found.st_mtime_ns, found.st_ino

    def refresh(self) -> None:
        """See what others have written since."""
        with _reading(self.folder):
            self._handle.checkout_latest()

    def scan(self, columns: Sequence[str], where: str | None = None) -> Iterator[pa.RecordBatch]:
        """Some columns of all rows, or of those that an SQL expression picks; in no order."""
        with _reading(self.folder):
            ask = self._handle.search()
            if where is not None:
                ask = ask.where(where)
            yield from ask.select(list(columns)).to_batches()

    def take(self, columns: Sequence[str], rows: Iterable[int]) -> dict[int, dict[str, Any]]:
        """Some columns of rows with these numbers, by number."""
        found: dict[int, dict[str, Any]] = {}
        wanted = sorted(set(rows))
        for start in range(0, len(wanted), 1000):
            where = f"row IN ({', '.join(map(str, wanted[start : start + 1000]))})"
            for batch in self.scan(["row", *columns], where):
                found |= {row["row"]: row for row in batch.to_pylist()}
        return found

    def numbers(self, where: str | None = None) -> Ints:
        """The rows there are, or that an SQL expression picks, rising."""
        batches = [batch.column("row").to_numpy() for batch in self.scan(["row"], where)]
        return np.sort(np.concatenate([np.zeros(0, np.int64), *batches]))

    def ids(self, where: str | None = None) -> list[str]:
        """Ids of all rows, or of those that an SQL expression picks."""
        return [name for batch in self.scan(["id"], where) for name in batch.column("id").to_pylist()]

    def ordered(self, columns: Sequence[str], size: int) -> Iterator[pa.Table]:
        """Some columns of all rows in their order, ``size`` of them at once; metadata is text."""
        numbers = self.numbers()
        for start in range(0, len(numbers), size):
            part = numbers[start : start + size]
            batches = [
                _plain(batch) for batch in self.scan(["row", *columns], f"row >= {part[0]} AND row <= {part[-1]}")
            ]
            yield pa.Table.from_batches(batches).sort_by("row").select(list(columns))

    def write(self, columns: Columns, replace: bool = False) -> None:
        """Store records; numbers those without an id.

        Args:
            columns: the records.
            replace: put a record in the place of the one with its id; of several with one id the last counts.

        Raises:
            DataError: if an id is there already or comes twice, and ``replace`` is not set; nothing is written then.
        """
        need_space(self.folder, columns.values.nbytes + sum(map(len, columns.texts)) + sum(map(len, columns.metadata)))
        with self._alone() as known:
            numbers = np.arange(self._next, self._next + len(columns))
            ids = [str(n) if given is None else given for n, given in zip(numbers.tolist(), columns.ids, strict=True)]
            last = {name: place for place, name in enumerate(ids)}
            there = self._rows_of(known.among(ids))
            if not replace and (there or len(last) < len(ids)):
                raise _not_unique(self.folder, ids, there)
            for name, row in there.items():
                numbers[last[name]] = row
            rows = columns.arrow(numbers, ids, sorted(last.values()))
            with _writing(self.folder):
                if there:
                    merge = self._handle.merge_insert("id").when_matched_update_all()
                    merge.when_not_matched_insert_all().execute(rows)
                else:
                    self._handle.add(rows)
            known.add(name for name in last if name not in there)
            self._next += len(columns)

    def delete(self, ids: Iterable[str]) -> int:
        """Delete records.

        Returns:
            How many of them were there.
        """
        with self._alone() as known:
            rows = sorted(self._rows_of(known.among(list(ids))).values())
            with _writing(self.folder):
                for start in range(0, len(rows), 10_000):
                    self._handle.delete(f"row IN ({', '.join(map(str, rows[start : start + 10_000]))})")
        return len(rows)

    def compact(self, keep: timedelta | None = None, always: bool = True) -> None:
        """Join small files and drop old versions.

        Args:
            keep: how long versions are kept; None keeps them for a week.
            always: whether to do so while there are only a few small files, too.
        """
        with self._alone(), _writing(self.folder), warnings.catch_warnings():
            if not always and self._handle.stats()["fragment_stats"]["num_small_fragments"] < FRAGMENTS:
                return
            warnings.simplefilter("ignore")  # it warns of readers of dropped versions; who asks to drop them knows
            self._handle.optimize(cleanup_older_than=keep)

    def versions(self) -> list[Version]:
        """States that can be opened, oldest first."""
        with _reading(self.folder):
            listed = self._handle.list_versions()
        return [Version(int(v["version"]), v["timestamp"], int(v["metadata"]["total_rows"])) for v in listed]

    def restore(self, version: int) -> None:
        """Make an old state the newest one; what came after it stays among the versions."""
        self._must_have(version)
        with self._alone(), _writing(self.folder):
            self._handle.restore(version)
            self._handle.checkout_latest()

    def _must_have(self, version: int) -> None:
        numbers = [one.number for one in self.versions()]
        if version not in numbers:
            raise DataError(f"{self.folder} has no version {version}; it has {', '.join(map(str, numbers))}")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[_Hashes]:
        """Hold the table against other writers, knowing its newest state."""
        if self._pinned is not None:
            raise DataError(f"{self.folder} was opened at version {self._pinned}, which cannot change; restore it")
        with locked(self.folder / ".lock"):
            self.refresh()
            if self._ids is None or self._handle.version != self._seen:
                self._ids, self._next = _Hashes(), 0
                for batch in self.scan(["row", "id"]):
                    self._ids.add(batch.column("id").to_pylist())
                    self._next = max(self._next, int(batch.column("row").to_numpy().max(initial=-1)) + 1)
            try:
                yield self._ids
                self._seen = int(self._handle.version)
            except BaseException:
                self._ids = None  # what was written is not known
                raise

    def _rows_of(self, ids: Sequence[str]) -> dict[str, int]:
        """Row by id, of those that are there."""
        if not ids:
            return {}
        import pyarrow.compute as pc

        found: dict[str, int] = {}
        wanted = pa.array(ids, pa.string())
        for batch in self.scan(["row", "id"]):
            hits = batch.filter(pc.is_in(batch.column("id"), value_set=wanted))
            found |= dict(zip(hits.column("id").to_pylist(), hits.column("row").to_pylist(), strict=True))
        return found


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Extension types as what they are made of."""
    columns = [getattr(column, "storage", column) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


class _Hashes:
    """Which ids may be in a table, in eight bytes each: a set of strings would take ten times as much."""

    def __init__(self) -> None:
        self._sorted = np.zeros(0, np.int64)

    def add(self, ids: Iterable[str]) -> None:
        hashes = np.sort(_hashes(ids))
        self._sorted = np.insert(self._sorted, np.searchsorted(self._sorted, hashes), hashes)

    def among(self, ids: Sequence[str]) -> list[str]:
        """Those of the ids that are there, and by a rare chance one that is not."""
        hashes = _hashes(ids)
        places = np.searchsorted(self._sorted, hashes)
        inside = places < len(self._sorted)
        inside[inside] = self._sorted[places[inside]] == hashes[inside]
        return [ids[place] for place in np.flatnonzero(inside).tolist()]


def _hashes(ids: Iterable[str]) -> Ints:
    return np.fromiter(map(hash, ids), np.int64)


def _not_unique(folder: Path, ids: Sequence[str], there: dict[str, int]) -> DataError:
    name = next(iter(there)) if there else Counter(ids).most_common(1)[0][0]
    how = f"is in {folder} already" if there else "came twice"
    return DataError(
        f"the id {name[:100]!r} {how}, and ids are unique: upsert to replace records, or give ids to all records "
        "or to none; nothing of this write was stored"
    )


@contextlib.contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Errors of LanceDB as ours."""
    try:
        yield
    except PlaitError:
        raise
    except (RuntimeError, ValueError, OSError) as error:
        raise DamagedError(
            f"{folder} cannot be read, so it is damaged ({_first_line(error)}): restore a version, or index again"
        ) from error


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except PlaitError:
        raise
    except (RuntimeError, ValueError, OSError) as error:
        raise DataError(f"cannot write {folder}: {_first_line(error)}; what was stored before is kept") from error


def _first_line(error: Exception) -> str:
    """What a library says, without the place in its own source."""
    return (str(error).splitlines() or [type(error).__name__])[0].split(", /")[0][:300]
