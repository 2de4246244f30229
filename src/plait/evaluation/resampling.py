"""Statistics of many resamples at once.

Each function takes arrays that hold one row an independent unit (a query, a pair, a text, a sentence) and ``[B, n]``
draws of those rows, and gives the statistic of each of the B draws. Nothing loops over draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plait.types import Ints

Reals: TypeAlias = NDArray[np.float64]
Examples: TypeAlias = "tuple[NDArray[Any], ...]"

CELLS = 4_000_000
"""Cells of a contingency table that are in memory at once."""


def mean(examples: Examples, draws: Ints) -> Reals:
    """Mean of one value a unit."""
    return np.asarray(examples[0][draws].mean(axis=1), np.float64)


def ratio(examples: Examples, draws: Ints) -> Reals:
    """Sum of numerators over sum of denominators: token accuracy, micro-averaged F1. 0 / 0 counts as 0."""
    numerator, denominator = (values[draws].sum(axis=1, dtype=np.float64) for values in examples)
    return divide(numerator, denominator)


def spearman(examples: Examples, draws: Ints) -> Reals:
    """Spearman's rank correlation, ties at their average rank. Where one side is constant it is 0."""
    return _correlation(*(_ranks(values, draws) for values in examples))


def pearson(examples: Examples, draws: Ints) -> Reals:
    """Pearson's correlation. Where one side is constant it is 0."""
    return _correlation(*(np.asarray(values, np.float64)[draws] for values in examples))


def _correlation(x: Reals, y: Reals) -> Reals:
    x -= x.mean(axis=1, keepdims=True)
    y -= y.mean(axis=1, keepdims=True)
    covariance = np.einsum("bi,bi->b", x, y)
    return divide(covariance, np.sqrt(np.einsum("bi,bi->b", x, x) * np.einsum("bi,bi->b", y, y)))


def average_precision(examples: Examples, draws: Ints) -> Reals:
    """Area under precision and recall over all thresholds; equal scores share one. 0 where nothing is positive."""
    score, positive = examples
    order = np.argsort(-score, kind="stable")
    last = np.append(np.diff(score[order]) != 0, True)
    times = _multiplicity(draws, len(score))[:, order]
    seen = np.cumsum(times, axis=1)[:, last]
    found = np.cumsum(times * (positive[order] != 0), axis=1)[:, last]
    gained = np.diff(found, axis=1, prepend=0)
    return divide((gained * divide(found, seen)).sum(axis=1), found[:, -1])


def macro_f1(examples: Examples, draws: Ints) -> Reals:
    """F1 of each class that is in the draw, as truth or as prediction, averaged over those classes."""
    (gold, predicted), classes = _codes(*examples), _count(*examples)
    hit = np.where(gold == predicted, gold, classes)
    true = _histogram(gold[draws], classes)
    said = _histogram(predicted[draws], classes)
    right = _histogram(hit[draws], classes + 1)[:, :classes]
    present = (true + said) > 0
    return divide(divide(2.0 * right, true + said).sum(axis=1), present.sum(axis=1))


def v_measure(examples: Examples, draws: Ints) -> Reals:
    """Harmonic mean of homogeneity and completeness, averaged over groups by size.

    The third array says which clustering a unit was part of: cluster numbers mean nothing outside theirs.
    """
    gold, cluster, group = (np.unique(values, return_inverse=True)[1] for values in examples)
    total = np.zeros(len(draws))
    for number in range(group.max() + 1):
        inside = group[draws] == number
        total += inside.sum(axis=1) * _v_measure(gold[draws], cluster[draws], inside)
    return np.asarray(total / draws.shape[1])


STATISTICS: Mapping[str, Callable[[Examples, Ints], Reals]] = {
    "mean": mean,
    "ratio": ratio,
    "spearman": spearman,
    "pearson": pearson,
    "average-precision": average_precision,
    "macro-f1": macro_f1,
    "v-measure": v_measure,
}


def divide(a: NDArray[Any], b: NDArray[Any]) -> Reals:
    """Element by element, 0 where ``b`` is 0."""
    return np.asarray(np.divide(a, b, out=np.zeros(np.broadcast(a, b).shape), where=np.asarray(b) != 0))


def _v_measure(gold: Ints, cluster: Ints, inside: NDArray[np.bool_]) -> Reals:
    rows, columns = int(gold.max()) + 1, int(cluster.max()) + 1
    cells = np.where(inside, gold * columns + cluster, rows * columns)
    step = max(1, CELLS // (rows * columns + 1))
    parts = []
    for start in range(0, len(cells), step):
        table = _histogram(cells[start : start + step], rows * columns + 1)[:, :-1].reshape(-1, rows, columns)
        classes, clusters = _entropy(table.sum(axis=2)), _entropy(table.sum(axis=1))
        shared = classes + clusters - _entropy(table.reshape(len(table), -1))
        homogeneity = np.where(classes > 0, divide(shared, classes), 1.0)
        completeness = np.where(clusters > 0, divide(shared, clusters), 1.0)
        parts.append(divide(2 * homogeneity * completeness, homogeneity + completeness))
    return np.concatenate(parts)


def _entropy(counts: NDArray[Any]) -> Reals:
    share = divide(counts, np.broadcast_to(counts.sum(axis=1, keepdims=True), counts.shape))
    return np.asarray(-(share * np.log(share, out=np.zeros_like(share), where=share > 0)).sum(axis=1))


def _ranks(values: NDArray[Any], draws: Ints) -> Reals:
    """Average ranks inside each draw: one histogram over the distinct values in place of B sorts."""
    distinct, place = np.unique(values, return_inverse=True)
    counts = _histogram(place[draws], len(distinct))
    ranks = np.cumsum(counts, axis=1) - (counts - 1) / 2
    return np.take_along_axis(ranks, place[draws], axis=1)


def _multiplicity(draws: Ints, size: int) -> Ints:
    return _histogram(draws, size)


def _histogram(codes: Ints, size: int) -> Ints:
    """``[B, n]`` codes below ``size`` to ``[B, size]`` counts."""
    flat = codes + size * np.arange(len(codes))[:, None]
    return np.bincount(flat.ravel(), minlength=size * len(codes)).reshape(len(codes), size)


def _codes(*labels: NDArray[Any]) -> list[Ints]:
    joined = np.unique(np.concatenate(labels), return_inverse=True)[1]
    return np.split(joined, len(labels))


def _count(*labels: NDArray[Any]) -> int:
    return len(np.unique(np.concatenate(labels)))
