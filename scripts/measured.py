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

SEARCH = """## Exact search beside faiss

Queries a CPU-second for the {k} best, one thread of {processor}, in turns, in one run; in brackets, beside the quickest
way through faiss. `Lengths.of(vectors)` was measured before the clock started, as faiss' index was built.
"""
RECALL = """## What codes keep of an exact search

`{recipe}` at length 1; {sets}. Recall@{k} is the share of what an exact search over the floats finds; nDCG@{k} is by
the sets' own judgements. Scanned are the bytes looked at for one query, beside all floats. Documents alone taught the
codes. Candidates that are rescored by floats are read from a memory-mapped file.

A recall of 0.98 or more in each set for a twentieth of the bytes or less: {good}.
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
    sections = {
        "bench": _bench,
        "sweep": _sweep,
        "stream": _stream,
        "ingest": _ingest,
        "cluster": _cluster,
        "serve": _serve,
        "search": _search,
        "recall": _recall,
    }
    parts += [section(figures) for name, section in sections.items() if (figures := _read(name))]
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


def _stream(stream: dict[str, Any]) -> str:
    return (
        f"## A long stream\n\n{stream['texts']:,} short texts through `{stream['recipe']}` with `plait embed`: "
        f"{stream['seconds']:.0f} s, peak {stream['peak_above_model_mb']:.0f} MB above the loaded model.\n"
    )


def _ingest(ingest: dict[str, Any]) -> str:
    rows = [
        [
            f"{name} {figures['rows']:,} rows",
            f"{figures['rows_per_second']:,.0f} rows/s",
            f"{figures['cpu_seconds']:.1f}",
        ]
        for name, figures in (("insert", ingest["insert"]), ("replace", ingest["replace"]))
    ]
    for name, label in (("compact", "compact"), ("delete_a_tenth", "delete a tenth by id")):
        rows.append([label, f"{ingest[name]['seconds']:.2f} s", f"{ingest[name]['cpu_seconds']:.1f}"])
    head = f"## A table's ingest\n\nVectors of {ingest['width']} floats with id, text and metadata, in batches.\n"
    return f"{head}\n{_table(['work', 'wall time', 'CPU-s'], rows)}\n"


def _cluster(cluster: dict[str, Any]) -> str:
    """Cost of many texts, with the arithmetic."""
    price, day = cluster["price_per_core_hour"], 24 * cluster["machine_cores"]
    rows, lines = [], []
    for run in cluster["runs"]:
        hours, size = run["cpu_seconds"] / run["texts"] * 1e6 / 3600, run["output_bytes"] / run["texts"]
        what = f"{run['model']}, {run['texts_of']}"
        figures = [
            run["tokens"] / run["texts"],
            run["texts"] / run["cpu_seconds"],
            hours,
            hours * price,
            size * 1e6 / 1e9,
        ]
        rows.append([what, *(f"{figure:,.3g}" if figure < 1000 else f"{figure:,.0f}" for figure in figures)])
        lines.append(
            f"- {what}: {run['cpu_seconds']:.1f} CPU-s ÷ {run['texts']:,} texts × 10⁶ ÷ 3,600 = {hours:.3g} core-hours "
            f"a million, × {price} = {hours * price:.3g}. A billion: × 1,000 = {hours * 1000:,.0f} core-hours, "
            f"{hours * price * 1000:,.0f}; ÷ {day:,} = {hours * 1000 / day:,.1f} machines for a day; "
            f"{size:,.0f} bytes × 10⁹ = {size / 1e3:,.2f} TB."
        )
    names = [
        "model, texts",
        "tokens a text",
        "texts a CPU-s",
        "core-hours a million",
        "price a million",
        "GB a million",
    ]
    head = (
        f"## Cost of a million texts\n\n`plait embed --engine local`, {cluster['workers']} workers of one thread on "
        f"{cluster['machine']['processor']}. The price of a core-hour ({price}) and {cluster['machine_cores']} cores "
        "of a machine are assumptions; put your own in. A billion is a thousand millions: shards share nothing.\n"
    )
    return "\n".join([head, _table(names, rows), "", *lines, ""])


def _serve(serve: dict[str, Any]) -> str:
    """Texts a second over HTTP by the size of requests, beside bare ``encode``, and the server's memory."""
    what = {
        "texts_per_second_bare": "bare",
        "texts_per_second_bare_as_many_as_are_in_flight": "bare, as many at once as are in flight",
        "texts_per_second_served": "served",
    }
    rows = [
        [model, size, *(f"{figures[key]:,.0f}" for key in what), f"{figures['ratio']:.2f}"]
        for model in serve["recipes"]
        for size, figures in serve[model].items()
    ]
    bar, memory, machine = serve["bar"], serve["memory"], serve["machine"]
    got = serve[bar["recipe"]][str(bar["texts_a_request"])]["ratio"]
    head = (
        f"## The server under load\n\nTexts a second, wall time; {serve['clients']} clients at once share "
        f"{machine['cores']} cores of {machine['processor']} with the server.\n"
    )
    tail = (
        f"The bar was {bar['ratio']} for {bar['recipe']} with {bar['texts_a_request']} texts a request: {got:.2f}. "
        f"The server holds {memory['mb_after_a_tenth']:.0f} MB after a tenth of {memory['requests']:,} requests, and "
        f"{memory['mb_after_all']:.0f} MB after all.\n"
    )
    names = ["model", "texts a request", *what.values(), "served to bare"]
    return f"{head}\n{_table(names, rows)}\n\n{tail}"


def _search(search: dict[str, Any]) -> str:
    """Queries a second by who is asked and how many at once, each beside the quickest way through faiss."""
    parts = [SEARCH.format(k=search["k"], processor=search["machine"]["processor"])]
    sizes = {"bits": search["bits"]}
    for what in dict.fromkeys(timing["what"] for timing in search["works"]):
        mine = [timing for timing in search["works"] if timing["what"] == what]
        blocks = sorted({timing["queries"] for timing in mine})
        rows, width = sizes.get(what, search["floats"])
        cells = {
            (timing["who"], timing["queries"]): f"{timing['median']:,.0f} ({timing['of_faiss']:.2f})" for timing in mine
        }
        names = dict.fromkeys(timing["who"] for timing in mine)
        lines = [[who, *(cells.get((who, block), "") for block in blocks)] for who in names]
        parts.append(f"### {rows:,} × {width} {what}\n\n{_table(['who', *(f'{b} at once' for b in blocks)], lines)}\n")
    return "\n".join(parts)


def _recall(recall: dict[str, Any]) -> str:
    """What codes keep: the best for their bytes first, then all."""
    sets = recall["sets"]
    points = list(zip(*(run["points"] for run in sets.values()), strict=True))
    order = sorted(points, key=lambda point: (max(p["share_scanned"] for p in point), -min(p["recall"] for p in point)))
    front, best = [], -1.0
    for point in order:
        if (worst := min(p["recall"] for p in point)) > best:
            front, best = [*front, point], worst
    names = ["recipe", "rescored by floats", "bytes a vector"]
    names += [f"{name}: {what}" for name in sets for what in ("scanned", "recall", "nDCG")]
    texts = ", ".join(
        f"{name} ({run['documents']:,} documents, {run['queries']} queries)" for name, run in sets.items()
    )
    good = [p for p in order if all(q["recall"] >= 0.98 and q["share_scanned"] <= 1 / 20 for q in p)]
    named = "; ".join(f"`{p[0]['recipe']}` with {p[0]['candidates']} rescored by floats" for p in good) or "none"
    head = RECALL.format(recipe=recall["recipe"], sets=texts, k=recall["k"], good=named)
    everything = f"### All\n\n{_table(names, list(map(_point, points)))}\n"
    return "\n".join([head, f"### Best for its bytes\n\n{_table(names, list(map(_point, front)))}\n", everything])


def _point(point: tuple[dict[str, Any], ...]) -> list[str]:
    first = point[0]
    figures = [text for p in point for text in (f"{p['share_scanned']:.2%}", f"{p['recall']:.3f}", f"{p['ndcg']:.4f}")]
    recipe = first["recipe"].replace("|", "\\|")
    return [f"`{recipe}`", str(first["candidates"] or ""), f"{first['bytes_a_vector']:,}", *figures]


def _table(names: list[str], rows: list[list[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
