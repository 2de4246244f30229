"""A second ranking beside that of the vectors: what it weighs is chosen on dev, what it brings is measured on test."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plait.data.tasks import Judgements, Task
from plait.evaluation.ranking import Grades, Measure
from plait.evaluation.retrieval import Retrieval
from plait.evaluation.scores import Score
from plait.evaluation.statistics import compare, pool
from plait.retrieval.rank_fusion import NOTHING, Ranking, Tuned, fuse, tune_weights
from plait.selection.ablation import Effect
from plait.selection.workbench import Bench, Slice
from plait.step import Composite


@dataclass(frozen=True)
class Fold:
    """Where a weight is chosen, and where it is measured.

    Attributes:
        dev: bench of the dev part.
        test: bench of the test part.
        recipes: the winner, and the best model as it comes.
    """

    dev: Bench | Slice
    test: Bench | Slice
    recipes: tuple[Composite, Composite]


class Beside(ABC):
    """Two rankings of the same queries, and their weighted sum.

    Args:
        task: a retrieval task.
        evaluator: of that task.

    Attributes:
        family: name in the table of what each family of options brought.
        label: what a reader is told after the recipe.
    """

    family: str
    label: str

    def __init__(self, task: Task, evaluator: Retrieval) -> None:
        self.task, self.evaluator = task, evaluator
        rows = range(len(task.documents)) if evaluator.corpus is None else evaluator.corpus.tolist()
        self.texts = [str(task.documents[row]) for row in rows]

    @abstractmethod
    def rankings(self, bench: Bench | Slice, recipe: Composite) -> list[Ranking]:
        """That of the vectors, and the other."""

    def tune(self, bench: Bench | Slice, recipe: Composite) -> Tuned:
        """Weights of the two that do best on a bench's queries."""
        both = self.rankings(bench, recipe)
        return tune_weights(both, judged(bench).relevant, len(self.texts), self.evaluator.metric)

    def found(self, bench: Bench | Slice, recipe: Composite, weights: Sequence[float], k: int) -> Ranking:
        """The k best of each query with these weights."""
        return fuse(self.rankings(bench, recipe), weights, k=k)

    def score(self, bench: Bench | Slice, recipe: Composite, weights: Sequence[float]) -> Score:
        """The score with these weights on a bench's queries."""
        measure = Measure.parse(self.evaluator.metric)
        found = self.found(bench, recipe, weights, measure.depth).numbers
        grades = Grades(judged(bench).relevant, len(self.texts) + 1)  # one more document, that answers nothing
        values = grades.measure(np.where(found == NOTHING, len(self.texts), found), measure)
        return Score.of(self.evaluator.metric, "mean", values)

    def effect(self, folds: Sequence[Fold], best: Score, plain: Score, seed: int) -> Effect:
        """What it brings to the winner, and to the best model as it comes, on test.

        Args:
            folds: of the run.
            best: test score of the winner alone.
            plain: of the best model as it comes.
            seed: of the intervals.
        """
        both: list[list[Score]] = [[], []]
        for fold in folds:
            for place, recipe in enumerate(fold.recipes):
                weights = self.tune(fold.dev, recipe).weights
                both[place].append(self.score(fold.test, recipe, weights))
        winner, alone = map(pool, both)
        return Effect(
            family=self.family,
            alone=alone.value,
            gain=compare(alone, plain, seed=seed),
            without=best.value,
            loss=compare(winner, best, seed=seed),
            recipes=(f"{folds[0].recipes[1]}, {self.label}", str(folds[0].recipes[0])),
        )

    def by_vectors(self, bench: Bench | Slice, recipe: Composite, depth: int) -> Ranking:
        """The best ``depth`` documents of each query, by the vectors or codes alone."""
        if isinstance(bench, Slice):
            whole, rows = self.by_vectors(bench.bench, recipe, depth), bench.positions
            return Ranking(whole.numbers[rows], whole.scores[rows])
        vectors, codes = bench.coded(recipe)
        return Ranking(*self.evaluator.ranked(vectors, bench.on, depth, codes))


def judged(bench: Bench | Slice) -> Judgements:
    """The queries of a bench."""
    on = bench.bench.on.take(bench.positions) if isinstance(bench, Slice) else bench.on
    assert isinstance(on, Judgements)
    return on
