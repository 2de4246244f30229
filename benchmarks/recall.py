"""What codes keep of an exact search, by the bytes they take and scan: two real collections under all-MiniLM-L6-v2.

Run: PLAIT_DATA=… python benchmarks/recall.py [FOLDER]        (about 11 CPU-minutes; writes results/recall.json)
FOLDER keeps the vectors, so that another run takes five.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from plait import plan
from plait.bank import Bank
from plait.compression import Binary, Int8, ProductQuantizer, ResidualBinary, nearest_vectors, rescored, search_codes
from plait.data import read
from plait.data.tasks import Judgements, Task
from plait.evaluation.ranking import Measure
from plait.evaluation.retrieval import reported
from plait.recipe import parse
from plait.roles import Quantiser
from plait.selection.costs import machine, versions
from plait.selection.peers import overlap
from plait.step import Step, unit_rows
from plait.transforms import Center, Pca, Truncate
from plait.types import Floats, Ints

SETS = ("npl_vaswani", "scifact")
RECIPE = 'Transformer("all-MiniLM-L6-v2", dtype="bfloat16") | MeanPool()'
K = 10
RESCORES = (0, 1, 2, 4, 8, 16, 32)
"""Codes for each one asked for that the float query ranks anew."""
CANDIDATES = (10, 20, 30, 50, 75, 95, 100, 150, 200, 300, 500)
"""Candidates that the float vectors rank anew."""
DIMS = (4, 8, 16, 32)
"""Numbers in a group of a product code: 96, 48, 24 and 12 bytes."""
LOOPS = (0, 1, 3)
WIDTHS = (192, 96)
FLOAT = 4


@dataclass(frozen=True)
class Setting:
    """Steps that documents alone teach, a quantiser, and how many candidates the floats rank anew."""

    steps: tuple[Step, ...] = ()
    quantiser: Quantiser | None = None
    candidates: tuple[int, ...] = (0,)

    def __str__(self) -> str:
        return " | ".join(map(str, (*self.steps, *([self.quantiser] if self.quantiser else ())))) or "float32"


@dataclass(frozen=True, eq=False)
class Collection:
    """Vectors of length 1 of queries and documents, the documents' in a file as well, and what is relevant."""

    queries: Floats
    documents: Floats
    mapped: Floats
    relevant: Sequence[dict[int, int]]


def main() -> None:
    bank = Bank(Path(sys.argv[1])) if len(sys.argv) > 1 else None
    runs = {}
    with threadpool_limits(1), tempfile.TemporaryDirectory() as folder:
        for name in SETS:
            collection = _collection(name, bank, Path(folder))
            runs[name] = {
                "documents": len(collection.documents),
                "queries": len(collection.queries),
                "width": collection.documents.shape[1],
                "points": list(_points(collection)),
            }
    result = {"recipe": RECIPE, "k": K, "sets": runs, "versions": versions(), "machine": machine()}
    path = Path(__file__).parent / "results" / "recall.json"
    path.write_text(json.dumps(result, indent=1) + "\n")


def settings() -> Iterator[Setting]:
    """Every way to keep the vectors."""
    yield Setting()
    yield Setting((), Int8())
    for rescore in RESCORES:
        yield Setting((), Binary(rescore))
    for binary in (Setting((), Binary(0)), Setting((Center(),), Binary(0)), Setting((), Binary())):
        yield replace(binary, candidates=CANDIDATES)
    for rotate in (False, True):
        for dims in DIMS:
            yield Setting((), ProductQuantizer(dims, rotate=rotate), (0, 100))
    for loops in LOOPS:
        yield Setting((), ResidualBinary(loops=loops), (0, 100))
    for width in WIDTHS:
        for step in (Truncate(width), Pca(width)):
            yield Setting((step,))
            yield Setting((step,), Int8())
            yield Setting((step,), Binary(), (0, 100))


def _points(collection: Collection) -> Iterator[dict[str, object]]:
    """Figures of each setting; recall counts what the exact search over floats finds."""
    exact = nearest_vectors(collection.queries, collection.documents, K)[0]
    for setting in settings():
        start = time.process_time()
        for candidates, stored, scanned, found in _searches(setting, collection):
            ndcg = reported(found, collection.relevant, Measure.parse(f"nDCG@{K}"))
            whole = 4 * collection.documents.size
            point = {
                "recipe": str(setting),
                "candidates": candidates,
                "bytes_a_vector": stored,
                "bytes_scanned": scanned,
                "share_scanned": scanned / whole,
                "recall": overlap(exact, found),
                "ndcg": float(ndcg.mean()),
            }
            print(*point.values(), f"{time.process_time() - start:.0f} s", sep="  ", flush=True)
            yield point


def _searches(setting: Setting, collection: Collection) -> Iterator[tuple[int, int, int, Ints]]:
    """Candidates, bytes a stored vector, bytes looked at for a query, and what was found."""
    queries, documents, quantiser = collection.queries, collection.documents, setting.quantiser
    for step in setting.steps:
        documents = step.fit(documents).transform(documents)
        queries = step.transform(queries)
    count, width = documents.shape
    if quantiser is None:
        yield 0, FLOAT * width, FLOAT * width * count, nearest_vectors(queries, documents, K)[0]
        return
    codes, stored = quantiser.fit(documents).transform(documents), quantiser.nbytes(width)
    for candidates in setting.candidates:
        looked_at = stored * count
        if isinstance(quantiser, Binary) and quantiser.rescore:
            looked_at += stored * (candidates or K) * quantiser.rescore
        found = search_codes(queries, codes, quantiser, candidates or K, cosine=True)[0]
        if candidates:
            found = rescored(collection.queries, found, collection.mapped, K)[0]
            looked_at += FLOAT * collection.documents.shape[1] * candidates
        yield candidates, stored, looked_at, found


def _collection(name: str, bank: Bank | None, folder: Path) -> Collection:
    task = read(f"data:retrieval/{name}")
    judged = task.parts["test" if "test" in task.parts else "all"]
    assert isinstance(judged, Judgements)
    queries, documents = _vectors(task, bank)
    rows = documents if task.corpus is None else documents[task.corpus]
    np.save(folder / f"{name}.npy", rows)
    mapped: Floats = np.load(folder / f"{name}.npy", mmap_mode="r")
    return Collection(queries[judged.queries], rows, mapped, judged.relevant)


def _vectors(task: Task, bank: Bank | None) -> tuple[Floats, Floats]:
    """Vectors of length 1 of all queries and documents."""
    strands = list(parse(RECIPE).strands())
    print(f"{task.name}: {len(task.documents):,} documents, {len(task.queries):,} queries", flush=True)
    made = []
    for role, items in (("query", task.queries), ("document", task.documents)):
        vectors, _ = plan.run(strands, items, bank, role=role)
        made.append(unit_rows(next(iter(vectors.values()))))
    return made[0], made[1]


if __name__ == "__main__":
    main()
