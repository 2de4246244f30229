"""Running moments of rows, and the steps that are learned from them."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from plait.roles import Transform
from plait.rows import Doubles, Rows, blocks, checked_sample
from plait.types import RecipeError


class Moments:
    """Sums over rows from which mean, covariance and its best shrinkage follow. Adding rows needs one pass.

    Rows are shifted by the mean of the first block before they are summed: a mean that is large beside the spread, as
    decoders have it, would otherwise cost digits.

    Args:
        width: D.
    """

    def __init__(self, width: int) -> None:
        self.width, self.count, self.resolution = width, 0, 0.0
        self._shift = np.zeros(width)
        self._sum = np.zeros(width)
        self._products = np.zeros((width, width))
        self._squares = 0.0
        self._fourth = 0.0
        self._cubes = np.zeros(width)

    def add(self, values: Rows) -> Self:
        """Take in more ``[N, D]`` rows."""
        self.resolution = max(self.resolution, float(np.finfo(values.dtype).eps))
        for block in blocks(len(values)):
            if self.count == 0:
                self._shift = values[block].mean(axis=0, dtype=np.float64)
            rows = values[block] - self._shift
            squares = np.einsum("nd,nd->n", rows, rows)
            self._sum += rows.sum(axis=0)
            self._products += rows.T @ rows
            self._squares += float(squares.sum())
            self._fourth += float(squares @ squares)
            self._cubes += squares @ rows
            self.count += len(rows)
        return self

    @property
    def mean(self) -> Doubles:
        """``[D]``."""
        return self._shift + self._sum / self.count

    @property
    def covariance(self) -> Doubles:
        """``[D, D]``, unbiased; zeros for a single row."""
        scatter = self._products - np.outer(self._sum, self._sum) / self.count
        return scatter / max(self.count - 1, 1)

    @property
    def noise(self) -> float:
        """Variance below which a direction is nothing but the rounding of the numbers that came."""
        return float((16 * self.resolution * np.abs(self.mean).max()) ** 2)

    def ledoit_wolf(self) -> float:
        """The share of a scaled identity that makes the covariance estimate best in expectation, 0 to 1.

        Source: A well-conditioned estimator for large-dimensional covariance matrices (Ledoit and Wolf, 2004).
        """
        count, width = self.count, self.width
        empirical = self.covariance * max(count - 1, 1) / count
        centre = self._sum / count
        length = float(centre @ centre)
        # Sum over rows of the fourth power of the distance from the mean, expanded in the sums about the shift.
        fourth = (
            self._fourth
            + 4 * float(centre @ self._products @ centre)
            + count * length**2
            - 4 * float(centre @ self._cubes)
            + 2 * length * self._squares
            - 4 * length * float(centre @ self._sum)
        )
        power = float((empirical**2).sum())
        level = float(np.trace(empirical)) / width
        spread = (power - width * level**2) / width
        error = min((fourth / count - power) / (count * width), spread)
        return error / spread if error > 0 else 0.0


def axes_of(covariance: Doubles, top: int | None = None) -> tuple[Doubles, Doubles]:
    """Eigenvalues ``[k]``, largest first, and eigenvectors as columns ``[D, k]``, their largest entry positive."""
    from scipy.linalg import eigh

    width = len(covariance)
    chosen = None if top is None or top == width else (width - top, width - 1)
    values, axes = eigh(covariance, subset_by_index=chosen)
    values, axes = np.maximum(values[::-1], 0), axes[:, ::-1]
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]
    return values, axes * np.where(largest < 0, -1.0, 1.0)


class FromMoments(Transform):
    """A transform that is learned from mean and covariance alone, in one go or from a stream."""

    _moments: Moments | None = None

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn from the rows, forgetting what was learned before."""
        rows = checked_sample(X, self)
        self._moments = Moments(rows.shape[1]).add(rows)
        self._learn(self._moments)
        return self

    def partial_fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn from more rows, as if they had come together with the earlier ones.

        Raises:
            RecipeError: if the step was loaded from a file, which does not keep the running sums.
        """
        if self._moments is None and self.state():
            raise RecipeError(f"{self} was loaded and no longer has the sums behind it; fit it on all rows again")
        width = self._moments.width if self._moments else None
        rows = checked_sample(X, self, width)
        self._moments = (self._moments or Moments(rows.shape[1])).add(rows)
        self._learn(self._moments)
        return self

    @abstractmethod
    def _learn(self, moments: Moments) -> None:
        """Set the learned arrays."""

    def _checked_count(self, wanted: int | None, width: int) -> int:
        """How many components to make of vectors of that width."""
        if wanted is None:
            return width
        if not 1 <= wanted <= width:
            raise RecipeError(f"{self} cannot make {wanted} components of vectors of {width} numbers")
        return wanted
