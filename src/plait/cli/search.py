"""``plait index`` and ``plait search``: a table of texts, and questions to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plait.cli.arguments import COLUMN, FIT, INPUT, JSON, RECIPE, ready, recipe_of, rows_of
from plait.cli.terminal import Stages, interruptible, out, warn
from plait.types import RecipeError

if TYPE_CHECKING:
    from plait.store.ranking import Hit

INDEX_EXAMPLES = """
Examples:

plait index runs/demo/model texts.jsonl -o table

plait index runs/demo/model more.jsonl -o table --add
"""
EXAMPLES = """
Examples:

plait search table "an aircraft leaves the ground"

plait search vectors.parquet "rain" -k 3 --json
"""
TABLE = typer.Argument(
    metavar="TABLE", help="A table of plait index, or a .parquet of plait embed.", show_default=False
)


def index(
    recipe: Annotated[str, RECIPE],
    source: Annotated[str, INPUT],
    output: Annotated[Path, typer.Option("--out", "-o", help="Folder of the table.")],
    column: Annotated[str | None, COLUMN] = None,
    fit: Annotated[bool, FIT] = False,
    add: Annotated[bool, typer.Option("--add", help="Add to a table of the same recipe.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a table that is there.")] = False,
) -> None:
    """Embed a file of texts into a searchable table."""
    if add and overwrite:
        raise RecipeError("--add keeps the table and --overwrite replaces it; give one of them")
    kept = "The table holds what was written" if add else f"{output} is as it was; the same command starts again"
    with interruptible(kept), Stages() as stages:
        from plait.data.streams import stream_texts
        from plait.store.ranking import check_same
        from plait.store.table import Table

        step = ready(recipe_of(recipe), stream_texts(source, column), fit, recipe)
        total = rows_of(source)

        def told(done: float, tokens: int) -> None:
            stages("index", done, None if total is None else max(total, done), "texts", f"{tokens:,} tokens")

        if add:
            table = Table.open(output)
            check_same(output, str(table.recipe), table.fingerprint, step)
            number = table.add(stream_texts(source, column), told)
        else:
            table = Table.create(output, step, stream_texts(source, column), overwrite, told)
            number = len(table)
    if table.cut_texts:
        warn(f"{table.cut_texts:,} texts were cut by the length limit")
    out().print(f'{number:,} texts stored, {len(table):,} in {output}\n\nplait search {output} "your query"')


def search(
    table: Annotated[Path, TABLE],
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for.", show_default=False)],
    k: Annotated[int, typer.Option("-k", min=1, help="How many results.")] = 10,
    recipe: Annotated[str | None, typer.Option(help="A saved recipe; by default the one kept in the table.")] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Search what was indexed or embedded: the nearest texts, by an exact search."""
    with interruptible("Nothing is lost"):
        given = None if recipe is None else recipe_of(recipe)
        if table.suffix == ".parquet":
            from plait.store.vector_file import VectorFile

            hits = VectorFile(table).search(query, given, k)
        else:
            from plait.store.table import Table

            hits = Table.open(table).search(query, given, k)
    if as_json:
        rows = [{"id": h.id, "score": h.score, "text": h.text, "metadata": dict(h.metadata)} for h in hits]
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
    else:
        _show(hits)


def _show(hits: Sequence[Hit]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    rows = Table("score", "id", "text", box=None, pad_edge=False, header_style="bold")
    rows.columns[0].justify = "right"
    for hit in hits:
        line = " ".join(hit.text.split())
        rows.add_row(f"{hit.score:.4f}", Text(hit.id), Text(line if len(line) <= 400 else line[:399] + "…"))
    console.print(rows)
