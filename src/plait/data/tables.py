"""Tables that are read row by row: CSV, TSV, JSONL, Parquet, plain lines."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from plait.data.files import UNDERSTOOD, format_of, lines_of, open_text, told
from plait.data.tally import Tally
from plait.types import DataError

Row = tuple[int, tuple[object, ...]]
SNIFFED = 200
"""Lines of a JSONL file that are looked at to learn its columns."""
_BIGGEST_FIELD = 2**31 - 1


@dataclass(frozen=True)
class Table:
    """Columns, and a way to read some of them.

    Attributes:
        name: the file, for messages.
        columns: names in the order of the file.
        pick: given names of columns, yields (line number, values of those columns) row by row; each call reads anew.
        lists: columns whose cells are lists.
        unit: what a row number counts: "line" or "row".
    """

    name: str
    columns: tuple[str, ...]
    pick: Callable[[Sequence[str]], Iterator[Row]]
    lists: frozenset[str] = frozenset()
    unit: str = "line"

    def at(self, number: int) -> str:
        """Where a row stands, for messages."""
        return f"{self.name}, {self.unit} {number}"


def open_table(path: Path, tally: Tally, header: bool = True) -> Table:
    """Look at a file's first lines and get ready to read it.

    Args:
        path: a CSV, TSV, JSONL, Parquet or text file, maybe with ``.gz``.
        tally: where faults are counted while rows are read.
        header: whether the first line of a CSV or TSV file names the columns; otherwise they are called "0", "1", ….

    Raises:
        DataError: if the file is empty, damaged, or of no known format.
    """
    match format_of(path):
        case "csv" | "tsv" as form:
            return _delimited(path, tally, form == "csv", header)
        case "jsonl":
            return _jsonl(path)
        case "parquet":
            return _parquet(path)
        case "lines":
            next(lines_of(path), None)
            return Table(str(path), ("text",), lambda _: ((n, (line,)) for n, line in enumerate(lines_of(path), 1)))
    raise DataError(f"{path} has no ending that plait knows; expected {UNDERSTOOD}")


def _delimited(path: Path, tally: Tally, quoted: bool, header: bool) -> Table:
    with open_text(path) as file:
        first = file.readline()
    delimiter = max(",;\t", key=first.count) if quoted else "\t"
    head = next(_fields(path, delimiter, quoted), None)
    if head is None:
        raise DataError(f"{path} is empty; expected a line of column names and one row a line")
    names = tuple(name.strip() for name in head[1]) if header else tuple(map(str, range(len(head[1]))))

    def pick(columns: Sequence[str]) -> Iterator[Row]:
        places = [names.index(column) for column in columns]
        rows = islice(_fields(path, delimiter, quoted), int(header), None)
        for number, fields in _whole(path, rows, len(names), tally):
            yield number, tuple([fields[place] for place in places])

    return Table(str(path), names, pick)


def _fields(path: Path, delimiter: str, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of every line; a tab-separated file has no quoting."""
    if not quoted:
        for number, line in enumerate(lines_of(path), 1):
            yield number, line.split("\t")
        return
    csv.field_size_limit(_BIGGEST_FIELD)  # the module's own limit of 128 kB stops at long texts
    with open_text(path, newline="") as file, told(path, (csv.Error,)):
        reader = csv.reader(file, delimiter=delimiter)
        for fields in reader:
            yield reader.line_num, fields


def _whole(
    path: Path, rows: Iterable[tuple[int, list[str]]], width: int, tally: Tally
) -> Iterator[tuple[int, list[str]]]:
    """Rows that have as many fields as the header; blank lines are passed over, other rows dropped and counted."""
    total = bad = 0
    first = (0, 0)
    for number, fields in rows:
        if len(fields) == width:
            total += 1
            yield number, fields
        elif fields not in ([], [""]):
            first = first if bad else (number, len(fields))
            bad += 1
    if bad > total / 10:
        raise DataError(
            f"{path}, line {first[0]} has {first[1]} fields and the header {width}, and so it goes in {bad} rows: "
            "quote fields that hold the separator (CSV), or take tabs out of fields (TSV)"
        )
    where = f"{path.name}, line {first[0]}"
    tally.add("row", f"with another number of fields than the header dropped (first: {where})", bad)


def _jsonl(path: Path) -> Table:
    sample = [record for _, record in islice(_records(path), SNIFFED)]
    if not sample:
        raise DataError(f"{path} is empty; expected one JSON object a line")
    columns = tuple(dict.fromkeys(key for record in sample for key in record))
    lists = frozenset(key for record in sample for key, value in record.items() if isinstance(value, list))

    def pick(wanted: Sequence[str]) -> Iterator[Row]:
        for number, record in _records(path):
            yield number, tuple([record.get(column) for column in wanted])

    return Table(str(path), columns, pick, lists)


def _records(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    for number, line in enumerate(lines_of(path), 1):
        if not line or line.isspace():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number} is no JSON ({error}); expected one object a line") from error
        if not isinstance(record, dict):
            raise DataError(f"{path}, line {number} is a JSON {type(record).__name__}; expected an object {{…}} a line")
        yield number, record


def _parquet(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with told(path, (pa.ArrowException,)):
        packed = path.suffix.lower() == ".gz"
        size = path.stat().st_size
        source = pa.BufferReader(gzip.decompress(path.read_bytes())) if packed and size else path
        if size == 0:
            raise DataError(f"{path} is empty; expected a Parquet file")
        schema = pq.ParquetFile(source).schema_arrow
    lists = frozenset(f.name for f in schema if pa.types.is_list(f.type) or pa.types.is_large_list(f.type))

    def pick(columns: Sequence[str]) -> Iterator[Row]:
        number = 0
        with told(path, (pa.ArrowException,)):
            for batch in pq.ParquetFile(source).iter_batches(batch_size=1024, columns=list(dict.fromkeys(columns))):
                for values in zip(*[_cells(batch.column(column)) for column in columns], strict=True):
                    number += 1
                    yield number, values

    return Table(str(path), tuple(schema.names), pick, lists, unit="row")


def _cells(column: object) -> list[object]:
    """Python values of an Arrow column; text that is no UTF-8 comes as bytes."""
    import pyarrow as pa

    assert isinstance(column, pa.Array)
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        return list(column.cast(pa.binary()).to_pylist())
