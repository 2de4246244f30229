"""The command ``plait``: its sub-commands, and how errors leave it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from plait import __version__
from plait.cli import bench, embed, evaluate, export, find, info, inspect, papers, search, serve, tables
from plait.cli.terminal import complain
from plait.types import PlaitError

DEBUG = "--debug"
USAGE = 2
"""Exit status for what the user can mend."""
INTERRUPTED = 130

app = typer.Typer(
    name="plait",
    help="Find, build and explain the embedding that is best for your own data.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("find", epilog=find.EXAMPLES)(find.find)
app.command("embed", epilog=embed.EXAMPLES)(embed.embed)
app.command("eval", epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.command("index", epilog=search.INDEX_EXAMPLES)(search.index)
app.command("search", epilog=search.EXAMPLES)(search.search)
app.command("export", epilog=export.EXAMPLES)(export.export)
app.command("dump", epilog=tables.DUMP_EXAMPLES)(tables.dump)
app.add_typer(tables.app, name="table")
app.command("serve", epilog=serve.EXAMPLES)(serve.serve)
app.command("info", epilog=info.EXAMPLES)(info.info)
app.command("inspect", epilog=inspect.EXAMPLES)(inspect.inspect)
app.command("bench", epilog=bench.EXAMPLES)(bench.bench)
app.add_typer(papers.app, name="papers")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"plait {__version__}")
        raise typer.Exit


VERSION = typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")


@app.callback()
def _options(
    version: Annotated[bool, VERSION] = False,
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of an error (also: PLAIT_DEBUG=1).")] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Args:
        arguments: what follows the command's name; None takes the process's own.

    Raises:
        SystemExit: always; with 0 if all went well, 2 for an error that the message says how to mend, 130 when stopped.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = DEBUG in given or os.environ.get("PLAIT_DEBUG", "") not in ("", "0")
    try:
        app([argument for argument in given if argument != DEBUG], prog_name="plait")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except PlaitError as error:
        if debug:
            raise
        complain(str(error))
        sys.exit(USAGE)
    except OSError as error:
        if debug or error.strerror is None:
            raise
        complain(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
        sys.exit(USAGE)
