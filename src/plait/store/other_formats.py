"""A table as a file for other tools: Parquet, numpy, a usearch index, SQL for pgvector."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plait._lazy import need
from plait.bank import write_atomic
from plait.compression.binary import Binary
from plait.store.packed_recipe import pack
from plait.store.shards import fixed_lists, matrix, need_space
from plait.store.table import Table
from plait.store.vector_file import vector_writer
from plait.types import DataError, Floats

Told = Callable[[int], None]
"""Told how many records are written."""


def dump(
    table: Table, out: str | Path, half: bool = False, name: str = "items", told: Told = lambda records: None
) -> Path:
    """Write a table's records, in the order in which they came, into a file; it appears once it is whole.

    Args:
        table: what to write; one that was opened at a version gives that version.
        out: by its ending:

            - ``.parquet``: columns row, text, vector, id and metadata, with the recipe; `VectorFile` searches it.
            - ``.npy``: vectors of length one, or codes; the ids lie in a ``.json`` file beside it.
            - ``.usearch``: an HNSW index (`plait[usearch]`) with rows as keys and the ids in a ``.json`` file beside
              it: cosine, or Hamming distance of binary codes. It is built on all cores, so that its bytes may differ
              from one run to the next.
            - ``.sql``: a table for PostgreSQL with pgvector, to be run by ``psql``: ``vector``, ``halfvec`` or, of
              binary codes, ``bit``. A text's NUL characters, which PostgreSQL cannot hold, are left out.
        half: write 16-bit floats into SQL: half the size, and an index of up to 4,000 numbers instead of 2,000.
        name: of the SQL table.
        told: how it goes on.

    Raises:
        DataError: if the ending is another one, the name is no identifier, or the disk is full.
        MissingExtra: if usearch is asked for and not installed.

    Example:
        >>> from plait import MeanPool, StaticTable
        >>> texts = ["a plane takes off", "a man plays the flute"]
        >>> table = Table.create("table", StaticTable("wordllama") | MeanPool(), texts)
        >>> np.load(dump(table, "vectors.npy")).shape
        (2, 256)
    """
    out = Path(out)
    writers = {".parquet": _parquet, ".npy": _npy, ".usearch": _usearch}
    if out.suffix not in (*writers, ".sql"):
        raise DataError(f"{out} is neither .parquet nor .npy, .usearch or .sql; name the output one of them")
    part = out.with_name(out.name + ".part")
    try:
        part.touch()
        need_space(out.parent, len(table) * table.layout.nbytes * (3 if out.suffix == ".sql" else 1))
        if out.suffix == ".sql":
            _sql(table, part, half, name, told)
        else:
            writers[out.suffix](table, part, told)
        if out.suffix in (".npy", ".usearch"):
            write_atomic(out.with_suffix(".json"), json.dumps(_facts(table) | _ids(table), ensure_ascii=False).encode())
        os.replace(part, out)
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror or error}; choose another output") from error
    finally:
        part.unlink(missing_ok=True)
    return out


def _facts(table: Table) -> dict[str, object]:
    layout = table.layout
    recipe = {"recipe": str(table.recipe), "fingerprint": table.fingerprint, "role": "document"}
    return {**recipe, "rows": len(table), "dtype": layout.dtype, "width": layout.width}


def _ids(table: Table) -> dict[str, object]:
    return {"ids": [name for part in table.ordered(["id"]) for name in part.column("id").to_pylist()]}


def _parts(table: Table, told: Told) -> Iterator[tuple[int, pa.Table, NDArray[Any]]]:
    """The number of the first record, the columns, and the matrix of vectors."""
    start = 0
    for part in table.ordered(["id", "text", "metadata", "vector"]):
        yield start, part, matrix(part.column("vector"), table.layout)
        start += len(part)
        told(start)


def _parquet(table: Table, where: Path, told: Told) -> None:
    with vector_writer(where, table.layout, _facts(table), pack(table.recipe), ("id", "metadata")) as writer:
        for start, part, values in _parts(table, told):
            texts = [part.column(name) for name in ("text", "id", "metadata")]
            columns = [pa.array(np.arange(start, start + len(part))), texts[0], fixed_lists(values), *texts[1:]]
            writer.write_table(pa.table(columns, schema=writer.schema), row_group_size=len(part))


def _npy(table: Table, where: Path, told: Told) -> None:
    layout = table.layout
    whole = np.lib.format.open_memmap(where, "w+", np.dtype(layout.dtype), (len(table), layout.width))
    for start, _, values in _parts(table, told):
        whole[start : start + len(values)] = values
    whole.flush()


def _usearch(table: Table, where: Path, told: Told) -> None:
    engine: Any = need("usearch.index", "usearch")
    width, quantiser = table.layout.width, table.recipe.quantiser
    if isinstance(quantiser, Binary):
        index = engine.Index(ndim=quantiser.width_, metric="hamming", dtype="b1")
    else:
        index = engine.Index(ndim=width, metric="cos", dtype="i8" if table.layout.is_codes else "f32")
    for start, _, values in _parts(table, told):
        vectors = values if isinstance(quantiser, Binary) else _floats(table, values)
        index.add(np.arange(start, start + len(values)), vectors)
    index.save(str(where))


def _floats(table: Table, values: NDArray[Any]) -> Floats:
    quantiser = table.recipe.quantiser
    return values if quantiser is None else quantiser.inverse_transform(values)


def _sql(table: Table, where: Path, half: bool, name: str, told: Told) -> None:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", name):
        raise DataError(f"{name!r} is no name for an SQL table; expected letters, digits and _, such as items")
    layout, bits = table.layout, isinstance(table.recipe.quantiser, Binary)
    width = _floats(table, np.zeros((1, layout.width), layout.dtype)).shape[1]
    kind = "bit" if bits else "halfvec" if half else "vector"
    with where.open("w", encoding="utf-8", newline="\n") as file:
        file.write(
            f"-- {table.recipe}\n-- fingerprint {table.fingerprint}\n"
            "CREATE EXTENSION IF NOT EXISTS vector;\n"
            f'CREATE TABLE "{name}" (id text PRIMARY KEY, text text NOT NULL, metadata jsonb NOT NULL, '
            f"embedding {kind}({width}) NOT NULL);\n"
            f'COPY "{name}" (id, text, metadata, embedding) FROM STDIN;\n'
        )
        for _, part, values in _parts(table, told):
            vectors = _bits(values, width) if bits else map(_vector, _floats(table, values))
            texts = (part.column(column).to_pylist() for column in ("id", "text", "metadata"))
            for *cells, facts, vector in zip(*texts, vectors, strict=True):
                file.write("\t".join([*map(_cell, [*cells, _without_nul(facts)]), vector]) + "\n")
        file.write("\\.\n")


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": None})


def _cell(text: str) -> str:
    """A text as COPY reads it."""
    return text.translate(_ESCAPES)


def _without_nul(facts: str) -> str:
    """JSON without the escape of a NUL; a backslash that is itself escaped begins none."""
    return re.sub(r"(?<!\\)((?:\\\\)*)\\u0000", r"\1", facts)


def _vector(row: Floats) -> str:
    return "[" + ",".join(f"{number:.9g}" for number in row.tolist()) + "]"


def _bits(codes: NDArray[Any], width: int) -> Iterator[str]:
    for row in np.unpackbits(codes.view(np.uint8), axis=1, count=width):
        yield "".join(map(str, row.tolist()))
