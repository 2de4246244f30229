"""``plait index`` and ``plait search``: a table of texts, and questions to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plait.cli.arguments import COLUMN, FIT, INPUT, JSON, RECIPE, names_of, ready, recipe_of, rows_of
from plait.cli.terminal import Stages, interruptible, out, warn
from plait.types import DataError, RecipeError

if TYPE_CHECKING:
    from plait.store.ranking import Hit
    from plait.store.records import Record

INDEX_EXAMPLES = """
Examples:

plait index runs/demo/model texts.jsonl -o table

plait index runs/demo/model more.jsonl -o table --add

plait index runs/demo/model changed.csv -o table --upsert --id number --metadata year,language
"""
EXAMPLES = """
Examples:

plait search table "an aircraft leaves the ground"

plait search table "rain" --where 'year>=2000' --where language=en,de

plait search vectors.parquet "rain" -k 3 --json
"""
TABLE = typer.Argument(
    metavar="TABLE", help="A table of plait index, or a .parquet of plait embed.", show_default=False
)
KEY = typer.Option("--id", metavar="COLUMN", help="Column of the ids [one that is called id or _id; else numbers].")
METADATA = typer.Option(metavar="COLUMNS", help="Columns to keep beside the texts, with commas [all others].")
WHERE = typer.Option(metavar="CONDITION", help="Only records that meet it: 'year>=2000', lang=en,de. Repeatable.")


def index(  # noqa: PLR0913 - the options of a command are its parameters
    recipe: Annotated[str, RECIPE],
    source: Annotated[str, INPUT],
    output: Annotated[Path, typer.Option("--out", "-o", help="Folder of the table.")],
    column: Annotated[str | None, COLUMN] = None,
    key: Annotated[str | None, KEY] = None,
    metadata: Annotated[str | None, METADATA] = None,
    fit: Annotated[bool, FIT] = False,
    add: Annotated[bool, typer.Option("--add", help="Add to a table of the same recipe.")] = False,
    upsert: Annotated[bool, typer.Option("--upsert", help="Add, and replace records with the same ids.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a table that is there.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on making a table where a stopped run was.")] = False,
) -> None:
    """Embed a file of texts into a searchable table."""
    ways = {"--add": add, "--upsert": upsert, "--overwrite": overwrite, "--resume": resume}
    chosen = [name for name, given in ways.items() if given]
    if len(chosen) > 1:
        raise RecipeError(f"{' and '.join(chosen)} say different things about a table that is there; give one of them")
    kept = "The table holds what was written" if add or upsert else f"{output} is as it was; --resume goes on"
    with interruptible(kept), Stages() as stages:
        from plait.data.streams import stream_texts
        from plait.store.ranking import check_same
        from plait.store.table import Table

        step = ready(recipe_of(recipe), stream_texts(source, column), fit, recipe)
        total = rows_of(source)

        def told(done: float, tokens: int) -> None:
            stages("index", done, None if total is None else max(total, done), "texts", f"{tokens:,} tokens")

        records = _records(source, column, key, None if metadata is None else names_of([metadata]))
        if add or upsert:
            table = Table.open(output)
            check_same(output, str(table.recipe), table.fingerprint, step)
            number = table.upsert(records, told) if upsert else table.add(records, told)
        else:
            table = Table.create(output, step, records, overwrite, told, resume)
            number = len(table)
    if table.cut_texts:
        warn(f"{table.cut_texts:,} texts were cut by the length limit")
    out().print(f'{number:,} texts stored, {len(table):,} in {output}\n\nplait search {output} "your query"')


def _records(source: str, column: str | None, key: str | None, keep: Sequence[str] | None) -> Iterator[Record]:
    from plait.data.streams import stream_rows
    from plait.store.records import Record

    for row in stream_rows(source, column, key, keep):
        yield Record(row.text, row.id, row.metadata)


def search(
    table: Annotated[Path, TABLE],
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for.", show_default=False)],
    k: Annotated[int, typer.Option("-k", min=1, help="How many results.")] = 10,
    where: Annotated[list[str] | None, WHERE] = None,
    recipe: Annotated[str | None, typer.Option(help="A saved recipe; by default the one kept in the table.")] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Search what was indexed or embedded: the nearest texts, by an exact search."""
    with interruptible("Nothing is lost"):
        given = None if recipe is None else recipe_of(recipe)
        if table.suffix == ".parquet":
            from plait.store.vector_file import VectorFile

            if where:
                raise DataError("--where looks into a table of plait index; a .parquet file is searched as a whole")
            hits = VectorFile(table).search(query, given, k)
        else:
            from plait.store.table import Table
            from plait.store.where import parse_where

            hits = Table.open(table).search(query, given, k, parse_where(where or []))
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
