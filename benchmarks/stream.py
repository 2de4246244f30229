"""Memory of a long stream: 1,000,000 short texts through a static recipe, with ``plait embed``'s own machinery.

Run: python benchmarks/stream.py        (about a minute; writes results/stream.json)
"""

from __future__ import annotations

import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from plait.cli import main as plait
from plait.recipe import parse
from plait.selection.costs import machine

TEXTS = 1_000_000
RECIPE = 'StaticTable("wordllama") | MeanPool()'


def main() -> None:
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(20_000)]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "texts.txt", Path(folder) / "vectors.parquet"
        with source.open("w") as file:
            for _ in range(TEXTS):
                file.write(" ".join(rng.choices(words, k=rng.randint(3, 12))) + "\n")
        parse(RECIPE).encode(["load the model"])  # type: ignore[attr-defined]
        before, start = _peak(), time.perf_counter()
        sys.argv = ["plait", "embed", RECIPE, str(source), "-o", str(target)]
        try:
            plait()
        except SystemExit as end:
            if end.code:
                raise
        seconds = time.perf_counter() - start
        result = {
            "texts": TEXTS,
            "recipe": RECIPE,
            "seconds": seconds,
            "texts_per_second": TEXTS / seconds,
            "peak_above_model_mb": (_peak() - before) / 1e6,
            "output_mb": target.stat().st_size / 1e6,
            "machine": machine(),
        }
    path = Path(__file__).parent / "results" / "stream.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
