"""`judge`: how good one recipe is at a task, and how sure one can be of it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone

from plait import plan
from plait.bank import Bank
from plait.chunks import refuse_chunks
from plait.data.splits import Fold, split
from plait.data.tasks import Judgements, Labels, Pairs, Part, Tags, Task, join, renumber
from plait.evaluation.embedded import Embedded
from plait.evaluation.evaluators import evaluator
from plait.evaluation.passes import Found, Passes, unlearned
from plait.evaluation.scores import Score
from plait.evaluation.specs import TaskSpec
from plait.evaluation.statistics import Interval, interval, pool
from plait.items import unit_bounds
from plait.lesson import Lesson
from plait.step import Chain, Composite, Step, walk
from plait.training.examples import over_rows
from plait.types import Ints, Items, RecipeError, ranges

FIT_ROWS = 20_000
"""Vectors that transforms learn from at most: a mean and a covariance need no more."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """What `judge` found.

    Attributes:
        score: on the part that was asked for; over all folds where the data has no split.
        interval: of the score, 95 %.
        fitted: whether the recipe's steps had to learn from the data's train part first.
        folds: how many; 1 where the data has a split.
        cut_texts: texts that a length limit cut.
        notes: what reading and splitting the data met.
        width: numbers in a vector.
    """

    score: Score
    interval: Interval
    fitted: bool
    folds: int
    cut_texts: int
    notes: tuple[str, ...]
    width: int


def judge(
    recipe: Composite, task: Task | TaskSpec, part: str = "test", seed: int = 0, progress: plan.Progress | None = None
) -> Judgement:
    """Score a recipe.

    A fitted recipe is used as it is. One with steps that have yet to learn is fitted on a copy, from texts of the train
    part (and of dev, when test is scored); in retrieval, from the documents. The same texts teach the task's head.

    Args:
        recipe: what to judge.
        task: by what; a `TaskSpec` says also with which head, metric and folds, and on which part.
        part: "test", or "dev" while choices are still made; not looked at when a `TaskSpec` names one.
        seed: of missing splits, of the texts to learn from and of the bootstrap.
        progress: told how the passes go on.

    Raises:
        DataError: if the part is not one of the two, or the data cannot be split.

    Example:
        >>> from plait import MeanPool, StaticTable
        >>> from plait.data import read
        >>> round(judge(StaticTable("wordllama") | MeanPool(), read("demo:stsb")).score.value, 1)
        0.8
    """
    spec = task if isinstance(task, TaskSpec) else TaskSpec(task, part=part)
    with tempfile.TemporaryDirectory() as scratch:
        return judge_in(Passes(Bank(scratch), progress), recipe, spec, seed)


def judge_in(passes: Passes, recipe: Composite, spec: TaskSpec, seed: int = 0) -> Judgement:
    """As `judge`, with vectors of passes that may have been run for many tasks at once.

    Args:
        passes: what runs the passes, or has run them.
        recipe: what to judge.
        spec: by what, and how.
        seed: of missing splits, of the texts to learn from and of the bootstrap.
    """
    protocol, unfitted = split(spec.task, seed, spec.folds), not is_fitted(recipe)
    judged = _Judged(spec, needed_documents(spec, unfitted, seed), passes, seed)
    score = pool([judged.score(recipe, fold, unfitted) for fold in protocol.folds])
    notes = (*spec.task.notes, *protocol.notes)
    return Judgement(
        score, interval(score, seed=seed), unfitted, len(protocol.folds), judged.cut_texts, notes, judged.width
    )


def judge_vectors(embedded: Embedded, spec: TaskSpec, seed: int = 0) -> Judgement:
    """Score vectors that are at hand, whatever made them.

    Args:
        embedded: of the whole task.
        spec: by what, and how.
        seed: of missing splits and of the bootstrap.

    Example:
        >>> from plait.data.tasks import Pairs, Task
        >>> pairs = Pairs(np.array([0, 0, 1]), np.array([1, 2, 2]), np.array([3.0, 1.0, 2.0]))
        >>> task = Task("sts", "three", ("a", "b", "c"), parts={"dev": pairs, "test": pairs})
        >>> vectors = np.array([[1, 0], [1, 0.2], [0, 1]], np.float32)
        >>> judge_vectors(Embedded(vectors), TaskSpec(task)).score.value
        1.0
    """
    protocol, scorer = split(spec.task, seed, spec.folds), evaluator(spec.task, spec.head, spec.metric)
    score = pool([scorer.evaluate(embedded, *_sides(fold, spec.part)) for fold in protocol.folds])
    notes = (*spec.task.notes, *protocol.notes)
    return Judgement(
        score, interval(score, seed=seed), False, len(protocol.folds), 0, notes, embedded.documents.shape[1]
    )


def needed_documents(spec: TaskSpec, unfitted: bool, seed: int = 0) -> Ints:
    """Rows of ``spec.task.documents`` that judging looks at; in retrieval all of them.

    Args:
        spec: by what, and how.
        unfitted: whether the recipe has steps that learn from the task's train part.
        seed: of missing splits.
    """
    if spec.task.kind == "retrieval":
        return np.arange(len(spec.task.documents))
    folds = split(spec.task, seed, spec.folds).folds
    used: list[Part] = [_sides(fold, spec.part)[1] for fold in folds]
    if unfitted or spec.learned:
        used += [one for fold in folds for one in (fold.train, fold.dev)]
    return np.unique(np.concatenate([_rows(one) for one in used]))


def is_fitted(recipe: Step) -> bool:
    """Whether no step has yet to learn something.

    >>> from plait import MeanPool, StaticTable, Whitening
    >>> plain = StaticTable("wordllama") | MeanPool()
    >>> is_fitted(plain), is_fitted(plain | Whitening(9))
    (True, False)
    """
    return not any(unlearned(step) for step in walk(recipe))


@dataclass
class _Judged:
    """What the folds share."""

    spec: TaskSpec
    rows: Ints
    passes: Passes
    seed: int
    cut_texts: int = 0
    width: int = 0

    def score(self, recipe: Composite, fold: Fold, unfitted: bool) -> Score:
        fit, on = _sides(fold, self.spec.part)
        task = self.spec.task
        items = [task.documents[row] for row in self.rows.tolist()]
        if task.kind != "retrieval":
            refuse_chunks(recipe.strands(), f"a {task.kind} task")
        if unfitted:
            recipe = clone(recipe)
            given = self._fit(recipe, items, fit)
        else:
            given = self._vectors(recipe, items, "document")
        scorer = evaluator(task, self.spec.head, self.spec.metric)
        return scorer.evaluate(self._embedded(recipe, given), fit, on)

    def _fit(self, recipe: Composite, items: Items, fit: Part) -> Found:
        """Fit the recipe on the fit part, whose examples go to steps that are trained; vectors of all items."""
        trained = any(getattr(step, "learns", False) for step in walk(recipe))
        learn = self._to_learn(fit, whole=trained)
        taught = [items[place] for place in learn.tolist()]
        queries = list(self.spec.task.queries) if trained and isinstance(fit, Judgements) else []
        examples = over_rows(renumber(fit, self.rows[learn]), len(taught), unit_bounds(taught)) if trained else None
        lesson = Lesson(examples, plain=len(taught) if queries else None)
        recipe.fit_pools([*taught, *queries], lesson)
        given = self._vectors(recipe, items, "document")
        if trained and given.chunked:
            raise RecipeError(f"{recipe} has a step that learns from examples of whole documents behind their chunks")
        units = given.chunked.units if given.chunked else unit_bounds(items)
        place = learn if units is None else ranges(units[learn], units[learn + 1])
        rows = {text: values[place] for text, values in given.vectors.items()}
        if queries:
            asked = self._vectors(recipe, queries, "query").vectors
            rows = {text: np.vstack([values, asked[text]]) for text, values in rows.items()}
        recipe.learn(rows, lesson)
        return given

    def _to_learn(self, fit: Part, whole: bool) -> Ints:
        """Places in ``rows`` of the texts that steps learn from: a sample of very many, unless all are needed."""
        mine = self.rows if isinstance(fit, Judgements) else np.unique(_rows(fit))
        places = np.searchsorted(self.rows, mine)
        if len(places) > FIT_ROWS and not whole:
            places = np.sort(np.random.default_rng(self.seed).choice(places, FIT_ROWS, replace=False))
        return places

    def _vectors(self, recipe: Composite, items: Items, role: str) -> Found:
        found = self.passes.vectors(recipe, items, role)
        self.cut_texts = max(self.cut_texts, found.cut)
        return found

    def _embedded(self, recipe: Composite, given: Found) -> Embedded:
        """Rows of the whole task; those that no part names stay zero. Codes count as what they decode to."""
        values, body = recipe.weave(given.vectors), recipe
        if recipe.quantiser is not None:
            values, body = recipe.quantiser.inverse_transform(values), Chain(recipe.children()[:-1])
        units = given.chunked.units if given.chunked else unit_bounds(self.spec.task.documents)
        place = self.rows if units is None else ranges(units[self.rows], units[self.rows + 1])
        self.width = values.shape[1]
        rows = len(self.spec.task.documents) if units is None else int(units[-1])
        documents = np.zeros((rows, self.width), np.float32)
        documents[place] = values
        queries = None
        if self.spec.task.kind == "retrieval":
            queries = body.weave(self._vectors(body, self.spec.task.queries, "query").vectors)
        return Embedded(documents, queries, units)


def _sides(fold: Fold, part: str) -> tuple[Part, Part]:
    """What heads learn from, and what is scored."""
    return (fold.train, fold.dev) if part == "dev" else (join(fold.train, fold.dev), fold.test)


def _rows(part: Part) -> Ints:
    if isinstance(part, Pairs):
        return np.concatenate([part.left, part.right])
    assert isinstance(part, Labels | Tags)
    return part.rows
