"""Fewer tasks that say the same: those whose scores the other tasks predict are dropped, one after the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from plait.evaluation.resampling import Reals
from plait.types import DataError

FEWEST_MODELS = 4
"""Models below which a correlation over held-out predictions says nothing."""


@dataclass(frozen=True)
class Removal:
    """A task that was dropped.

    Attributes:
        task: its name.
        spearman: of its scores and those predicted from the tasks that were left, each model held out in turn.
        error: mean squared difference of the two, each standardised.
    """

    task: str
    spearman: float
    error: float


@dataclass(frozen=True)
class TaskSelection:
    """What `select_tasks` found.

    Attributes:
        kept: names of the tasks that stay, in their order.
        removed: what was dropped, first to last.
    """

    kept: tuple[str, ...]
    removed: tuple[Removal, ...]

    def table(self) -> list[dict[str, str | float]]:
        """One row a dropped task."""
        return [dict(vars(removal)) for removal in self.removed]


def select_tasks(
    scores: Mapping[str, Sequence[float] | Reals],
    estimator: Any = None,
    min_spearman: float = 0.95,
    max_mse: float = 0.2,
    keep: Collection[str] = (),
    groups: Mapping[str, str] | None = None,
) -> TaskSelection:
    """Drop tasks that the others predict.

    A round predicts every task from the others, each model held out in turn, and drops the most predictable one that
    may go; it ends when none passes.

    Args:
        scores: by task, one value a model, the models in the same order.
        estimator: a scikit-learn regression; None is `sklearn.linear_model.LinearRegression`, which interpolates when
            there are more tasks than models: a held-out model is never among those it learned from.
        min_spearman: rank correlation that the predictions of a task have to reach before it may go.
        max_mse: mean squared error of standardised predictions that a task may have and go.
        keep: tasks that never go.
        groups: by task, its kind; the last one of a kind never goes.

    Raises:
        DataError: if there are fewer than four models, a value is missing, or ``keep`` names no task.

    Source: MMTEB: Massive Multilingual Text Embedding Benchmark, arXiv 2502.13595.

    Example:
        >>> a = np.array([0.1, 0.2, 0.4, 0.5, 0.9])
        >>> select_tasks({"a": a, "twice": 2 * a, "other": [3.0, 1.0, 4.0, 1.0, 5.0]}).kept
        ('twice', 'other')
    """
    table = _matrix(scores, keep)
    names, removed = list(scores), list[Removal]()
    kind = {name: (groups or {}).get(name, "") for name in names}
    while len(names) > 1:
        found = [_predictability(name, names, table, estimator) for name in names]
        found.sort(key=lambda removal: -removal.spearman)
        kinds = [kind[name] for name in names]
        passing = [
            removal
            for removal in found
            if removal.spearman >= min_spearman and removal.error <= max_mse and removal.task not in keep
            if groups is None or kinds.count(kind[removal.task]) > 1
        ]
        if not passing:
            break
        removed.append(passing[0])
        names.remove(passing[0].task)
    return TaskSelection(tuple(names), tuple(removed))


def _matrix(scores: Mapping[str, Sequence[float] | Reals], keep: Collection[str]) -> dict[str, Reals]:
    table = {name: np.asarray(values, np.float64) for name, values in scores.items()}
    shapes = {values.shape for values in table.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1 or next(iter(shapes))[0] < FEWEST_MODELS:
        raise DataError(f"expected one value a model for each task, of {FEWEST_MODELS} models at least; got {shapes}")
    if bad := [name for name, values in table.items() if not np.isfinite(values).all()]:
        raise DataError(f"{bad[0]} has a value that is missing or no number; leave the task or the model out")
    if unknown := sorted(set(keep) - set(table)):
        raise DataError(f"keep names {unknown[0]!r}, which is no task; there are {', '.join(table)}")
    return table


def _predictability(task: str, names: Sequence[str], table: Mapping[str, Reals], estimator: Any) -> Removal:
    from scipy.stats import spearmanr
    from sklearn.linear_model import LinearRegression
    from sklearn.model_selection import LeaveOneOut, cross_val_predict

    target = table[task]
    features = np.stack([table[name] for name in names if name != task], axis=1)
    model = LinearRegression() if estimator is None else estimator
    predicted = np.asarray(cross_val_predict(model, features, target, cv=LeaveOneOut()))
    if np.ptp(predicted) == 0 or np.ptp(target) == 0:
        return Removal(task, 0.0, float("inf"))
    error = float(np.mean((_standard(predicted) - _standard(target)) ** 2))
    return Removal(task, float(spearmanr(predicted, target).statistic), error)


def _standard(values: Reals) -> Reals:
    return np.asarray((values - values.mean()) / values.std(), np.float64)
