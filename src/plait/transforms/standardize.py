"""Each number of a vector at mean 0 and deviation 1."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from plait.roles import Transform
from plait.rows import checked, checked_sample, learned
from plait.types import Floats


class Standardize(Transform):
    """Subtract the mean of each dimension and divide by its standard deviation.

    Parts of a concatenation whose dimensions differ in scale weigh alike for what reads them: ``(a | Standardize()) +
    (b | Standardize())``. Dimensions stay correlated; `Whitening` undoes that too.

    Attributes:
        mean_: ``[D]`` float64.
        scale_: ``[D]`` float64; 1 for a dimension that never varies.

    Raises:
        RecipeError: if it is not fitted, or the width differs from the one it was fitted on.
        DataError: if there is no row to fit on, or rows hold NaN or infinity.

    Example:
        >>> Standardize().fit(np.array([[1.0, 5.0], [3.0, 5.0]])).transform(np.array([[4.0, 7.0]])).tolist()
        [[2.0, 2.0]]
    """

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn mean and deviation of each dimension."""
        rows = checked_sample(X, self)
        self.mean_ = rows.mean(axis=0, dtype=np.float64)
        deviation = rows.std(axis=0, dtype=np.float64)
        # The mean of equal numbers is off by a rounding, which must not be taken for a spread.
        varies = deviation > 8 * np.finfo(rows.dtype).eps * np.abs(self.mean_)
        self.scale_ = np.where(varies, deviation, 1.0)
        return self

    def transform(self, X: ArrayLike) -> Floats:
        mean, scale = learned(self, "mean_"), learned(self, "scale_")
        rows = checked(X, self, len(mean))
        out = np.empty(rows.shape, np.float32)
        np.subtract(rows, mean, out=out, casting="same_kind")
        out /= scale.astype(np.float32)
        return out

    def inverse_transform(self, X: ArrayLike) -> Floats:
        """Scale and shift back."""
        mean, scale = learned(self, "mean_"), learned(self, "scale_")
        rows = checked(X, self, len(mean))
        return np.asarray(rows * scale + mean, np.float32)
