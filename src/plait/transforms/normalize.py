"""Rows at length 1."""

from __future__ import annotations

from numpy.typing import ArrayLike

from plait.roles import Transform
from plait.rows import checked
from plait.step import unit_rows
from plait.types import Floats


class Normalize(Transform):
    """L2-normalise each row; a row of zeros stays.

    Afterwards the dot product is the cosine.

    Raises:
        DataError: if rows hold NaN or infinity.

    Example:
        >>> Normalize().transform(np.array([[3.0, 4.0], [0.0, 0.0]])).round(6).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """

    def transform(self, X: ArrayLike) -> Floats:
        return unit_rows(checked(X, self))
