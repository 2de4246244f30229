"""Several rankings of the same documents made one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from plait.evaluation.ranking import Grades, Measure
from plait.types import DataError, Floats, Ints, RecipeError

NOTHING = -1
"""Stands in a ranking where there is no further document."""
_NONE = np.zeros(0, np.int64)
CONSTANT = 60
"""What is added to a rank before it is inverted; the published value."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """The best documents of some queries.

    Attributes:
        numbers: ``[Q, k]`` numbers of documents, best first; `NOTHING` where there are no more.
        scores: ``[Q, k]``.
    """

    numbers: Ints
    scores: Floats

    def __len__(self) -> int:
        return len(self.numbers)

    def line(self, query: int) -> tuple[Ints, Floats]:
        """Documents of one query and their scores."""
        there = self.numbers[query] != NOTHING
        return self.numbers[query][there], self.scores[query][there]

    @classmethod
    def of(cls, lines: Sequence[tuple[Ints, Floats]], k: int) -> Ranking:
        """The best k of each line, the lower number first among equals."""
        numbers = np.full((len(lines), k), NOTHING, np.int64)
        scores = np.zeros((len(lines), k), np.float32)
        for place, (found, mine) in enumerate(lines):
            best = np.lexsort((found, -mine))[:k]
            numbers[place, : len(best)], scores[place, : len(best)] = found[best], mine[best]
        return cls(numbers, scores)


def _least_to_most(scores: Floats) -> Floats:
    spread = float(np.ptp(scores)) if len(scores) else 0.0
    return (scores - scores.min()) / spread if spread > 0 else np.ones_like(scores)


def _inverse_ranks(scores: Floats) -> Floats:
    return (1 / (CONSTANT + np.arange(1, len(scores) + 1))).astype(np.float32)


NORMS: dict[str, Callable[[Floats], Floats]] = {
    "minmax": _least_to_most,
    "rank": _inverse_ranks,
    "none": lambda scores: scores,
}


def fuse(
    rankings: Sequence[Ranking], weights: Sequence[float] | None = None, norm: str = "minmax", k: int = 10
) -> Ranking:
    """One ranking from several, by the weighted sum of their scores.

    A document that a ranking does not hold gets nothing from it.

    Args:
        rankings: of the same queries, each as deep as may matter: 100 or more for a k of 10.
        weights: one a ranking; None weighs all alike. One of weight 0 is left out, with what it alone holds.
        norm: "minmax" brings the scores of each query in each ranking to 0 … 1, so that cosines and BM25 add up;
            "rank" takes 1 / (60 + rank) in place of a score, reciprocal rank fusion; "none" adds scores as they are,
            for scores of one scale over the same candidates.
        k: how many to keep.

    Raises:
        RecipeError: for another norm, or weights that are not one number of 0 or more a ranking.
        DataError: if the rankings are not of the same queries.

    Source: Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods (SIGIR 2009).

    Example:
        >>> dense = Ranking(np.array([[4, 7, 1]]), np.array([[0.9, 0.8, 0.1]], np.float32))
        >>> lexical = Ranking(np.array([[7, 2, 4]]), np.array([[12.0, 3, 2]], np.float32))
        >>> fuse([dense, lexical], k=2).numbers.tolist()
        [[7, 4]]
    """
    factors = [1.0] * len(rankings) if weights is None else list(weights)
    if norm not in NORMS:
        raise RecipeError(f"norm is {norm!r}; expected one of {', '.join(NORMS)}")
    if len(factors) != len(rankings) or not all(factor >= 0 for factor in factors):
        raise RecipeError(f"{len(rankings)} rankings and weights {factors}: give each ranking one of 0 or more")
    if len({len(ranking) for ranking in rankings}) != 1:
        raise DataError(f"rankings of {[len(r) for r in rankings]} queries; expected rankings of the same queries")
    lines = []
    for query in range(len(rankings[0])):
        found = [(r.line(query), np.float32(factor)) for r, factor in zip(rankings, factors, strict=True) if factor]
        gains = [factor * NORMS[norm](scores) for (_, scores), factor in found]
        unique, place = np.unique(np.concatenate([_NONE, *(numbers for (numbers, _), _ in found)]), return_inverse=True)
        total = np.bincount(place, np.concatenate([_NONE, *gains]), len(unique))
        lines.append((unique, total.astype(np.float32)))
    return Ranking.of(lines, k)


@dataclass(frozen=True)
class Tuned:
    """Weights that did best.

    Attributes:
        weights: one a ranking; they sum to 1.
        score: with them.
        tried: score by weights.
    """

    weights: tuple[float, ...]
    score: float
    tried: dict[tuple[float, ...], float]


def tune_weights(
    rankings: Sequence[Ranking],
    relevant: Sequence[dict[int, int]],
    documents: int,
    metric: str = "nDCG@10",
    norm: str = "minmax",
    steps: int = 10,
) -> Tuned:
    """Weights for `fuse`, chosen on queries whose answers are known: never those that a result is reported on.

    Args:
        rankings: of these queries.
        relevant: for each query, document number to grade.
        documents: how many there are.
        metric: what to do well by.
        norm: as in `fuse`.
        steps: weights are multiples of 1 / steps. Of equal scores the most even weights win.

    Example:
        >>> good = Ranking(np.array([[3, 1]]), np.array([[1.0, 0]], np.float32))
        >>> bad = Ranking(np.array([[1, 2]]), np.array([[1.0, 0]], np.float32))
        >>> tune_weights([good, bad], [{3: 1}], documents=5, steps=4).weights
        (0.75, 0.25)
    """
    measure = Measure.parse(metric)
    grades = Grades(relevant, documents + 1)
    tried = {}
    for weights in _shares(len(rankings), steps):
        numbers = fuse(rankings, weights, norm, measure.depth).numbers
        found = np.where(numbers == NOTHING, documents, numbers)  # one more document, that answers nothing
        tried[weights] = float(np.mean(grades.measure(found, measure)))
    best = max(tried.values())
    ties = [weights for weights, score in tried.items() if score == best]
    chosen = min(ties, key=lambda weights: (sum(weight**2 for weight in weights), weights))
    return Tuned(chosen, best, tried)


def _shares(count: int, steps: int) -> Iterator[tuple[float, ...]]:
    """All ways to share 1 among so many, in so many steps."""
    for first in product(range(steps + 1), repeat=count - 1):
        if sum(first) <= steps:
            yield tuple(number / steps for number in (*first, steps - sum(first)))
