"""The first dimensions only."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from plait.roles import Transform
from plait.rows import checked
from plait.types import Floats, RecipeError


class Truncate(Transform):
    """Keep the first ``width`` numbers of each vector.

    Sensible for encoders that were trained to carry most in front (Matryoshka), and after `Pca` or `Whitening`, whose
    dimensions are sorted by variance.

    Args:
        width: numbers to keep.

    Raises:
        RecipeError: if the vectors have fewer than ``width`` numbers, or ``width`` is below 1.

    Source: Matryoshka Representation Learning, arXiv 2205.13147.

    Example:
        >>> Truncate(2).transform(np.array([[1.0, 2.0, 3.0]])).tolist()
        [[1.0, 2.0]]
    """

    def __init__(self, width: int) -> None:
        self.width = width

    def transform(self, X: ArrayLike) -> Floats:
        rows = checked(X, self)
        if not 1 <= self.width <= rows.shape[1]:
            raise RecipeError(f"{self} cannot keep {self.width} numbers of vectors of shape {rows.shape}; ask for less")
        return np.ascontiguousarray(rows[:, : self.width], np.float32)
