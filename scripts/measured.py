"""Write docs/measured.md from what the benchmarks left in benchmarks/results.

Run: python scripts/measured.py [--check]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "measured.md"
HOSTS = """## What each family of options brings

`plait find` with four models. Under each table, family by family: the best recipe with this family alone, against the
best model as it comes, and the best without it, against the winner. All were chosen on dev and measured on the test
part; a star stands where the 95 % interval excludes zero.
"""


def main() -> int:
    text = page()
    if "--check" in sys.argv:
        same = PAGE.exists() and PAGE.read_text() == text
        print("docs/measured.md is current" if same else "docs/measured.md is stale: run python scripts/measured.py")
        return 0 if same else 1
    PAGE.write_text(text)
    return 0


def page() -> str:
    parts = [
        "# Measured\n\nWhat the benchmarks gave when last run. Every figure is from a file in `benchmarks/results`.\n"
    ]
    if found := _read("find"):
        parts.append("## What `plait find` gains\n")
        parts += [_found(name, run) for name, run in found.items()]
    if found := _read("find_hosts"):
        parts.append(HOSTS)
        parts += [f"{_found(name, run)}\n{_families(run)}" for name, run in found.items()]
    if timings := _read("bench"):
        parts.append(_bench(timings))
    if sweep := _read("sweep"):
        parts.append(_sweep(sweep))
    if stream := _read("stream"):
        parts.append(
            f"## A long stream\n\n{stream['texts']:,} short texts through `{stream['recipe']}` with `plait embed`: "
            f"{stream['seconds']:.0f} s, peak {stream['peak_above_model_mb']:.0f} MB above the loaded model.\n"
        )
    return "\n".join(parts)


def _read(name: str) -> Any:
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() and path.stat().st_size else None


def _found(name: str, run: dict[str, Any]) -> str:
    """A set's figures: what was looked at on the test part."""
    rows = []
    for label, figure in {"winner": run["best"], "best single strand": run["best_single"], **run["defaults"]}.items():
        gain = figure.get("gain_of_best")
        against = "" if gain is None else "{:+.4f} [{:+.4f}, {:+.4f}]".format(gain["difference"], *gain["interval"])
        interval = "{:.4f} to {:.4f}".format(*figure["interval"])
        scores = [f"{figure['dev']:.4f}", f"{figure['test']:.4f}", interval, against]
        rows.append([label, *scores, f"{figure['bytes']:,}", f"{figure['ms_per_text']:.2f}"])
    head = (
        f"### {name}\n\n{run['metric']}, {run['protocol']}, {run['candidates']} candidates, {run['seconds']:.0f} s.\n"
    )
    names = ["recipe", "dev", "test", "95 % interval", "winner's gain", "bytes", "ms a text"]
    return f"{head}\n{_table(names, rows)}\n\nWinner: `{run['best']['recipe']}`\n"


def _families(run: dict[str, Any]) -> str:
    """What each family of options brought."""
    rows = []
    for effect in run["families"]:
        alone = "" if effect["alone"] is None else f"{effect['alone']:.4f}"
        changes = [_change(effect[name]) for name in ("gain_over_plain", "winner_gains")]
        rows.append([effect["family"], alone, changes[0], f"{effect['without']:.4f}", changes[1]])
    return f"{_table(['family', 'alone', 'gain alone', 'without', 'lost without'], rows)}\n"


def _change(change: dict[str, Any] | None) -> str:
    if change is None:
        return ""
    low, high = change["interval"]
    star = " *" if low > 0 or high < 0 else ""
    return f"{change['difference']:+.4f}{star} [{low:+.4f}, {high:+.4f}]"


def _bench(timings: list[dict[str, Any]]) -> str:
    rows = []
    for timing in timings:
        likeness = "" if timing["agreement"] is None else f"{timing['agreement']:.6f}"
        rows.append([timing["what"], timing["who"], f"{timing['median']:,.2f}", timing["unit"], likeness])
    names = ["work", "who", "median", "unit", "likeness to plait's result"]
    return f"## Speed beside peers\n\nFrom `plait bench`, one thread, in turns, in one run.\n\n{_table(names, rows)}\n"


def _sweep(sweep: dict[str, Any]) -> str:
    many, loop = sweep["forty_two_vectors"], sweep["two_hundred_candidates"]
    rows = [
        [f"{many['vectors']} vectors a text beside one", f"{many['ratio']:.2f} plain passes"],
        [
            f"{loop['candidates']} candidates, {sweep['texts']:,} texts, beside one encode each (measured once)",
            f"{loop['times_cheaper']:.0f} × cheaper ({loop['plait_cpu_s']:.0f} against {loop['loop_cpu_s']:.0f} CPU-s)",
        ],
    ]
    seconds = sweep["changed_step_seconds"].items()
    rows += [
        [f"changed {name}, {sweep['texts']:,} texts, no forward pass", f"{value:.2f} s"] for name, value in seconds
    ]
    machine = sweep["machine"]
    where = f"On {machine['processor']}, {machine['cores']} cores."
    return f"## A sweep's cost\n\n{where}\n\n{_table(['work', 'cost'], rows)}\n"


def _table(names: list[str], rows: list[list[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
