"""Many models on many tasks: means, ranks and points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from plait.types import DataError

Scores = Mapping[str, Mapping[str, float | None]]
"""By model, by task; None (or no entry) where a model was not run."""


@dataclass(frozen=True)
class Standing:
    """One model's place.

    Attributes:
        model: its name.
        mean: over its tasks.
        group_mean: mean of the means by kind of task; the mean where no kinds are given.
        points: of the Borda count.
        rank: by points, 1 for the best; equal points share the better rank.
        tasks: that it was run on.
    """

    model: str
    mean: float
    group_mean: float
    points: float
    rank: int
    tasks: int


def borda_count(scores: Scores) -> dict[str, float]:
    """Points of each model: on each task, as many as there are models that it beats; a tie shares them.

    Margins do not count, so that no task weighs more for its scale. A model that was not run on a task gets no points
    there; the others get them as if it came last.

    Args:
        scores: by model and task, higher for better.

    Example:
        >>> borda_count({"a": {"x": 3, "y": 1}, "b": {"x": 2, "y": 1}, "c": {"x": 1, "y": None}})
        {'a': 3.5, 'b': 2.5, 'c': 0.0}
    """
    from scipy.stats import rankdata

    points = dict.fromkeys(scores, 0.0)
    for task in _tasks(scores):
        values = {model: value for model, mine in scores.items() if (value := mine.get(task)) is not None}
        ranks = rankdata([-value for value in values.values()])
        for model, rank in zip(values, ranks, strict=True):
            points[model] += len(scores) - float(rank)
    return points


def rank_table(scores: Scores, groups: Mapping[str, str] | None = None) -> list[Standing]:
    """Models from best to worst by Borda count, with their means.

    Args:
        scores: by model and task, higher for better.
        groups: by task, its kind.

    Raises:
        DataError: if a model has no score at all.

    Source: MMTEB: Massive Multilingual Text Embedding Benchmark, arXiv 2502.13595.

    Example:
        >>> table = rank_table({"a": {"x": 0.5, "y": 0.9}, "b": {"x": 0.4, "y": 0.8}})
        >>> [(row.model, row.rank, row.points) for row in table]
        [('a', 1, 2.0), ('b', 2, 0.0)]
    """
    points, tasks = borda_count(scores), _tasks(scores)
    rows = []
    for model, mine in scores.items():
        had = {task: value for task in tasks if (value := mine.get(task)) is not None}
        if not had:
            raise DataError(f"{model} has no score on any task; leave it out")
        kinds = {task: (groups or {}).get(task, "") for task in had}
        by_kind = [
            np.mean([had[task] for task in had if kinds[task] == kind]) for kind in dict.fromkeys(kinds.values())
        ]
        rank = 1 + sum(other > points[model] for other in points.values())
        mean, group_mean = float(np.mean(list(had.values()))), float(np.mean(by_kind))
        rows.append(Standing(model, mean, group_mean, points[model], rank, len(had)))
    return sorted(rows, key=lambda row: (row.rank, -row.mean))


def _tasks(scores: Scores) -> list[str]:
    return list(dict.fromkeys(task for mine in scores.values() for task in mine))
