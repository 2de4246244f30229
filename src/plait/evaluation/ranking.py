"""Exact rankings with settled ties, and ranking metrics on arrays.

The metrics follow trec_eval (linear gain); they are what a search calls hundreds of times. Figures that are reported
come from ir-measures, and the tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plait.evaluation.resampling import Reals, divide
from plait.types import DataError, Floats, Ints

DEPTH = 1000
"""Documents of a ranking that MAP looks at, as trec_eval runs hold."""


GROUPS = 8
"""Groups of columns, in units of k, of which `top_k` looks at the maxima first."""


def top_k(scores: Floats, k: int) -> Ints:
    """The k best columns of each row, best first; of equal ones the lower number wins.

    Args:
        scores: ``[Q, M]``.
        k: how many; at most M are given.

    Example:
        >>> top_k(np.array([[1, 3, 3, 0, 3]], np.float32), 2).tolist()
        [[1, 2]]
    """
    queries, size = scores.shape
    k = min(k, size)
    if k == 0:
        return np.zeros((queries, 0), np.int64)
    # the k-th best of the maxima of groups of columns is no better than the k-th best score: few columns reach it
    members = max(1, size // (GROUPS * k))
    groups = size // members
    maxima = scores[:, : groups * members].reshape(queries, members, groups).max(axis=1)
    bound = np.partition(maxima, -k, axis=1)[:, -k, None]
    rows, columns = np.divmod(np.flatnonzero(scores >= bound), size)
    order = np.lexsort((-scores[rows, columns], rows))  # stable, and the columns ascend: lower numbers come first
    starts = np.searchsorted(rows, np.arange(queries))
    return np.asarray(columns[order][starts[:, None] + np.arange(k)])


def half_tied_ranks(scores: Floats, target: Ints, tolerance: float = 1e-6) -> Reals:
    """Rank of one column in each row, 1 for the largest; a tie counts half.

    Args:
        scores: ``[Q, M]``.
        target: ``[Q]`` the column that is ranked.
        tolerance: scores this close are tied; the default is what float32 rounds, for similarities of the order of 1.

    Example:
        >>> half_tied_ranks(np.array([[3, 2, 1], [2, 2, 2]], np.float32), np.array([1, 0])).tolist()
        [2.0, 2.0]
    """
    own = scores[np.arange(len(scores)), target][:, None]
    better = (scores > own + np.float32(tolerance)).sum(axis=1)
    tied = (scores >= own - np.float32(tolerance)).sum(axis=1) - better - 1
    return np.asarray(1 + better + tied / 2, np.float64)


@dataclass(frozen=True, eq=False)
class Measure:
    """A ranking metric: its family and how deep it looks."""

    family: str
    depth: int

    @classmethod
    def parse(cls, name: str) -> Measure:
        """Read "nDCG@10", "Recall@100", "MRR@10" or "MAP"."""
        family, _, depth = name.partition("@")
        if family == "MAP":
            return cls(family, DEPTH)
        if not depth.isdigit() or int(depth) == 0:
            raise DataError(f"metric is {name!r}; say how deep it looks, e.g. {family}@10")
        return cls(family, int(depth))


class Grades:
    """The grades of a set of queries, laid out for looking up many documents at once.

    Args:
        relevant: for each query, document number to grade above 0.
        size: M, documents in all.
    """

    def __init__(self, relevant: Sequence[dict[int, int]], size: int) -> None:
        counts = np.array([len(found) for found in relevant], np.int64)
        queries = np.repeat(np.arange(len(relevant)), counts)
        numbers = np.array([number for found in relevant for number in found], np.int64)
        grades = np.array([grade for found in relevant for grade in found.values()], np.int64)
        order = np.argsort(queries * size + numbers)
        self._keys, self._grades = (queries * size + numbers)[order], grades[order]
        self._size, self.relevant = size, np.bincount(queries[grades > 0], minlength=len(relevant))
        best_first = np.lexsort((-grades, queries))
        rank = np.arange(len(queries)) - np.repeat(np.cumsum(counts) - counts, counts)
        self._ideal = queries[best_first], rank, grades[best_first]

    def measure(self, ranking: Ints, measure: Measure) -> Reals:
        """``[Q]`` values of a ``[Q, K]`` ranking that is at least as deep as the measure, or as there are documents."""
        gains = self.gains(ranking[:, : measure.depth])
        hits = gains > 0
        ranks = np.arange(1, gains.shape[1] + 1)
        if measure.family == "nDCG":
            return divide((gains / np.log2(ranks + 1)).sum(axis=1), self._ideal_gain(len(ranking), measure.depth))
        if measure.family == "Recall":
            return divide(hits.sum(axis=1), self.relevant)
        if measure.family == "MRR":
            return np.asarray(np.max(hits / ranks, axis=1, initial=0.0))
        return divide((hits * np.cumsum(hits, axis=1) / ranks).sum(axis=1), self.relevant)

    def gains(self, ranking: Ints) -> Ints:
        """``[Q, K]`` grade of each document of a ranking, 0 for those that are not relevant."""
        if not len(self._keys):
            return np.zeros(ranking.shape, np.int64)
        keys = ranking + self._size * np.arange(len(ranking))[:, None]
        places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[places] == keys, self._grades[places], 0)

    def _ideal_gain(self, size: int, depth: int) -> Reals:
        queries, rank, grades = self._ideal
        kept = rank < depth
        gains = grades[kept] / np.log2(rank[kept] + 2)
        return np.asarray(np.bincount(queries[kept], weights=gains, minlength=size), np.float64)
