"""Is it better, or was it luck? Bootstrap intervals, paired comparisons, permutation tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from plait.evaluation.resampling import Reals
from plait.evaluation.scores import Score
from plait.types import DataError, Ints

CHUNK = 2_000_000
"""Draws that are in memory at once."""

ROUNDING = 1e-12
"""Differences of means below this are rounding, not evidence."""


@dataclass(frozen=True)
class Interval:
    """Where the value would lie on other data of the same kind, ``level`` of the time."""

    low: float
    high: float
    level: float = 0.95


@dataclass(frozen=True)
class Comparison:
    """How much better one score is than another on the same units.

    Attributes:
        difference: the first score minus the second.
        low: lower end of the 95 % interval of the difference.
        high: upper end.
        p_value: chance of a difference at least as large, either way, if there were none.
    """

    difference: float
    low: float
    high: float
    p_value: float


def interval(score: Score, level: float = 0.95, resamples: int = 2000, seed: int = 0) -> Interval:
    """Percentile bootstrap interval over the score's units.

    Args:
        score: what to judge.
        level: share of the resamples that the interval holds.
        resamples: draws with replacement; at 2,000 the ends of a 95 % interval move by a few hundredths of its width.
        seed: of the draws.

    Example:
        >>> interval(Score.of("accuracy", "mean", np.repeat([0.0, 1.0], 50))).low < 0.5
        True
    """
    values = np.concatenate([score.resample(draws) for draws in _draws(len(score), resamples, seed)])
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level)


def compare(a: Score, b: Score, resamples: int = 2000, seed: int = 0) -> Comparison:
    """Paired bootstrap: both scores see the same draws, so what is hard for both cancels out.

    Args:
        a: the score that may be better.
        b: the other one, of the same metric on the same units in the same order.
        resamples: draws with replacement; the least p-value is 1 / (resamples + 1).
        seed: of the draws.

    Raises:
        DataError: if the two cannot be compared.

    Example:
        >>> better = Score.of("accuracy", "mean", np.array([1.0] * 40 + [0.0] * 10))
        >>> worse = Score.of("accuracy", "mean", np.array([1.0] * 20 + [0.0] * 30))
        >>> comparison = compare(better, worse)
        >>> round(comparison.difference, 2), comparison.low > 0, comparison.p_value < 0.001
        (0.4, True, True)

    Source: Statistical Significance Tests for Machine Translation Evaluation, ACL W04-3250.
    """
    _comparable(a, b)
    observed = a.value - b.value
    draws = _draws(len(a), resamples, seed)
    differences = np.concatenate([a.resample(rows) - b.resample(rows) for rows in draws])
    low, high = np.quantile(differences, [0.025, 0.975])
    return Comparison(observed, float(low), float(high), _p_value(differences - observed, observed))


def permutation_test(a: Score, b: Score, resamples: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value of a paired sign-flip test: exchange the two on random units and see how often it matters more.

    Args:
        a: a score that is a mean over its units.
        b: the other one, on the same units in the same order.
        resamples: sign patterns tried; the least p-value is 1 / (resamples + 1).
        seed: of the patterns.

    Raises:
        DataError: if the two cannot be compared, or are not means.
    """
    _comparable(a, b)
    if a.kind != "mean":
        raise DataError(f"{a.metric} is no mean over its examples; use compare(), which serves every metric")
    differences = a.examples[0] - b.examples[0]
    rng, values = np.random.default_rng(seed), list[Reals]()
    for size in _chunks(len(a), resamples):
        signs = rng.integers(0, 2, (size, len(a)), dtype=np.int8) * 2 - 1
        values.append(signs @ differences / len(a))
    return _p_value(np.concatenate(values), float(differences.mean()))


def pool(scores: Sequence[Score]) -> Score:
    """One score over the units of several, such as the folds of a cross-validation.

    Args:
        scores: of the same metric; their units must not overlap.

    Raises:
        DataError: if there is none, or if they are of different metrics.

    Example:
        >>> folds = [Score.of("accuracy", "mean", np.array(x)) for x in ([1.0, 0.0], [1.0, 1.0])]
        >>> pool(folds).value
        0.75
    """
    if not scores:
        raise DataError("no score to pool")
    first = scores[0]
    if any((score.metric, score.kind) != (first.metric, first.kind) for score in scores):
        raise DataError(f"scores of different metrics cannot be pooled: {', '.join(s.metric for s in scores)}")
    columns = [np.concatenate(arrays) for arrays in zip(*(score.examples for score in scores), strict=True)]
    if first.kind == "v-measure" and len(scores) > 1:
        groups = [np.char.add(f"{number}/", score.examples[2].astype(str)) for number, score in enumerate(scores)]
        columns[2] = np.concatenate(groups)
    return Score.of(first.metric, first.kind, *columns)


def _comparable(a: Score, b: Score) -> None:
    if (a.metric, a.kind, len(a)) != (b.metric, b.kind, len(b)):
        raise DataError(f"cannot compare {a} with {b}: the metric and the examples must be the same")


def _p_value(centred: Reals, observed: float) -> float:
    extreme = int((np.abs(centred) >= abs(observed) - ROUNDING).sum())
    return (extreme + 1) / (len(centred) + 1)


def _draws(size: int, resamples: int, seed: int) -> Iterator[Ints]:
    rng = np.random.default_rng(seed)
    for number in _chunks(size, resamples):
        yield rng.integers(0, size, (number, size))


def _chunks(size: int, resamples: int) -> Iterator[int]:
    step = max(1, CHUNK // size)
    for start in range(0, resamples, step):
        yield min(step, resamples - start)
