"""The cost/quality front: candidates that nothing beats on every count."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def front(quality: NDArray[np.float64], *costs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which candidates are on the front: none other is at least as good on every count and better on one.

    Args:
        quality: ``[N]``, higher is better.
        costs: each ``[N]``, lower is better.

    Example:
        >>> front(np.array([0.9, 0.8, 0.7]), np.array([4.0, 1.0, 2.0])).tolist()
        [True, True, False]
    """
    table = np.column_stack([-np.asarray(quality, np.float64), *costs])
    no_worse = (table[:, None] <= table[None]).all(axis=2)
    better = (table[:, None] < table[None]).any(axis=2)
    return ~np.asarray((no_worse & better).any(axis=0), np.bool_)
