"""What a search by words adds to the vectors that were found: a weight chosen on dev, and its gain on test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plait.data.tasks import Judgements, Task
from plait.evaluation.ranking import Grades, Measure
from plait.evaluation.retrieval import Retrieval
from plait.evaluation.scores import Score
from plait.evaluation.statistics import compare, pool
from plait.retrieval.lexical import Bm25
from plait.retrieval.rank_fusion import NOTHING, Ranking, Tuned, fuse, tune_weights
from plait.retrieval.settings import Settings
from plait.selection.ablation import Effect
from plait.selection.workbench import Bench, Slice
from plait.step import Composite

FAMILY = "words"
DEPTH = Settings().depth
"""Documents that each of the two searches finds: as many as in an index."""


@dataclass(frozen=True)
class Fold:
    """Where a recipe's weight is chosen, and where it is measured.

    Attributes:
        dev: bench of the dev part.
        test: bench of the test part.
        recipes: the winner, and the best model as it comes.
    """

    dev: Bench | Slice
    test: Bench | Slice
    recipes: tuple[Composite, Composite]


class WordSearch:
    """BM25 over a task's documents, beside rankings by vectors.

    Args:
        task: a retrieval task.
        evaluator: of that task.
    """

    def __init__(self, task: Task, evaluator: Retrieval) -> None:
        self.task, self.evaluator = task, evaluator
        rows = range(len(task.documents)) if evaluator.corpus is None else evaluator.corpus.tolist()
        self.documents = len(rows)
        self.index = Bm25().fit([str(task.documents[row]) for row in rows])

    def tune(self, bench: Bench | Slice, recipe: Composite) -> Tuned:
        """Weights of vectors and words that do best on a bench's queries."""
        both, on = self._rankings(bench, recipe), _on(bench)
        return tune_weights(both, on.relevant, self.documents, self.evaluator.metric)

    def score(self, bench: Bench | Slice, recipe: Composite, weights: Sequence[float]) -> Score:
        """The score with these weights on a bench's queries."""
        measure = Measure.parse(self.evaluator.metric)
        found = fuse(self._rankings(bench, recipe), weights, k=measure.depth).numbers
        grades = Grades(_on(bench).relevant, self.documents + 1)  # one more document, that answers nothing
        values = grades.measure(np.where(found == NOTHING, self.documents, found), measure)
        return Score.of(self.evaluator.metric, "mean", values)

    def effect(self, folds: Sequence[Fold], best: Score, plain: Score, seed: int) -> Effect:
        """What words bring to the winner, and to the best model as it comes, on test.

        Args:
            folds: of the run.
            best: test score of the winner alone.
            plain: of the best model as it comes.
            seed: of the intervals.
        """
        with_words: list[list[Score]] = [[], []]
        for fold in folds:
            for place, recipe in enumerate(fold.recipes):
                weights = self.tune(fold.dev, recipe).weights
                with_words[place].append(self.score(fold.test, recipe, weights))
        winner, alone = map(pool, with_words)
        texts = [f"{recipe}, BM25 beside it" for recipe in folds[0].recipes]
        return Effect(
            family=FAMILY,
            alone=alone.value,
            gain=compare(alone, plain, seed=seed),
            without=best.value,
            loss=compare(winner, best, seed=seed),
            recipes=(texts[1], str(folds[0].recipes[0])),
        )

    def _rankings(self, bench: Bench | Slice, recipe: Composite) -> list[Ranking]:
        queries = [str(self.task.queries[row]) for row in _on(bench).queries.tolist()]
        return [self._by_vectors(bench, recipe), self.index.search(queries, DEPTH)]

    def _by_vectors(self, bench: Bench | Slice, recipe: Composite) -> Ranking:
        if isinstance(bench, Slice):
            whole, rows = self._by_vectors(bench.bench, recipe), bench.positions
            return Ranking(whole.numbers[rows], whole.scores[rows])
        vectors, codes = bench.coded(recipe)
        return Ranking(*self.evaluator.ranked(vectors, bench.on, DEPTH, codes))


def _on(bench: Bench | Slice) -> Judgements:
    on = bench.bench.on.take(bench.positions) if isinstance(bench, Slice) else bench.on
    assert isinstance(on, Judgements)
    return on
