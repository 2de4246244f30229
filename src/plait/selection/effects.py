"""What each family of options brought: the table of the report, and that of the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from plait.evaluation.statistics import Comparison
from plait.selection import formats
from plait.selection.ablation import Effect
from plait.selection.families import FAMILIES
from plait.selection.markup import Html, cell, join, number, table, tag
from plait.selection.searching import SECOND

ABOUT = FAMILIES | SECOND


def effects(found: Sequence[Effect], metric: str) -> Iterator[Html]:
    """How to read the table, and the table: one row a family.

    Args:
        found: what each family brought.
        metric: what the scores are.
    """
    yield tag(
        "p",
        "Chosen on dev and put to the test part beside the winner: the best recipe with this family of options alone, "
        "against the best model as it comes; and the best recipe of all other families, against the winner. A star "
        "stands where the 95 % interval excludes zero.",
    )
    heads = ["family", "alone#", "gain alone#", "without#", "lost without#"]
    rows = [tag("tr", *_cells(effect), role="row") for effect in found]
    yield table(f"Test {metric} with one family alone, and with all but one", heads, rows, "stack sortable")


def _cells(effect: Effect) -> Iterator[Html]:
    what = tag("span", ABOUT[effect.family], class_="sub")
    yield cell(join([tag("b", effect.family), what]), "first")
    if effect.alone is None or effect.gain is None:
        yield from [cell("", "num empty"), cell("", "num empty")]
    else:
        yield number(formats.score(effect.alone), effect.alone, "alone")
        yield number(_changed(effect.gain), effect.gain.difference, "gain alone")
    yield number(formats.score(effect.without), effect.without, "without")
    yield number(_changed(effect.loss), effect.loss.difference, "lost without")


def _changed(change: Comparison) -> Html:
    return join(
        [f"{formats.signed(change.difference)}{_star(change)}", tag("span", formats.span(change), class_="sub")]
    )


def _star(change: Comparison) -> str:
    return " *" if change.low > 0 or change.high < 0 else ""


def effects_board(found: Sequence[Effect], metric: str) -> Table:
    """The same for the terminal.

    Args:
        found: what each family brought.
        metric: what the scores are.
    """
    board = Table(
        title=f"What each family of options brought, {metric} on the test part (* the 95 % interval excludes zero)",
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    board.add_column("family")
    for name in ("alone", "gain alone", "without", "lost without"):
        board.add_column(name, justify="right", no_wrap=True)
    for effect in found:
        alone = "" if effect.alone is None else formats.score(effect.alone)
        gain = "" if effect.gain is None else f"{formats.signed(effect.gain.difference)}{_star(effect.gain)}"
        lost = f"{formats.signed(effect.loss.difference)}{_star(effect.loss)}"
        board.add_row(effect.family, alone, gain, formats.score(effect.without), lost)
    return board
