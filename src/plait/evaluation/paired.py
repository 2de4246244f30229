"""Two models on the same units of several tasks, with p-values corrected for how many tasks were looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from plait.evaluation.resampling import Reals
from plait.evaluation.scores import Score
from plait.evaluation.statistics import compare, permutation_test
from plait.types import DataError

Values: TypeAlias = "Score | Sequence[float] | Reals"
TESTS = ("wilcoxon", "permutation", "bootstrap")
CORRECTIONS = ("holm", "bonferroni", "none")


@dataclass(frozen=True)
class PairedRow:
    """One task: how much better the first model is, and whether that can be luck.

    Attributes:
        task: its name.
        units: pairs of values that were compared.
        difference: the first model's value minus the second's.
        p_value: two-sided, of this task alone.
        corrected: the p-value corrected for all tasks of the table.
    """

    task: str
    units: int
    difference: float
    p_value: float
    corrected: float


@dataclass(frozen=True)
class PairedTest:
    """What `paired_test` found.

    Attributes:
        rows: one a task, in the order in which they were given.
        test: which test.
        correction: which correction.
    """

    rows: tuple[PairedRow, ...]
    test: str
    correction: str

    def table(self) -> list[dict[str, str | float]]:
        """One row a task."""
        return [dict(vars(row)) for row in self.rows]

    def significant(self, level: float = 0.05) -> list[str]:
        """Tasks whose corrected p-value is at most ``level``."""
        return [row.task for row in self.rows if row.corrected <= level]


def paired_test(
    scores_a: Mapping[str, Values],
    scores_b: Mapping[str, Values],
    test: str = "permutation",
    correction: str = "holm",
    resamples: int = 10_000,
    seed: int = 0,
) -> PairedTest:
    """Compare two models task by task.

    Args:
        scores_a: by task: a `Score`, or one value a unit (a query, a text, a data set, a seed).
        scores_b: of the other model, for the same tasks and units.
        test: "permutation" flips the signs of differences at random; "wilcoxon" ranks them, and so heeds single large
            ones less; "bootstrap" draws units anew. The first two need one value a unit; correlations, F1 and the like
            have none, and only "bootstrap" serves them.
        correction: "holm", never weaker than "bonferroni" and as safe; or "none".
        resamples: of permutation and bootstrap.
        seed: of both.

    Raises:
        DataError: if tasks or units differ, or the test does not suit a metric.

    Example:
        >>> a, b = {"x": [3.0, 4.0, 5.0, 6.0, 7.0, 8.0]}, {"x": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}
        >>> row = paired_test(a, b, test="wilcoxon").rows[0]
        >>> row.difference, row.p_value
        (2.0, 0.03125)

    Source: A simple sequentially rejective multiple test procedure (Scandinavian Journal of Statistics 6, 1979).
    """
    if test not in TESTS or correction not in CORRECTIONS:
        raise DataError(
            f"test is {test!r} and correction {correction!r}; "
            f"expected one of {', '.join(TESTS)} and one of {', '.join(CORRECTIONS)}"
        )
    if not scores_a or set(scores_a) != set(scores_b):
        raise DataError(f"the two models have the tasks {sorted(scores_a)} and {sorted(scores_b)}; expected the same")
    found = []
    for task, given in scores_a.items():
        a, b = _score(task, given), _score(task, scores_b[task])
        found.append((task, len(a), a.value - b.value, _p_value(a, b, test, resamples, seed)))
    corrected = correct([row[-1] for row in found], correction)
    return PairedTest(tuple(PairedRow(*row, p) for row, p in zip(found, corrected, strict=True)), test, correction)


def correct(p_values: Sequence[float], correction: str = "holm") -> list[float]:
    """P-values corrected for how many there are.

    Args:
        p_values: of the single tests.
        correction: "holm", "bonferroni" or "none".

    >>> correct([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, np.float64)
    if correction == "holm":
        order = np.argsort(p, kind="stable")
        stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
        p = np.empty_like(p)
        p[order] = stepped
    elif correction == "bonferroni":
        p = p * len(p)
    return [float(value) for value in np.minimum(p, 1)]


def _score(task: str, given: Values) -> Score:
    if isinstance(given, Score):
        return given
    return Score.of(task, "mean", np.asarray(given, np.float64))


def _p_value(a: Score, b: Score, test: str, resamples: int, seed: int) -> float:
    if test == "bootstrap":
        return compare(a, b, resamples, seed).p_value
    if test == "permutation":
        return permutation_test(a, b, resamples, seed)
    if a.kind != "mean" or (a.metric, len(a)) != (b.metric, len(b)):
        raise DataError(f"{a} and {b} have no values of the same units to rank; take the test 'bootstrap'")
    from scipy.stats import wilcoxon

    differences = a.examples[0] - b.examples[0]
    return float(wilcoxon(differences).pvalue) if differences.any() else 1.0
