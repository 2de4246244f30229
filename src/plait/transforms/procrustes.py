"""`Procrustes`: the rotation that lays one set of vectors over another."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import orthogonal_procrustes
from sklearn.base import BaseEstimator, TransformerMixin

from plait.rows import Doubles
from plait.types import DataError, Floats, RecipeError


class Procrustes(TransformerMixin, BaseEstimator):
    """Map vectors of one space into another, learned from rows that belong together.

    Row n of both sets is the same thing seen by two models: a word in two tables, a text under two encoders. It is an
    estimator with a target, not a step of a recipe.

    Args:
        orthogonal: only rotate and mirror, so that cosines within the space stay as they were; False fits any linear
            map by least squares, which needs many more rows than numbers in a vector.

    Attributes:
        map_: ``[D, D']``; the output is ``X @ map_``. With ``orthogonal`` and unequal widths it is the part of a
            rotation between the spaces once the narrower one is padded with zeros.

    Raises:
        DataError: if the two sets differ in their number of rows, hold no row, or hold NaN or infinity.
        RecipeError: if it is not fitted, or the rows are not as wide as those it was fitted on.

    Source: A generalized solution of the orthogonal Procrustes problem (Schönemann, 1966).

    Example:
        >>> X = np.random.default_rng(0).normal(size=(20, 3))
        >>> turn = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
        >>> bool(np.allclose(Procrustes().fit(X, X @ turn).map_, turn))
        True
    """

    def __init__(self, orthogonal: bool = True) -> None:
        self.orthogonal = orthogonal

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn the map from ``[N, D]`` rows to the ``[N, D']`` rows they belong to."""
        source, target = _numbers(X, "X"), _numbers(y, "y")
        if len(source) != len(target) or not len(source):
            raise DataError(
                f"Procrustes got {len(source)} rows and {len(target)} rows to lay them over; "
                "expected as many, one at least, row n of both being the same thing"
            )
        if self.orthogonal:
            width = max(source.shape[1], target.shape[1])
            turn, _ = orthogonal_procrustes(_padded(source, width), _padded(target, width))
            self.map_: Doubles = np.asarray(turn[: source.shape[1], : target.shape[1]], np.float64)
        else:
            self.map_ = np.asarray(np.linalg.lstsq(source, target, rcond=None)[0], np.float64)
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """``[N, D]`` rows in the other space."""
        return self._mapped(X, self._map())

    def inverse_transform(self, X: ArrayLike) -> Floats:
        """``[N, D']`` rows of the other space in this one."""
        matrix = self._map()
        back = matrix.T if self.orthogonal else np.linalg.pinv(matrix)
        return self._mapped(X, np.asarray(back, np.float64))

    def _map(self) -> Doubles:
        if not hasattr(self, "map_"):
            raise RecipeError("Procrustes is not fitted; call fit with rows of both spaces first")
        return self.map_

    def _mapped(self, X: ArrayLike, matrix: Doubles) -> Floats:
        rows = _numbers(X, "X")
        if rows.shape[1] != len(matrix):
            raise RecipeError(f"Procrustes was fitted on vectors of {len(matrix)} numbers; got {rows.shape}")
        return np.asarray(rows @ matrix, np.float32)


def _numbers(values: ArrayLike, name: str) -> Doubles:
    array = np.asarray(values)
    if array.ndim != 2 or array.dtype.kind not in "fiub" or not np.isfinite(array).all():
        raise DataError(
            f"{name} of Procrustes has shape {array.shape} of {array.dtype}; expected [N, D] numbers, all finite"
        )
    return array.astype(np.float64, copy=False)


def _padded(rows: Doubles, width: int) -> Doubles:
    return np.pad(rows, [(0, 0), (0, width - rows.shape[1])])
