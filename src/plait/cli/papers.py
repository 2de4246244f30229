"""``plait papers``: the published systems, what they claim, and what was measured here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from textwrap import shorten
from typing import Annotated

import typer

from plait.papers.catalogue import ROOMS, STATUSES, Paper, paper, papers
from plait.types import DataError, PlaitError

app = typer.Typer(help="The literature as runnable checks: what papers claim and what was measured here.")

COLUMNS = ("paper", "room", "status", "holds", "value", "baseline")
CLAIM_WIDTH = 30
"""Narrower than this the table leaves the claims out: a stump tells nothing, and `show` prints them whole."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a paper.")]


@app.callback(invoke_without_command=True)
def table(
    context: typer.Context,
    room: Annotated[str, typer.Option(help="Only papers of this room, e.g. pooling.")] = "",
    status: Annotated[str, typer.Option(help="Only planned, built or measured ones.")] = "",
    as_json: Json = False,
) -> None:
    """List the published systems, by room."""
    if context.invoked_subcommand:
        return
    _one_of("--room", room, ROOMS)
    _one_of("--status", status, STATUSES)
    found = [p for p in papers() if room in ("", p.room) and status in ("", p.status)]
    if as_json:
        _print_json(found)
    else:
        _print_table(found)


@app.command()
def show(slug: Annotated[str, typer.Argument(help="Which paper, e.g. whitening-bert.")], as_json: Json = False) -> None:
    """Show one paper: its claim, what serves it, and its last result."""
    found = paper(slug)
    if as_json:
        _print_json([found])
    else:
        _print_paper(found)


@app.command()
def check(
    slugs: Annotated[list[str] | None, typer.Argument(help="Which papers.")] = None,
    all_built: Annotated[bool, typer.Option("--all-built", help="Every paper that has a check.")] = False,
    as_json: Json = False,
) -> None:
    """Run checks on real data and keep their results.

    A claim that does not hold is a finding, not an error: the exit status is 1 only if a check could not be run.
    """
    names = [p.slug for p in papers() if p.check] if all_built else list(dict.fromkeys(slugs or []))
    if not names:
        raise DataError("no paper has a check yet" if all_built else "name the papers to check, or give --all-built")
    done, failed = _run(names)
    if as_json:
        _print_json(done)
    else:
        for found in done:
            _print_paper(found)
    if failed:
        raise typer.Exit(1)


def _run(names: Sequence[str]) -> tuple[list[Paper], list[str]]:
    """Run checks one after the other; one that cannot be run does not stop the rest."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from plait.papers.check import run_check

    errors = Console(stderr=True)
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    done, failed = [], []
    with Progress(*columns, console=errors) as progress:
        bar = progress.add_task("", total=len(names))
        for name in names:
            progress.update(bar, description=name)
            try:
                run_check(name)
                done.append(paper(name))
            except PlaitError as error:
                failed.append(name)
                errors.print(f"{name}: {error}", style="red", markup=False, highlight=False)
            progress.advance(bar)
    return done, failed


def _one_of(option: str, value: str, allowed: Sequence[str]) -> None:
    if value and value not in allowed:
        raise DataError(f"{option} is {value!r}; expected one of {', '.join(allowed)}")


def _print_json(found: Sequence[Paper]) -> None:
    typer.echo(json.dumps([p.as_dict() for p in found], indent=2, ensure_ascii=False))


def _print_table(found: Sequence[Paper]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    cells = [(p.slug, p.room, p.status, *_figures(p)) for p in found]
    widths = [max([len(name), *map(len, column)]) for name, *column in zip(COLUMNS, *cells, strict=True)]
    left = console.width - sum(widths) - 2 * len(widths)
    rows = Table(*COLUMNS, box=None, pad_edge=False, header_style="bold")
    if left >= CLAIM_WIDTH:
        rows.add_column("claim", no_wrap=True)
    for p, row in zip(found, cells, strict=True):
        rows.add_row(*row, *([shorten(p.claim, left, placeholder=" …")] if left >= CLAIM_WIDTH else []))
    console.print(rows)
    counts = ", ".join(f"{sum(p.status == s for p in found)} {s}" for s in STATUSES)
    console.print(f"{len(found)} papers: {counts}", style="dim")


def _figures(p: Paper) -> tuple[str, str, str]:
    if p.result is None:
        return "", "", ""
    return "yes" if p.result.holds else "no", f"{p.result.value:.4g}", f"{p.result.baseline:.4g}"


def _print_paper(p: Paper) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    console.print(f"{p.title} ({p.year})", style="bold")
    console.print(p.claim)
    for name, value in [*_facts(p), *_measured(p)]:
        console.print(f"{name:>10}  {value}")


def _facts(p: Paper) -> list[tuple[str, str]]:
    facts = [
        ("slug", p.slug),
        ("source", p.source),
        ("code", p.code and f"https://github.com/{p.code}"),
        ("room", f"{p.room} ({p.kind})"),
        ("serves", ", ".join(p.components)),
        ("check", p.check),
        ("published", p.published),
        ("note", p.note),
        ("status", p.status),
    ]
    return [(name, value) for name, value in facts if value]


def _measured(p: Paper) -> list[tuple[str, str]]:
    """The last result: a tick for a claim that holds and for an ablation that breaks it."""
    result = p.result
    if result is None:
        return []
    verdict = "holds" if result.holds else "does not hold"
    where = f"{result.metric}; {', '.join(result.data)}; {result.date}, {result.seconds:.0f} s"
    lines = [("measured", f"{verdict} ({where})")]
    for claim in result.claims:
        figures = f"{claim.value:.4g} against {claim.baseline:.4g}, bar {claim.bar:+.4g}"
        lines.append(("✓" if claim.holds else "✗", f"{claim.text}: {figures}"))
    for ablation in result.ablation.values():
        still = "" if ablation.fails else ", and the claim still holds"
        lines.append(("✓" if ablation.fails else "✗", f"without it ({ablation.text}): {ablation.value:.4g}{still}"))
    return [*lines, ("note", result.note)] if result.note else lines
