"""What a million texts cost: shards of real texts through ``plait embed --engine local``, all cores at work.

Run: python benchmarks/cluster.py [SHARE]        (some ten minutes on two cores; writes results/cluster.json)
SHARE is the part of the texts to take, such as 0.05 for a quick look.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from plait.data import stream_texts
from plait.distributed import Resources, cut, embed_shards
from plait.distributed.resources import cores
from plait.recipe import parse
from plait.selection.costs import machine

SETS = (("demo:banking77", "questions to a bank"), ("demo:scifact", "abstracts"))
RUNS = (("wordllama", "StaticTable", 200_000), ("all-MiniLM-L6-v2", "Transformer", 4_000))
"""Models, and how many texts each gets."""
SHARDS = 8
PRICE = 0.04
"""Of a core-hour, in dollars: about what clouds ask for on demand. An assumption."""
MACHINE = 64
"""Cores of a machine of the cluster on paper. An assumption."""


def main() -> None:
    share = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    runs = [
        _run(model, f'{step}("{model}") | MeanPool()', where, int(texts * share))
        for model, step, texts in RUNS
        for where in SETS
    ]
    result = {
        "runs": runs,
        "workers": cores(),
        "price_per_core_hour": PRICE,
        "machine_cores": MACHINE,
        "machine": machine(),
    }
    path = Path(__file__).parent / "results" / "cluster.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def _run(model: str, recipe: str, where: tuple[str, str], number: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        lines, shards, vectors = (Path(folder) / part for part in ("texts.txt", "shards", "vectors"))
        # A number makes each text a different one: equal texts are encoded once.
        texts = (
            f"{' '.join(text.split())} ({n})" for n, text in enumerate(islice(cycle(stream_texts(where[0])), number))
        )
        lines.write_text("\n".join(texts), encoding="utf-8")
        cut(lines, shards, rows=-(-number // SHARDS))
        started = time.perf_counter()
        made = embed_shards(parse(recipe), shards, vectors, resources=Resources())
        return {
            "model": model,
            "recipe": recipe,
            "texts_of": where[1],
            "texts": made.rows,
            "tokens": made.tokens,
            "seconds": time.perf_counter() - started,
            "worker_seconds": made.worker_seconds,
            "cpu_seconds": made.cpu_seconds,
            "output_bytes": sum(path.stat().st_size for path in vectors.glob("*.parquet")),
        }


if __name__ == "__main__":
    main()
