"""`grid`: many recipes on many tasks, with one forward pass for each encoder and prompt over all their texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast

from plait import plan
from plait.bank import Bank
from plait.data.tasks import Task
from plait.evaluation.judging import Judgement, is_fitted, judge_in, needed_documents
from plait.evaluation.passes import Passes
from plait.evaluation.specs import TaskSpec
from plait.step import Composite
from plait.types import DataError

Cell: TypeAlias = "str | float"


@dataclass(frozen=True, eq=False)
class GridResult:
    """What `grid` found.

    Attributes:
        judgements: by the recipe's name, then by the task's.
        milliseconds: of forward passes a text, by the recipe's name: what it would cost alone.
        passes: how many forward passes were run.
    """

    judgements: Mapping[str, Mapping[str, Judgement]]
    milliseconds: Mapping[str, float]
    passes: int

    def value(self, recipe: str, task: str) -> float:
        """A recipe's score on a task."""
        return self.judgements[recipe][task].score.value

    def best(self, task: str) -> str:
        """Name of the recipe with the highest score on a task."""
        return max(self.judgements, key=lambda name: self.value(name, task))

    def table(self) -> list[dict[str, Cell]]:
        """One row a recipe and task: recipe, task, metric, value with 95 % interval, milliseconds."""
        return [
            {
                "recipe": recipe,
                "task": task,
                "metric": judged.score.metric,
                "value": judged.score.value,
                "low": judged.interval.low,
                "high": judged.interval.high,
                "milliseconds": self.milliseconds[recipe],
            }
            for recipe, found in self.judgements.items()
            for task, judged in found.items()
        ]


def grid(
    recipes: Mapping[str, Composite],
    tasks: Iterable[Task | TaskSpec],
    bank: Bank | None = None,
    seed: int = 0,
    progress: plan.Progress | None = None,
) -> GridResult:
    """Score recipes on tasks.

    Layers, poolings and transforms of an encoder cost no further pass: each encoder reads every text once a prompt.

    Args:
        recipes: by name; steps that learn are fitted for each task on its own train part, as `judge` does.
        tasks: each with a name of its own; texts, not sentences given as words.
        bank: where vectors are kept and found again.
        seed: of missing splits, of the texts to learn from and of the bootstrap.
        progress: told how the passes go on.

    Raises:
        DataError: if there is no recipe or no task, or two tasks share a name.

    Example:
        >>> from plait import MaxPool, MeanPool, StaticTable
        >>> from plait.data import read
        >>> table = StaticTable("wordllama")
        >>> found = grid({"mean": table | MeanPool(), "max": table | MaxPool()}, [read("demo:stsb")])
        >>> found.best("demo:stsb"), found.passes
        ('mean', 1)
    """
    specs = [task if isinstance(task, TaskSpec) else TaskSpec(task) for task in tasks]
    names = [spec.name for spec in specs]
    if not recipes or not specs or len(set(names)) < len(names):
        raise DataError(
            f"{len(recipes)} recipes and the tasks {', '.join(names) or 'none'}: give one of each at least, and every "
            "task a name of its own"
        )
    passes = Passes(bank, progress)
    texts = _texts(specs, not all(is_fitted(recipe) for recipe in recipes.values()), seed)
    sinks: dict[str, _Sink] = {}
    for recipe in recipes.values():
        for strand in recipe.strands():
            sinks.setdefault(strand.source, _Sink({})).found[strand.key] = strand
    count = len({*texts["document"], *texts["query"]})
    cost: dict[str, float] = {}
    for source, sink in sinks.items():
        before = passes.seconds
        passes.prepare(cast(Composite, sink), texts)
        cost[source] = 1000 * (passes.seconds - before) / count
    judgements = {
        name: {spec.name: judge_in(passes, recipe, spec, seed) for spec in specs} for name, recipe in recipes.items()
    }
    needed = {name: {strand.source for strand in recipe.strands()} for name, recipe in recipes.items()}
    return GridResult(
        judgements,
        {name: sum(cost[source] for source in sources) for name, sources in needed.items()},
        len(sinks) * sum(1 for given in texts.values() if given),
    )


@dataclass(frozen=True)
class _Sink:
    """Strands of many recipes that one pass feeds, by key."""

    found: dict[str, plan.Strand]

    def strands(self) -> Iterator[plan.Strand]:
        return iter(self.found.values())


def _texts(specs: list[TaskSpec], unfitted: bool, seed: int) -> dict[str, list[str]]:
    """All texts of the tasks that will be looked at, by role."""
    found: dict[str, list[str]] = {"document": [], "query": []}
    for spec in specs:
        rows = needed_documents(spec, unfitted, seed).tolist()
        found["document"] += [text for row in rows if isinstance(text := spec.task.documents[row], str)]
        found["query"] += [text for text in spec.task.queries if isinstance(text, str)]
    return {role: list(dict.fromkeys(texts)) for role, texts in found.items()}
