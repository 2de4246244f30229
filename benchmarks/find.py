"""The main job on five public sets: what `plait find` gains over each model as it comes, on the test part.

Run: PLAIT_DATA=… python benchmarks/find.py [SET ...]        (about 20 minutes; writes results/find.json)
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
        print(table(name, found[name]))


def table(name: str, run: dict[str, object]) -> str:
    """A set's figures as a Markdown table."""
    rows = {"winner": run["best"], "best single strand": run["best_single"], **run["defaults"]}  # type: ignore[dict-item]
    lines = [f"**{name}** ({run['metric']}, {run['candidates']} candidates, {run['seconds']:.0f} s)", ""]
    lines += ["| recipe | dev | test | 95 % interval | winner's gain | bytes | ms |", "|---|---|---|---|---|---|---|"]
    for label, figure in rows.items():
        low, high = figure["interval"]  # type: ignore[index]
        gain = figure.get("gain_of_best")  # type: ignore[union-attr]
        against = "" if gain is None else "{:+.4f} [{:+.4f}, {:+.4f}]".format(gain["difference"], *gain["interval"])
        cells = [label, f"{figure['dev']:.4f}", f"{figure['test']:.4f}", f"{low:.4f}–{high:.4f}", against]  # type: ignore[index]
        lines.append("| " + " | ".join([*cells, f"{figure['bytes']:,}", f"{figure['ms_per_text']:.2f}"]) + " |")  # type: ignore[index]
    return "\n".join([*lines, "", f"`{run['best']['recipe']}`", ""])  # type: ignore[index]


if __name__ == "__main__":
    main()
