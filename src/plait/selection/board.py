"""The leaderboard for the terminal: the figures of the report's first table."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from plait.selection import formats
from plait.selection.labels import short
from plait.selection.markup import clean
from plait.selection.result import FindResult
from plait.selection.verdict import Ranked, ranked


def leaderboard(result: FindResult) -> Table:
    """Winner, best single strand and defaults, best test score first; fits a terminal of 80 columns.

    *gain* is the winner's test score minus the row's. Recipes are named in short; `Figure.recipe` has them in full.

    Args:
        result: of `plait.find`.
    """
    title = Text(clean(f"{result.metric} on the test part"))
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", justify="right")
    table.add_column("recipe", overflow="fold")
    for name in ("test", "95 % interval", "gain", "p", "bytes", "ms/text"):
        table.add_column(name, justify="right", no_wrap=True)
    for number, row in enumerate(ranked(result), 1):
        figure, gain = row.figure, None if row.best else row.figure.against
        table.add_row(
            str(number),
            _name(row, result),
            formats.score(figure.test),
            formats.span(figure.interval),
            formats.signed(gain.difference) if gain else "",
            formats.p_value(gain.p_value) if gain else "",
            f"{figure.bytes:,}",
            formats.milliseconds(figure.milliseconds),
            style="bold" if row.best else None,
        )
    return table


def _name(row: Ranked, result: FindResult) -> Text:
    """What the row is, and the recipe in short; a default's name says it all."""
    chosen = {c.text: c.recipe for c in (result.selection.winner, result.selection.best_single)}
    name = Text(clean(", ".join(row.names)))
    if row.figure.recipe in chosen:
        name.append(f"\n{clean(short(chosen[row.figure.recipe]))}", style="dim")
    return name
