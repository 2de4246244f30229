"""``plait find``: the best recipe for somebody's own data."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plait.cli.arguments import COLUMNS, DATA, JSON, TASK, names_of, pairs_of
from plait.cli.terminal import Stages, err, interruptible, out, warn

if TYPE_CHECKING:
    from plait.selection.result import FindResult

EXAMPLES = """
Examples:

plait find demo:scifact --out runs/demo

plait find mine.csv --models wordllama,all-MiniLM-L6-v2 --max-bytes 128

plait find reviews.jsonl --task classification --column label=stars --time-budget 30
"""


def find(  # noqa: PLR0913 - the options of a command are its parameters
    data: Annotated[str, DATA],
    task: Annotated[str | None, TASK] = None,
    models: Annotated[list[str] | None, typer.Option(help="Models to try, with commas; else those installed.")] = None,
    space: Annotated[Path | None, typer.Option(help="TOML file that says what may be combined.")] = None,
    strategy: Annotated[str, typer.Option(help="Whose concatenation may win: ace, greedy, random or all.")] = "ace",
    max_bytes: Annotated[int | None, typer.Option(min=1, help="What one stored vector may take.")] = None,
    max_ms: Annotated[float | None, typer.Option(min=0.0, help="Milliseconds one text may take here.")] = None,
    time_budget: Annotated[float | None, typer.Option(min=0.0, help="Minutes to begin new candidates in.")] = None,
    seed: Annotated[int, typer.Option(help="Of splits, samples and searches.")] = 0,
    out_: Annotated[Path, typer.Option("--out", help="Folder for report, recipe, model and bank.")] = Path("runs/find"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a stopped run in that folder.")] = False,
    column: Annotated[list[str] | None, COLUMNS] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Find the best recipe for your data, at your budget of bytes and milliseconds."""
    columns, names = pairs_of(column or [], "--column"), names_of(models or [])
    kept = f"What was computed is in {out_}; go on with the same command and --resume"
    notes: list[str] = []
    with interruptible(kept), Stages() as stages:
        from plait.selection.finding import Listener
        from plait.selection.finding import find as search

        listener = Listener(
            tokens=lambda label, done, total: stages(f"encode {label}", done, total, "tokens"),
            stage=stages,
            note=notes.append,
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            result = search(
                data,
                task=task,
                models=names or None,
                space=space,
                strategy=strategy,
                max_bytes=max_bytes,
                max_ms=max_ms,
                time_budget=time_budget,
                seed=seed,
                out=out_,
                resume=resume,
                columns=columns or None,
                listener=listener,
            )
    said = [str(warning.message) for warning in caught if issubclass(warning.category, UserWarning)]
    if as_json:
        typer.echo(json.dumps(result.as_dict(), indent=1, ensure_ascii=False))
    else:
        _report(result, out_, [*notes, *said])


def _report(result: FindResult, folder: Path, notes: list[str]) -> None:
    """What to know, what was found, what to do with it."""
    from plait.selection.board import leaderboard
    from plait.selection.effects import effects_board

    if result.task.proxy:
        warn(result.task.proxy)
    for note in dict.fromkeys([*result.task.notes, *result.protocol.notes, *notes]):
        warn(note)
    if result.selection.skipped:
        warn(f"{result.selection.skipped} candidates were left out: the time was up")
    err().print()
    from rich.console import Console

    console = Console(highlight=False)
    console.print(leaderboard(result))
    if result.effects:
        console.print(effects_board(result.effects, result.metric))
    show = out().print
    show(f"\nreport   {folder / 'report.html'}")
    show(f"figures  {folder / 'results.parquet'}, {folder / 'run.json'}")
    show(f"recipe   {result.best.recipe}")
    show(f"\nplait embed {folder / 'model'} texts.jsonl -o vectors.parquet")
