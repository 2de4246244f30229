"""``plait eval``: one recipe's score on some data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, cast

import typer

from plait.cli.arguments import COLUMNS, DATA, JSON, RECIPE, TASK, pairs_of, recipe_of
from plait.cli.terminal import Stages, interruptible, out, warn

if TYPE_CHECKING:
    from plait.data.tasks import Kind
    from plait.evaluation.judging import Judgement

EXAMPLES = """
Examples:

plait eval runs/demo/model demo:scifact

plait eval 'StaticTable("wordllama") | MeanPool()' mine.csv --column label=intent --json
"""


def evaluate(
    recipe: Annotated[str, RECIPE],
    data: Annotated[str, DATA],
    task: Annotated[str | None, TASK] = None,
    part: Annotated[str, typer.Option(help="test, or dev while choices are still made.")] = "test",
    seed: Annotated[int, typer.Option(help="Of missing splits and of the bootstrap.")] = 0,
    column: Annotated[list[str] | None, COLUMNS] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Score a recipe on your data, with a 95 % interval.

    A recipe given as text is fitted on the train part; a saved one is used as it is.
    """
    columns = pairs_of(column or [], "--column")
    with interruptible("Nothing is kept"), Stages() as stages:
        from plait.data.reading import read
        from plait.evaluation.judging import judge

        step = recipe_of(recipe)
        read_ = read(data, task=cast("Kind | None", task), columns=columns or None, seed=seed)
        found = judge(step, read_, part, seed, lambda label, done, total: stages(label, done, total, "tokens"))
    if as_json:
        typer.echo(json.dumps(_facts(found, str(step), data, part), indent=1, ensure_ascii=False))
        return
    if read_.proxy:
        warn(read_.proxy)
    for note in found.notes:
        warn(note)
    if found.cut_texts:
        warn(f"{found.cut_texts:,} texts were cut by the length limit")
    over = f", {found.folds} folds" if found.folds > 1 else ""
    low, high = found.interval.low, found.interval.high
    what = f"({part}, n = {len(found.score):,}{over})"
    out().print(f"{found.score.metric} {found.score.value:.4f}  95 % interval {low:.4f} to {high:.4f}  {what}")


def _facts(found: Judgement, recipe: str, data: str, part: str) -> dict[str, object]:
    return {
        "recipe": recipe,
        "data": data,
        "part": part,
        "metric": found.score.metric,
        "value": found.score.value,
        "interval": [found.interval.low, found.interval.high],
        "examples": len(found.score),
        "folds": found.folds,
        "fitted_on_train": found.fitted,
        "cut_texts": found.cut_texts,
        "notes": list(found.notes),
    }
