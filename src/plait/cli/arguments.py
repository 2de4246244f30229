"""Reading what stands on the command line: recipes, lists of models, columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from plait.types import RecipeError

if TYPE_CHECKING:
    from plait.step import Composite

RECIPE = typer.Argument(
    metavar="RECIPE", help="A folder that plait find saved, or a recipe's text.", show_default=False
)
INPUT = typer.Argument(
    metavar="INPUT", help="Plain lines, CSV, TSV, JSON lines or Parquet; each also .gz.", show_default=False
)
DATA = typer.Argument(
    metavar="DATA", help="A file, a folder, demo:NAME (a sample) or hf:OWNER/NAME.", show_default=False
)
TASK = typer.Option(help="Its kind, when the columns do not tell: retrieval, sts, classification, tagging, …")
COLUMNS = typer.Option("--column", metavar="ROLE=COLUMN", help="Which column holds what: label=intent. Repeatable.")
COLUMN = typer.Option(help="Column of the texts, when its name does not tell.")
FIT = typer.Option("--fit", help="Let steps that have yet to learn do so, from the first 20,000 texts.")
JSON = typer.Option("--json", help="Print JSON.")

FIT_TEXTS = 20_000
"""Texts that ``--fit`` learns from."""


def recipe_of(text: str) -> Composite:
    """The recipe of a text or of a saved folder; a run of ``find`` stands for its model."""
    from plait.recipe import load

    folder = Path(text)
    if not (folder / "recipe.txt").exists() or (folder / "plait.json").exists():
        return load(text)
    return load(folder / "model") if (folder / "model").is_dir() else load(folder)


def ready(recipe: Composite, texts: Iterable[str], fit: bool, text: str) -> Composite:
    """The recipe, fitted on the first texts if that is asked for.

    Raises:
        RecipeError: if it has steps that have yet to learn, and nobody asked to fit them.
    """
    from plait.evaluation.judging import is_fitted

    if is_fitted(recipe):
        return recipe
    if not fit:
        raise RecipeError(
            f"{recipe} has steps that have yet to learn from your data; give --fit to let them learn from the first "
            f"{FIT_TEXTS:,} texts of the input, or give a folder that plait find saved instead of {text!r}"
        )
    return recipe.fit(list(islice(texts, FIT_TEXTS)))


def pairs_of(given: Sequence[str], option: str) -> dict[str, str]:
    """``name=value`` arguments.

    >>> pairs_of(["label=fine"], "--column")
    {'label': 'fine'}
    """
    out: dict[str, str] = {}
    for one in given:
        name, sign, value = one.partition("=")
        if not (name.strip() and sign and value.strip()):
            raise RecipeError(f"{option} is {one!r}; expected ROLE=COLUMN, such as label=intent")
        out[name.strip()] = value.strip()
    return out


def names_of(given: Sequence[str]) -> list[str]:
    """Names with commas between them; a comma inside brackets or quotes belongs to a name.

    >>> names_of(["wordllama, all-MiniLM-L6-v2", 'Transformer("a,b", max_length=9)'])
    ['wordllama', 'all-MiniLM-L6-v2', 'Transformer("a,b", max_length=9)']
    """
    return [name for text in given for part in _split(text) if (name := part.strip())]


def _split(text: str) -> Iterator[str]:
    depth, quote, start = 0, "", 0
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == "," and depth == 0:
            yield text[start:place]
            start = place + 1
    yield text[start:]


def rows_of(source: str) -> int | None:
    """About how many texts a file holds, for the time that is left; None if that cannot be told cheaply."""
    path = Path(source)
    if path.suffix == ".parquet" and path.is_file():
        import pyarrow.parquet as pq
        from pyarrow import ArrowInvalid

        try:
            return int(pq.read_metadata(path).num_rows)
        except (ArrowInvalid, OSError):
            return None
    if path.suffix not in (".txt", ".csv", ".tsv", ".jsonl") or not path.is_file():
        return None
    lines, last = 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            lines, last = lines + block.count(b"\n"), block[-1:]
    return lines + (last != b"\n") - (path.suffix in (".csv", ".tsv"))
