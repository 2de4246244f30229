"""``plait index`` and ``plait search``: a table of texts, and questions to it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plait.cli.arguments import COLUMN, FIT, INPUT, JSON, RECIPE, names_of, ready, recipe_of, rows_of
from plait.cli.terminal import Stages, interruptible, out, warn
from plait.types import DataError, RecipeError

if TYPE_CHECKING:
    from plait.retrieval.hypothetical import HypotheticalDocuments
    from plait.retrieval.settings import Settings
    from plait.store.ranking import Hit
    from plait.store.records import Record

INDEX_EXAMPLES = """
Examples:

plait index runs/demo/model texts.jsonl -o table

plait index runs/demo/model more.jsonl -o table --add

plait index runs/demo/model changed.csv -o table --upsert --id number --metadata year,language

plait index runs/demo/model documents.jsonl -o table --cut sentences:5 --context title --words 0.3
"""
EXAMPLES = """
Examples:

plait search table "an aircraft leaves the ground"

plait search table "rain" --where 'year>=2000' --where language=en,de

plait search table "does rain help" --hyde gemma-3-270m

plait search vectors.parquet "rain" -k 3 --json
"""
TABLE = typer.Argument(
    metavar="TABLE", help="A table of plait index, or a .parquet of plait embed.", show_default=False
)
KEY = typer.Option("--id", metavar="COLUMN", help="Column of the ids; else one that is called id or _id, else numbers.")
METADATA = typer.Option(metavar="COLUMNS", help="Columns to keep beside the texts, with commas; else all others.")
WHERE = typer.Option(metavar="CONDITION", help="Only records that meet it: 'year>=2000', lang=en,de. Repeatable.")
CUT = typer.Option(help="Cut documents first: tokens:128, sentences:5 or headings.")
CONTEXT = typer.Option(
    metavar="title|MODEL", help="In front of each passage: title and headings, or a sentence that a decoder writes."
)
WORDS = typer.Option(min=0, max=1, help="What a score by words (BM25) weighs beside that by meaning.")
RESCORE = typer.Option(
    metavar="MODEL", help='Who looks at the best again: a cross-encoder, "tokens", or an encoder by its text.'
)
HYDE = typer.Option(metavar="MODEL", help="Search with what this decoder would answer, too.")


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
    cut: Annotated[str | None, CUT] = None,
    context: Annotated[str | None, CONTEXT] = None,
    words: Annotated[float | None, WORDS] = None,
    rescore: Annotated[str | None, RESCORE] = None,
) -> None:
    """Embed a file of texts into a searchable table.

    How it is searched is kept in it: what plait find chose for a saved recipe, unless options say something else.
    """
    ways = {"--add": add, "--upsert": upsert, "--overwrite": overwrite, "--resume": resume}
    chosen = [name for name, given in ways.items() if given]
    if len(chosen) > 1:
        raise RecipeError(f"{' and '.join(chosen)} say different things about a table that is there; give one of them")
    kept = "The table holds what was written" if add or upsert else f"{output} is as it was; --resume goes on"
    with interruptible(kept), Stages() as stages:
        from plait.data.streams import stream_texts
        from plait.retrieval.index import Index
        from plait.store.ranking import check_same

        step = ready(recipe_of(recipe), stream_texts(source, column), fit, recipe)
        total = rows_of(source)

        def told(done: float, tokens: int) -> None:
            stages("index", done, None if total is None else max(total, done), "texts", f"{tokens:,} tokens")

        records = _records(source, column, key, None if metadata is None else names_of([metadata]))
        asked = {"cut": cut, "context": context, "words": words, "rescore": rescore}
        if add or upsert:
            if given := [f"--{name}" for name, value in asked.items() if value is not None]:
                raise RecipeError(f"{', '.join(given)} are settled when a table is made; this one has {output}")
            index = Index.open(output)
            table = index.table
            check_same(output, str(table.recipe), table.fingerprint, step)
            number = index.upsert(records, told) if upsert else index.add(records, told)
        else:
            index = Index.create(output, step, records, _settings(recipe, asked), overwrite, told, resume)
            table = index.table
            number = len(table)
    if table.cut_texts:
        warn(f"{table.cut_texts:,} texts were cut by the length limit")
    out().print(f'{number:,} texts stored, {len(table):,} in {output}\n\nplait search {output} "your query"')


def _settings(recipe: str, asked: Mapping[str, Any]) -> Settings:
    """What a saved recipe brings, with what the options say in its place."""
    from plait.retrieval.settings import Settings

    known = (Settings.read(Path(recipe)) if os.path.isdir(recipe) else None) or Settings(words=0)
    return replace(known, **{name: value for name, value in asked.items() if value is not None})


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
    hyde: Annotated[str | None, HYDE] = None,
    recipe: Annotated[str | None, typer.Option(help="A saved recipe; by default the one kept in the table.")] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Search what was indexed or embedded: by meaning, and by words where the table says so; exactly."""
    with interruptible("Nothing is lost"):
        given = None if recipe is None else recipe_of(recipe)
        if table.suffix == ".parquet":
            from plait.store.vector_file import VectorFile

            if where or hyde:
                raise DataError(
                    "--where and --hyde need a table of plait index; a .parquet file is searched as a whole"
                )
            hits = VectorFile(table).search(query, given, k)
        else:
            from plait.retrieval.index import Index
            from plait.store.ranking import check_same
            from plait.store.where import parse_where

            index = Index.open(table)
            if given is not None:
                check_same(table, str(index.table.recipe), index.table.fingerprint, given)
            (hits,) = index.search_many([query], k, parse_where(where or []) or None, _hypothetical(hyde))
    if as_json:
        rows = [{"id": h.id, "score": h.score, "text": h.text, "metadata": dict(h.metadata)} for h in hits]
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
    else:
        _show(hits)


def _hypothetical(model: str | None) -> HypotheticalDocuments | None:
    if model is None:
        return None
    from plait.retrieval.generation import LocalGenerator
    from plait.retrieval.hypothetical import HypotheticalDocuments

    return HypotheticalDocuments(LocalGenerator(model))


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
