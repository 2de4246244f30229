"""Writing one table in every format, by other libraries than the ones that read it."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ENDINGS = tuple(f".{form}{packed}" for form in ("csv", "tsv", "jsonl", "parquet") for packed in ("", ".gz"))


def write_table(path: Path, columns: Mapping[str, Sequence[object]]) -> Path:
    """Write columns to a file in the format that its name says."""
    form = [suffix for suffix in path.suffixes if suffix != ".gz"][-1]
    rows = list(zip(*columns.values(), strict=True))
    buffer = io.BytesIO()
    if form == ".parquet":
        pq.write_table(pa.table({name: pa.array(list(values)) for name, values in columns.items()}), buffer)
    elif form == ".jsonl":
        for row in rows:
            buffer.write((json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n").encode())
    elif form == ".csv":
        text = io.StringIO(newline="")
        csv.writer(text).writerows([list(columns), *rows])
        buffer.write(text.getvalue().encode())
    else:
        buffer.write("".join("\t".join(map(str, row)) + "\n" for row in [list(columns), *rows]).encode())
    data = buffer.getvalue()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_beir(
    folder: Path, corpus: Sequence[Mapping[str, str]], queries: Sequence[Mapping[str, str]], qrels: Mapping[str, str]
) -> Path:
    """Write a folder in the BEIR layout; ``qrels`` maps file names to their content."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, entries in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    for name, content in qrels.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return folder
