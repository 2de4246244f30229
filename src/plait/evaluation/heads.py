"""Heads that learn one class a row from frozen vectors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plait.evaluation.ridge import held_out
from plait.types import Floats

Classes: TypeAlias = NDArray[np.intp]
Learner: TypeAlias = Callable[[Floats, "NDArray[Any]", Floats], Classes]
"""Rows, their classes and rows to say the class of."""

COSTS = (1.0, 10.0, 100.0)
"""Inverse penalties that are tried on rows of unit length."""
SCALED_COSTS = (0.001, 0.01, 0.1)
"""Inverse penalties that are tried on columns of unit variance, whose rows are about as long as they have columns."""
HIDDEN = 50
"""Hidden units of the perceptron, as in SentEval's probes."""
PATIENCE = 20
"""Passes without a gain after which the perceptron is stopped: SentEval's 5 looks with 4 passes each."""
HELD_EXAMPLES = 10
"""Examples that a tenth of the rows has to hold before the perceptron is stopped by it."""


def scaled(train: Floats, *others: Floats) -> list[Floats]:
    """Columns centred and scaled by mean and deviation of the first array; a constant column becomes 0.

    Example:
        >>> scaled(np.array([[1, 7], [3, 7]], np.float32), np.array([[4, 7]], np.float32))[1].tolist()
        [[2.0, 0.0]]
    """
    mean, spread = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    spread[spread < 1e-9 * (1 + np.abs(mean))] = np.inf
    return [np.asarray((rows - mean) / spread, np.float32) for rows in (train, *others)]


def logistic(train: Floats, classes: Classes, test: Floats) -> Classes:
    """Logistic regression on rows of unit length; C is the best of 1, 10 and 100 on a fifth."""
    return np.asarray(best_logistic(train, classes, COSTS).predict(test))


def scaled_logistic(train: Floats, classes: Classes, test: Floats) -> Classes:
    """Logistic regression on columns of unit variance; C is the best of 0.001, 0.01 and 0.1 on a fifth."""
    return np.asarray(best_logistic(train, classes, SCALED_COSTS).predict(test))


def mlp(train: Floats, classes: Classes, test: Floats) -> Classes:
    """A perceptron with one hidden layer of 50, stopped when a tenth of the rows no longer gains.

    SentEval's settings: Adam, batches of 64, and a look at the held rows after each pass.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    counts = np.bincount(classes)
    stops = len(classes) >= 10 * HELD_EXAMPLES and counts[counts > 0].min() > 1
    model = MLPClassifier(
        (HIDDEN,),
        batch_size=min(64, len(train) * 9 // 10),
        early_stopping=bool(stops),
        n_iter_no_change=PATIENCE,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(model.fit(train, classes).predict(test))


def best_logistic(train: Floats, classes: NDArray[Any], costs: Sequence[float], weights: Floats | None = None) -> Any:
    """A logistic regression whose C did best on a held fifth of the rows, learned from all of them.

    Args:
        train: ``[n, D]``.
        classes: ``[n]``.
        costs: values of C that are tried; of equally good ones the strongest penalty wins.
        weights: ``[n]`` how much each row counts; None counts all alike.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    held = held_out(len(train))
    weights = np.ones(len(train), np.float32) if weights is None else weights
    best = costs[len(costs) // 2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        if held.any() and len(np.unique(classes[~held])) > 1:
            model = LogisticRegression(max_iter=300, warm_start=True)
            quality = []
            for cost in costs:
                model.set_params(C=cost).fit(train[~held], classes[~held], weights[~held])
                quality.append(model.score(train[held], classes[held], weights[held]))
            best = costs[int(np.argmax(quality))]
        return LogisticRegression(C=best, max_iter=300).fit(train, classes, weights)
