"""``plait bench``: speed on this machine, beside the peers that are installed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from plait.cli.arguments import names_of
from plait.cli.terminal import Stages, interruptible, warn

if TYPE_CHECKING:
    from plait.evaluation.speed import Timing

EXAMPLES = {
    "bench": """
    Examples:

    plait bench

    plait bench --models wordllama --rounds 9 --json
    """
}


def bench(
    models: Annotated[list[str] | None, typer.Option(help="Models to time, with commas; else those installed.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is timed, in turns.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure speed side by side in one run, in CPU-seconds: encoding, search, start-up."""
    with interruptible("Nothing is kept"), Stages() as stages:
        from plait.encoders.weights import installed
        from plait.evaluation.peers import encoders, searchers, starters
        from plait.evaluation.speed import race, start_up

        timings: list[Timing] = []
        missing: list[str] = []
        for name in names_of(models or []) or installed():
            contenders, absent = encoders(name)
            missing += absent
            timings += race(contenders, rounds, lambda done, total, name=name: stages(f"encode {name}", done, total))  # type: ignore[misc]
        contenders, absent = searchers()
        missing += absent
        timings += race(contenders, rounds, lambda done, total: stages("search", done, total))
        timings += start_up(starters(), rounds, lambda done, total: stages("start-up", done, total))
    if as_json:
        typer.echo(json.dumps([asdict(timing) for timing in timings], indent=1, ensure_ascii=False))
        return
    for text in dict.fromkeys(missing):
        warn(text)
    _show(timings)


def _show(timings: Sequence[Timing]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = Table("what", "who", "median", "range", "", "memory", "same result", box=None, pad_edge=False, header_style="bold")
    for place in (2, 3, 5, 6):
        rows.columns[place].justify = "right"
    before = ""
    for t in timings:
        spread = f"{t.low:,.4g} – {t.high:,.4g}"
        memory = "" if t.megabytes is None else f"{t.megabytes:,.0f} MB"
        same = "" if t.agreement is None else f"{t.agreement:.6f}"
        what = t.what if t.what != before else ""
        rows.add_row(Text(what), Text(t.who), f"{t.median:,.4g}", spread, t.unit, memory, same)
        before = t.what
    Console(highlight=False).print(rows)
