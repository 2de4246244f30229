"""A score group by group: where is a model good, and where is it not?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plait.data.tasks import Pairs, Task
from plait.evaluation.resampling import Reals
from plait.evaluation.scores import Score
from plait.evaluation.statistics import Interval, interval
from plait.types import DataError


@dataclass(frozen=True, eq=False)
class Stratum:
    """The score of some of the units.

    Attributes:
        name: of the group; of numbers, from where to where the bin goes.
        score: of the group's units.
        interval: of the score, 95 %.
    """

    name: str
    score: Score
    interval: Interval


@dataclass(frozen=True, eq=False)
class Strata:
    """What `stratify` found.

    Attributes:
        strata: one a group, sorted by name; bins from low to high.
        total: the score of all units.
    """

    strata: tuple[Stratum, ...]
    total: Score

    @property
    def mean(self) -> float:
        """Plain mean of the groups' values, which differs from the value of all units together."""
        return float(np.mean([stratum.score.value for stratum in self.strata]))

    def table(self) -> list[dict[str, str | float]]:
        """One row a group: name, value, interval, units."""
        return [
            {
                "group": stratum.name,
                "value": stratum.score.value,
                "low": stratum.interval.low,
                "high": stratum.interval.high,
                "examples": len(stratum.score),
            }
            for stratum in self.strata
        ]


def stratify(score: Score, by: Sequence[str] | Reals, bins: int = 4, seed: int = 0) -> Strata:
    """Split a score into those of groups of its units.

    Args:
        score: of any metric.
        by: one entry a unit: a name, such as where a pair comes from, or a number, such as `overlap`.
        bins: numbers are cut into this many bins of as equal size as ties allow; with 1 the one group is the total.
        seed: of the bootstrap.

    Raises:
        DataError: if there is not one entry a unit, or no bin.

    Example:
        >>> score = Score.of("accuracy", "mean", np.array([1.0, 1.0, 0.0, 1.0]))
        >>> [(row["group"], row["value"]) for row in stratify(score, ["news", "news", "forum", "forum"]).table()]
        [('forum', 0.5), ('news', 1.0)]
    """
    given = np.asarray(by)
    if given.shape != (len(score),) or bins < 1:
        raise DataError(
            f"by has {len(given)} entries and bins is {bins}; expected one entry for each of {len(score)} units"
        )
    names, groups = _binned(given.astype(np.float64), bins) if given.dtype.kind in "biuf" else _named(given)
    strata = []
    for number, name in enumerate(names):
        rows = groups == number
        part = Score.of(score.metric, score.kind, *(array[rows] for array in score.examples))
        strata.append(Stratum(name, part, interval(part, seed=seed)))
    return Strata(tuple(strata), score)


def overlap(task: Task, part: str = "test") -> Reals:
    """``[n]`` share of words that the two texts of each pair have in common (Jaccard, lower case).

    Args:
        task: of pairs.
        part: which of its parts.

    Example:
        >>> pairs = Pairs(np.array([0]), np.array([1]), np.array([4.0]))
        >>> overlap(Task("sts", "one", ("A dog runs", "a dog sleeps"), parts={"all": pairs}), "all").tolist()
        [0.5]
    """
    left, right = _word_sets(task, part)
    return np.array([len(a & b) / max(1, len(a | b)) for a, b in zip(left, right, strict=True)])


def pair_length(task: Task, part: str = "test") -> Reals:
    """``[n]`` mean number of different words of the two texts of each pair.

    Args:
        task: of pairs.
        part: which of its parts.
    """
    left, right = _word_sets(task, part)
    return np.array([(len(a) + len(b)) / 2 for a, b in zip(left, right, strict=True)])


def _word_sets(task: Task, part: str) -> tuple[list[set[str]], list[set[str]]]:
    pairs = task.parts.get(part)
    if not isinstance(pairs, Pairs):
        raise DataError(f"{task.name} has no pairs in a part {part!r}; it has {', '.join(task.parts)}")
    words = {
        row: set(str(task.documents[row]).lower().split()) for row in {*pairs.left.tolist(), *pairs.right.tolist()}
    }
    return [words[row] for row in pairs.left.tolist()], [words[row] for row in pairs.right.tolist()]


def _named(given: NDArray[np.generic]) -> tuple[list[str], NDArray[np.intp]]:
    names, groups = np.unique(given.astype(str), return_inverse=True)
    return names.tolist(), groups


def _binned(values: Reals, bins: int) -> tuple[list[str], NDArray[np.intp]]:
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1]))
    found, groups = np.unique(np.searchsorted(edges, values, side="right"), return_inverse=True)
    names = [f"{values[groups == n].min():.3g} to {values[groups == n].max():.3g}" for n in range(len(found))]
    return names, groups
