"""The leaderboard for the terminal: the figures of the report's first table."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from plait.selection import formats
from plait.selection.labels import clip
from plait.selection.result import FindResult
from plait.selection.verdict import ranked

SHOWN = 160
"""Characters of a recipe that did not win."""


def leaderboard(result: FindResult) -> Table:
    """Winner, best single strand and defaults, best test score first.

    Args:
        result: of `plait.find`.
    """
    title = f"{result.metric} on the test part"
    table = Table(title=title, title_justify="left", title_style="bold", expand=True, box=SIMPLE_HEAD)
    table.add_column("", justify="right")
    table.add_column("recipe", overflow="fold", ratio=1)
    for name in ("test", "95 % interval", "winner's gain", "p", "bytes", "ms/text"):
        table.add_column(name, justify="right", no_wrap=name != "95 % interval")
    for number, row in enumerate(ranked(result), 1):
        figure, gain = row.figure, row.figure.against
        recipe = figure.recipe if row.best else clip(figure.recipe, SHOWN)
        table.add_row(
            str(number),
            Text(f"{', '.join(row.names)}\n").append(recipe, style="dim"),
            formats.score(figure.test),
            formats.span(figure.interval),
            "" if row.best or gain is None else formats.signed(gain.difference),
            "" if row.best or gain is None else formats.p_value(gain.p_value),
            f"{figure.bytes:,}",
            formats.milliseconds(figure.milliseconds),
            style="bold" if row.best else None,
        )
    return table
