"""Rows about their mean."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from plait.roles import Transform
from plait.rows import checked, checked_sample, learned
from plait.types import Floats


class Center(Transform):
    """Subtract the mean of the rows that it was fitted on.

    Attributes:
        mean_: ``[D]`` float64.

    Raises:
        RecipeError: if it is not fitted, or the width differs from the one it was fitted on.
        DataError: if there is no row to fit on, or rows hold NaN or infinity.

    Example:
        >>> Center().fit(np.array([[1.0, 2.0], [3.0, 2.0]])).transform(np.array([[3.0, 3.0]])).tolist()
        [[1.0, 1.0]]
    """

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn the mean of the rows."""
        self.mean_ = checked_sample(X, self).mean(axis=0, dtype=np.float64)
        return self

    def transform(self, X: ArrayLike) -> Floats:
        mean = learned(self, "mean_")
        rows = checked(X, self, len(mean))
        out = np.empty(rows.shape, np.float32)
        np.subtract(rows, mean, out=out, casting="same_kind")
        return out

    def inverse_transform(self, X: ArrayLike) -> Floats:
        """Add the mean again."""
        mean = learned(self, "mean_")
        rows = checked(X, self, len(mean))
        out = np.empty(rows.shape, np.float32)
        np.add(rows, mean, out=out, casting="same_kind")
        return out
