"""``plait inspect``: what a model's layers hold of some data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plait.cli.arguments import COLUMNS, DATA, JSON, TASK, pairs_of
from plait.cli.terminal import Stages, interruptible, out, warn

if TYPE_CHECKING:
    from plait.analysis.inspection import Inspection

EXAMPLES = """
Examples:

plait inspect all-MiniLM-L6-v2 demo:stsb

plait inspect gemma-3-270m reviews.csv --column label=stars --out runs/layers.html
"""
MODEL = typer.Argument(metavar="MODEL", help="A model's name, a folder or an encoder step.", show_default=False)


def inspect(  # noqa: PLR0913 - the options of a command are its parameters
    model: Annotated[str, MODEL],
    data: Annotated[str, DATA],
    task: Annotated[str | None, TASK] = None,
    texts: Annotated[int, typer.Option(min=3, help="Texts drawn for all that needs no labels.")] = 300,
    pairs: Annotated[int, typer.Option(min=2, help="Pairs drawn, of texts that belong together.")] = 500,
    seed: Annotated[int, typer.Option(help="Of all draws.")] = 0,
    out_: Annotated[Path, typer.Option("--out", help="File of the report.")] = Path("runs/inspect.html"),
    column: Annotated[list[str] | None, COLUMNS] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Look into a model: entropy, invariance, geometry and similarity of every layer, as one page."""
    columns = pairs_of(column or [], "--column")
    with interruptible("Nothing is kept"), Stages() as stages:
        from plait.analysis.inspection import inspect_layers
        from plait.cli.inspection_page import render
        from plait.data.reading import read
        from plait.data.tasks import KINDS
        from plait.selection.space import encoder
        from plait.types import DataError

        kind = next((one for one in KINDS if one == task), None)
        if task and kind is None:
            raise DataError(f"--task is {task!r}; expected one of {', '.join(KINDS)}")
        given = read(data, kind, columns or None, seed)
        found = inspect_layers(encoder(model), given, texts, pairs, seed=seed, listener=stages)
        out_.parent.mkdir(parents=True, exist_ok=True)
        out_.write_text(render(found), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(found.table(), indent=1))
        return
    for note in given.notes:
        warn(note)
    _show(found, out_)


def _show(found: Inspection, path: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    rows = Table("layer", *(name.replace("_", " ") for name in found.curves), box=None, header_style="bold")
    for column in rows.columns:
        column.justify = "right"
    for row in found.table():
        figures = [f"{row[name]:.3g}" if abs(row[name]) < 1000 else f"{row[name]:,.0f}" for name in found.curves]
        rows.add_row(f"{row['layer']:.0f}", *figures, style="bold" if row["layer"] == found.best else "")
    Console(highlight=False).print(rows)
    show = out().print
    show(f"\nscore   {found.score}")
    show(f"pairs   {found.pairs}")
    show(f"report  {path}")
