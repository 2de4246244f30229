"""`judge`: how good one recipe is at a task, and how sure one can be of it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone

from plait import plan
from plait.bank import Bank
from plait.compression.binary import Binary
from plait.data.splits import LEARNED, Fold, split
from plait.data.tasks import Judgements, Labels, Pairs, Part, Tags, Task, join
from plait.evaluation.embedded import Embedded
from plait.evaluation.evaluators import Evaluator, evaluator
from plait.evaluation.scores import Score
from plait.evaluation.statistics import Interval, interval, pool
from plait.roles import Encoder
from plait.step import Chain, Composite, Step, walk
from plait.types import DataError, Floats, Ints, Items, ranges

PARTS = ("test", "dev")
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
    """

    score: Score
    interval: Interval
    fitted: bool
    folds: int
    cut_texts: int
    notes: tuple[str, ...]


def judge(
    recipe: Composite, task: Task, part: str = "test", seed: int = 0, progress: plan.Progress | None = None
) -> Judgement:
    """Score a recipe.

    A fitted recipe is used as it is. One with steps that have yet to learn is fitted on a copy, from texts of the train
    part (and of dev, when test is scored); in retrieval, from the documents. The same texts teach the task's head.

    Args:
        recipe: what to judge.
        task: by what.
        part: "test", or "dev" while choices are still made.
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
    if part not in PARTS:
        raise DataError(f"part is {part!r}; expected one of {', '.join(PARTS)}")
    protocol, unfitted = split(task, seed), not is_fitted(recipe)
    scorer = evaluator(task)
    with tempfile.TemporaryDirectory() as scratch:
        bank = Bank(scratch) if len(protocol.folds) > 1 else None
        judged = _Judged(task, part, _needed(task, protocol.folds, part, unfitted), bank, seed, progress)
        score = pool([judged.score(recipe, fold, scorer, unfitted) for fold in protocol.folds])
    notes = (*task.notes, *protocol.notes)
    return Judgement(score, interval(score, seed=seed), unfitted, len(protocol.folds), judged.cut_texts, notes)


def is_fitted(recipe: Step) -> bool:
    """Whether no step has yet to learn something.

    >>> from plait import MeanPool, StaticTable, Whitening
    >>> plain = StaticTable("wordllama") | MeanPool()
    >>> is_fitted(plain), is_fitted(plain | Whitening(9))
    (True, False)
    """
    return not any(_learns(step) and not step.state() for step in walk(recipe))


def _learns(step: Step) -> bool:
    # Binary's fit notes the width alone, and it does without
    return not isinstance(step, Composite | Binary) and type(step).fit is not Step.fit


@dataclass
class _Judged:
    """What the folds share."""

    task: Task
    part: str
    rows: Ints
    bank: Bank | None
    seed: int
    progress: plan.Progress | None
    cut_texts: int = 0

    def score(self, recipe: Composite, fold: Fold, scorer: Evaluator, unfitted: bool) -> Score:
        fit = fold.train if self.part == "dev" else join(fold.train, fold.dev)
        on = fold.dev if self.part == "dev" else fold.test
        items = [self.task.documents[row] for row in self.rows.tolist()]
        learn = self._to_learn(fit) if unfitted else np.zeros(0, np.int64)
        if unfitted:
            recipe = clone(recipe)
            taught = [items[place] for place in learn.tolist()]
            for strand in recipe.strands():
                strand.pool.fit(strand.encoder.tokenize(taught))  # type: ignore[attr-defined]
        given = self._vectors(recipe, items, "document")
        units = _units(items)
        if unfitted:
            place = learn if units is None else ranges(units[learn], units[learn + 1])
            recipe.learn({text: values[place] for text, values in given.items()})
        return scorer.evaluate(self._embedded(recipe, given, items), fit, on)

    def _to_learn(self, fit: Part) -> Ints:
        """Places in ``rows`` of the texts that steps learn from."""
        mine = self.rows if isinstance(fit, Judgements) else np.unique(_rows(fit))
        places = np.searchsorted(self.rows, mine)
        if len(places) > FIT_ROWS:
            places = np.sort(np.random.default_rng(self.seed).choice(places, FIT_ROWS, replace=False))
        return places

    def _vectors(self, recipe: Composite, items: Items, role: str) -> dict[str, Floats]:
        out: dict[str, Floats] = {}
        sources: dict[str, list[plan.Strand]] = {}
        for strand in recipe.strands():
            sources.setdefault(strand.source, []).append(strand)
        for strands in sources.values():
            encoder = strands[0].encoder
            assert isinstance(encoder, Encoder)
            vectors, reports = plan.run(strands, encoder.prompted(items, role), self.bank, self.progress)
            out |= vectors
            self.cut_texts = max(self.cut_texts, *(report.cut_items for report in reports.values()))
        return out

    def _embedded(self, recipe: Composite, given: dict[str, Floats], items: Items) -> Embedded:
        """Rows of the whole task; those that no part names stay zero. Codes count as what they decode to."""
        values, body = recipe.weave(given), recipe
        if recipe.quantiser is not None:
            values, body = recipe.quantiser.inverse_transform(values), Chain(recipe.children()[:-1])
        units = _units(self.task.documents)
        place = self.rows if units is None else ranges(units[self.rows], units[self.rows + 1])
        documents = np.zeros(
            (len(self.task.documents) if units is None else int(units[-1]), values.shape[1]), np.float32
        )
        documents[place] = values
        queries = None
        if self.task.kind == "retrieval":
            queries = body.weave(self._vectors(body, self.task.queries, "query"))
        return Embedded(documents, queries, units)


def _needed(task: Task, folds: Sequence[Fold], part: str, unfitted: bool) -> Ints:
    """Documents that are scored or learned from; in retrieval all of them."""
    if task.kind == "retrieval":
        return np.arange(len(task.documents))
    used: list[Part] = [fold.dev if part == "dev" else fold.test for fold in folds]
    if unfitted or task.kind in LEARNED:
        used += [one for fold in folds for one in (fold.train, fold.dev)]
    return np.unique(np.concatenate([_rows(one) for one in used]))


def _rows(part: Part) -> Ints:
    if isinstance(part, Pairs):
        return np.concatenate([part.left, part.right])
    assert isinstance(part, Labels | Tags)
    return part.rows


def _units(items: Items) -> Ints | None:
    if len(items) == 0 or isinstance(items[0], str):
        return None
    return np.concatenate([[0], np.cumsum([len(item) for item in items])])
