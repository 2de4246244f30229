"""``plait table`` and ``plait dump``: what can be done with a table beside searching it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from plait.cli.arguments import JSON
from plait.cli.terminal import Stages, interruptible, megabytes, out
from plait.types import DataError

app = typer.Typer(no_args_is_help=True, help="Look after a table: delete records, list and restore versions, compact.")

TABLE = typer.Argument(metavar="TABLE", help="A table of plait index.", show_default=False)
OUTPUT = typer.Argument(metavar="OUT", help="File to write: .parquet, .npy, .usearch or .sql.", show_default=False)
IDS = typer.Argument(metavar="IDS", help="File of ids, one a line, or a .json list of them.", show_default=False)
DUMP_EXAMPLES = """
Examples:

plait dump table vectors.parquet

plait dump table vectors.sql --half --name documents
"""
DELETE_EXAMPLES = """
Examples:

plait table delete table ids.txt
"""
VERSIONS_EXAMPLES = """
Examples:

plait table versions table
"""
RESTORE_EXAMPLES = """
Examples:

plait table restore table 7
"""
COMPACT_EXAMPLES = """
Examples:

plait table compact table --keep-days 1
"""


def dump(
    table: Annotated[Path, TABLE],
    output: Annotated[Path, OUTPUT],
    version: Annotated[int | None, typer.Option(help="A version of plait table versions; else the newest.")] = None,
    half: Annotated[bool, typer.Option("--half", help="16-bit floats in SQL (halfvec).")] = False,
    name: Annotated[str, typer.Option(help="Name of the SQL table.")] = "items",
) -> None:
    """Write a table as Parquet, numpy, a usearch index, or SQL for PostgreSQL with pgvector."""
    with interruptible(f"{output} was not written"), Stages() as stages:
        from plait.store.other_formats import dump as write
        from plait.store.table import Table

        opened = Table.open(table, version)
        total = len(opened)
        write(opened, output, half, name, lambda done: stages("dump", done, total, "records"))
    out().print(f"{total:,} records in {output}, {megabytes(output.stat().st_size)}")


@app.command("delete", epilog=DELETE_EXAMPLES)
def delete(table: Annotated[Path, TABLE], ids: Annotated[Path, IDS]) -> None:
    """Delete records by id."""
    from plait.store.table import Table

    wanted = _ids(ids)
    opened = Table.open(table)
    deleted = opened.delete(wanted)
    out().print(f"{deleted:,} deleted, {len(set(wanted)) - deleted:,} were not there, {len(opened):,} left in {table}")


@app.command("versions", epilog=VERSIONS_EXAMPLES)
def versions(table: Annotated[Path, TABLE], as_json: Annotated[bool, JSON] = False) -> None:
    """List the states of a table that can be restored, oldest first."""
    from plait.store.table import Table

    found = Table.open(table).versions()
    if as_json:
        typer.echo(
            json.dumps([{"number": v.number, "time": v.time.isoformat(), "rows": v.rows} for v in found], indent=1)
        )
    else:
        for version in found:
            out().print(f"{version.number:>6}  {version.time:%Y-%m-%d %H:%M:%S}  {version.rows:>12,} records")


@app.command("restore", epilog=RESTORE_EXAMPLES)
def restore(
    table: Annotated[Path, TABLE],
    version: Annotated[int, typer.Argument(metavar="VERSION", help="Its number.", show_default=False)],
) -> None:
    """Make an old state the newest one; what came after it stays among the versions."""
    from plait.store.table import Table

    opened = Table.open(table)
    opened.restore(version)
    out().print(f"{table} is as it was at version {version}: {len(opened):,} records")


@app.command("compact", epilog=COMPACT_EXAMPLES)
def compact(
    table: Annotated[Path, TABLE],
    keep_days: Annotated[float, typer.Option(min=0, help="Age up to which old versions are kept.")] = 7,
) -> None:
    """Join small files and drop old versions."""
    from plait.store.table import Table

    before = _size(table)
    Table.open(table).compact(timedelta(days=keep_days))
    out().print(f"{table} had {megabytes(before)} and has {megabytes(_size(table))}")


def _ids(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".json":
        return [line for line in text.splitlines() if line]
    try:
        read = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path} is no JSON ({error}); expected a list of ids") from error
    if not isinstance(read, list):
        raise DataError(f"{path} holds a {type(read).__name__}; expected a list of ids")
    return [str(one) for one in read]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
