"""Rows a second into a table: vectors of 384 floats with ids, texts and metadata, in batches, then joined.

Run: python benchmarks/ingest.py [ROWS]        (200,000 unless given: half a minute; writes results/ingest.json)
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from plait.recipe import parse
from plait.selection.costs import machine
from plait.store import Table

RECIPE = 'StaticTable("wordllama") | MeanPool()'
WIDTH = 384
BATCH = 50_000


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    vectors = np.random.default_rng(0).normal(size=(BATCH, WIDTH)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        table = _empty(Path(folder))
        insert = _timed(lambda: [_add(table, vectors, start, rows) for start in range(0, rows, BATCH)])
        changed = min(rows, BATCH)
        replace = _timed(lambda: _add(table, vectors, 0, changed))
        compact = _timed(table.compact)
        delete = _timed(lambda: table.delete([f"document-{n}" for n in range(0, rows, 10)]))
        result = {
            "rows": rows,
            "width": WIDTH,
            "insert": insert | {"rows": rows, "rows_per_second": rows / insert["seconds"]},
            "replace": replace | {"rows": changed, "rows_per_second": changed / replace["seconds"]},
            "compact": compact,
            "delete_a_tenth": delete,
            "left": len(table),
            "machine": machine(),
        }
    path = Path(__file__).parent / "results" / "ingest.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def _empty(folder: Path) -> Table:
    """A table of vectors as wide as MiniLM's, whose recipe costs nothing to load."""
    recipe = parse(f"({RECIPE}) + ({RECIPE} | Truncate({WIDTH - 256}))")
    return Table.create(folder / "table", recipe)


def _add(table: Table, vectors: np.ndarray, start: int, rows: int) -> None:
    numbers = range(start, min(start + BATCH, rows))
    texts = [f"the text of document {n}, which is of no importance here" for n in numbers]
    metadata = [{"year": 1990 + n % 30, "language": ("en", "de", "fr")[n % 3]} for n in numbers]
    table.add_vectors([f"document-{n}" for n in numbers], texts, vectors[: len(numbers)], metadata, replace=True)


def _timed(work: Callable[[], object]) -> dict[str, float]:
    start, used = time.perf_counter(), time.process_time()
    work()
    return {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - used}


if __name__ == "__main__":
    main()
