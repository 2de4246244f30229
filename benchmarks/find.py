"""The main job on five public sets: what `plait find` gains over each model as it comes, on the test part.

Run: PLAIT_DATA=… python benchmarks/find.py [SET ...]

About 20 minutes. Writes results/find.json, which scripts/measured.py shows.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.progress import Progress

from plait.selection.finding import Listener, find

SETS = ("retrieval/cranfield", "retrieval/scifact", "classification/trec", "sts/stsb", "ud/en_lines")
MODELS = ("all-MiniLM-L6-v2", "wordllama")
RESULTS = Path(__file__).parent / "results" / "find.json"


def main() -> None:
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in sys.argv[1:] or SETS:
        with Progress(transient=True) as progress:
            bar = progress.add_task(name, total=None)

            def tell(stage: str, done: int, total: int, bar: object = bar, progress: Progress = progress) -> None:
                progress.update(bar, description=stage, completed=done, total=total)  # type: ignore[arg-type]

            listener = Listener(tokens=tell, stage=tell, note=progress.console.print)
            result = find(f"data:{name}", models=MODELS, out=f"runs/{Path(name).name}", listener=listener)
        found[name] = result.as_dict()
        RESULTS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        print(f"{name}: {result.metric} {result.best.test:.4f}, in {result.seconds:.0f} s")


if __name__ == "__main__":
    main()
