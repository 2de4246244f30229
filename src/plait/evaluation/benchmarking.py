"""`benchmark`: one model on many tasks, with one forward pass over all their texts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from plait import plan
from plait.data.tasks import Task
from plait.evaluation.benchmark_file import suite
from plait.evaluation.embedded import Embedded
from plait.evaluation.judging import Judgement, is_fitted, judge_in, judge_vectors, needed_documents
from plait.evaluation.passes import Passes
from plait.evaluation.scores import Score
from plait.evaluation.specs import TaskSpec
from plait.step import Composite
from plait.types import DataError, Floats

Cell: TypeAlias = "str | float | None"


@runtime_checkable
class TextEncoder(Protocol):
    """Anything that turns a list of texts into an array of vectors, as sentence-transformers' models do."""

    def encode(self, texts: list[str], /) -> Any:
        """``[N, D]`` vectors."""
        ...


@dataclass(frozen=True, eq=False)
class BenchmarkResult:
    """What `benchmark` found.

    Attributes:
        model: the recipe's text, or the encoder's class.
        judgements: by the task's name, in the order of the tasks.
        groups: what each task counts as in `mean`, by its name.
        seconds: that encoding took.
        texts: different texts that were encoded.
    """

    model: str
    judgements: Mapping[str, Judgement]
    groups: Mapping[str, str]
    seconds: float
    texts: int

    @property
    def width(self) -> int:
        """Numbers in a vector; probes get better with more of them."""
        return next(iter(self.judgements.values())).width

    @property
    def scores(self) -> dict[str, Score]:
        """Score of each task: what `paired_test` takes."""
        return {name: found.score for name, found in self.judgements.items()}

    def value(self, name: str) -> float:
        """The score's value for one task."""
        return self.judgements[name].score.value

    def mean(self, group: str | None = None) -> float:
        """Mean value of the tasks, or of those of a group.

        Raises:
            DataError: if there is no task of that group.
        """
        values = [self.value(name) for name in self.judgements if group in (None, self.groups[name])]
        if not values:
            known = ", ".join(sorted(set(self.groups.values())))
            raise DataError(f"no task is of the group {group!r}; there are {known}")
        return float(np.mean(values))

    def group_means(self) -> dict[str, float]:
        """Mean value of each group; their mean weighs kinds of tasks alike, however many tasks there are of each."""
        return {group: self.mean(group) for group in dict.fromkeys(self.groups.values())}

    def table(self) -> list[dict[str, Cell]]:
        """One row a task: name, group, metric, value with 95 % interval, examples, folds, width, texts cut."""
        return [
            {
                "task": name,
                "group": self.groups[name],
                "metric": found.score.metric,
                "value": found.score.value,
                "low": found.interval.low,
                "high": found.interval.high,
                "examples": len(found.score),
                "folds": found.folds,
                "width": found.width,
                "cut": found.cut_texts,
            }
            for name, found in self.judgements.items()
        ]


def benchmark(
    model: Composite | TextEncoder,
    tasks: str | Iterable[Task | TaskSpec],
    seed: int = 0,
    progress: plan.Progress | None = None,
) -> BenchmarkResult:
    """Score a model on many tasks.

    Every text of all tasks is encoded once. A recipe with steps that learn has them fitted for each task on its own
    train part, as `judge` does; that needs no further forward pass, unless it is the pooling that learns.

    Args:
        model: a recipe, or anything with ``encode(texts) -> [N, D]``; the latter makes no difference between queries
            and documents and reports no cut texts.
        tasks: what to score on, or the name of a `suite`.
        seed: of missing splits, of the texts to learn from and of the bootstrap.
        progress: told how the passes go on.

    Raises:
        DataError: if two tasks share a name, there is none, or the vectors are not one a text.

    Example:
        >>> from plait import MeanPool, StaticTable
        >>> from plait.data import read
        >>> found = benchmark(StaticTable("wordllama") | MeanPool(), [read("demo:stsb")])
        >>> [(row["task"], row["metric"], round(row["value"], 1)) for row in found.table()]
        [('demo:stsb', 'spearman', 0.8)]
    """
    given = suite(tasks) if isinstance(tasks, str) else tasks
    specs = [task if isinstance(task, TaskSpec) else TaskSpec(task) for task in given]
    names = [spec.name for spec in specs]
    if not specs or len(set(names)) < len(names):
        raise DataError(f"tasks are {', '.join(names) or 'none'}; expected at least one, each with a name of its own")
    run = _with_recipe if isinstance(model, Composite) else _with_vectors
    judgements, seconds, texts = run(model, specs, seed, progress)  # type: ignore[arg-type]
    what = str(model) if isinstance(model, Composite) else type(model).__name__
    groups = {spec.name: spec.group for spec in specs}
    return BenchmarkResult(what, dict(zip(names, judgements, strict=True)), groups, seconds, texts)


_Found: TypeAlias = "tuple[list[Judgement], float, int]"


def _with_recipe(recipe: Composite, specs: Sequence[TaskSpec], seed: int, progress: plan.Progress | None) -> _Found:
    passes, unfitted = Passes(progress=progress), not is_fitted(recipe)
    texts = {"document": _documents(specs, unfitted, seed), "query": _queries(specs)}
    passes.prepare(recipe, texts)
    judgements = [judge_in(passes, recipe, spec, seed) for spec in specs]
    return judgements, passes.seconds, len({*texts["document"], *texts["query"]})


def _with_vectors(model: TextEncoder, specs: Sequence[TaskSpec], seed: int, progress: plan.Progress | None) -> _Found:
    if words := [spec.name for spec in specs if spec.task.kind == "tagging"]:
        raise DataError(f"{words[0]} asks for a vector a word; only a recipe gives those")
    texts = texts_of(specs, seed)
    start = time.monotonic()
    vectors = np.asarray(model.encode(texts), np.float32)
    seconds = time.monotonic() - start
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise DataError(f"the encoder gave an array of shape {vectors.shape}; expected {len(texts)} rows, one a text")
    place = {text: number for number, text in enumerate(texts)}
    judgements = []
    for number, spec in enumerate(specs, 1):
        judgements.append(judge_vectors(_embedded(spec, vectors, place, seed), spec, seed))
        if progress:
            progress("tasks", number, len(specs))
    return judgements, seconds, len(texts)


def texts_of(specs: Iterable[TaskSpec], seed: int = 0) -> list[str]:
    """Every text that a fitted model is asked for when it is scored on the tasks, once.

    Args:
        specs: the tasks; those of sentences given as words are passed over.
        seed: of missing splits.
    """
    specs = list(specs)
    return list(dict.fromkeys([*_documents(specs, False, seed), *_queries(specs)]))


def _embedded(spec: TaskSpec, vectors: Floats, place: Mapping[str, int], seed: int) -> Embedded:
    rows = needed_documents(spec, False, seed)
    documents = np.zeros((len(spec.task.documents), vectors.shape[1]), np.float32)
    documents[rows] = vectors[[place[str(spec.task.documents[row])] for row in rows.tolist()]]
    if spec.task.kind != "retrieval":
        return Embedded(documents)
    return Embedded(documents, vectors[[place[query] for query in _queries([spec])]])


def _documents(specs: Sequence[TaskSpec], unfitted: bool, seed: int) -> list[str]:
    """Texts that are scored or learned from; sentences given as words run with their own task."""
    rows = [(spec.task.documents, needed_documents(spec, unfitted, seed)) for spec in specs]
    items = [documents[row] for documents, mine in rows for row in mine.tolist()]
    return [item for item in items if isinstance(item, str)]


def _queries(specs: Sequence[TaskSpec]) -> list[str]:
    return [str(query) for spec in specs for query in spec.task.queries]
