"""``plait bench``: speed on this machine, beside the peers that are installed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from plait.cli.arguments import JSON, names_of
from plait.cli.terminal import Stages, interruptible, warn

if TYPE_CHECKING:
    from plait.evaluation.speed import Timing

EXAMPLES = """
Examples:

plait bench

plait bench --models wordllama --rounds 9 --json
"""


def bench(
    models: Annotated[list[str] | None, typer.Option(help="Models to time, with commas; else those installed.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is timed, in turns.")] = 5,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Measure speed side by side in one run, in CPU-seconds: encoding, search, start-up."""
    with interruptible("Nothing is kept"), Stages() as stages:
        from plait.evaluation.speed import race, start_up
        from plait.selection.peers import encoders, searchers, starters
        from plait.selection.space import installed

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
    """One small table for each piece of work."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    for what in dict.fromkeys(timing.what for timing in timings):
        mine = [timing for timing in timings if timing.what == what]
        last = "memory" if mine[0].megabytes is not None else "agreement"
        rows = Table(what, mine[0].unit, "least", "most", last, box=None, pad_edge=False, header_style="bold")
        for column in rows.columns[1:]:
            column.justify = "right"
        for t in mine:
            extra = "" if t.agreement is None else f"{t.agreement:.6f}"
            rows.add_row(
                t.who,
                _figure(t.median),
                _figure(t.low),
                _figure(t.high),
                f"{t.megabytes:,.0f} MB" if t.megabytes else extra,
            )
        console.print(rows)
        console.print()


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
