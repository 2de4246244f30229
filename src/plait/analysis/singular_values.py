"""How many singular values of a noisy matrix are signal."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.types import DataError

ENERGY = 0.95
MOST = 20
"""An upper bound of the rank: what lies beyond it is noise for certain, and tells what noise looks like."""


def energy_rank(values: ArrayLike, share: float = ENERGY) -> int:
    """The fewest singular values that hold a share of the sum of squares.

    Args:
        values: singular values, descending.
        share: of the squares.

    Example:
        >>> energy_rank([3, 1, 0.1]), energy_rank([1, 1, 1])
        (2, 3)
    """
    squares = np.square(np.asarray(values, np.float64))
    total = squares.sum()
    return int(np.searchsorted(np.cumsum(squares), share * total * (1 - 1e-12)) + 1) if total > 0 else 0


def screenot_rank(values: ArrayLike, shape: tuple[int, ...], most: int = MOST) -> int:
    """Singular values above the threshold that loses least when all others are set to 0, whatever the noise.

    The threshold is computed from the values themselves: those beyond the ``most`` largest are noise, and what the
    noise would have had in the place of the largest is extrapolated from them.

    Args:
        values: all singular values, descending.
        shape: of the matrix.
        most: upper bound of the rank; lowered where there are too few values to leave twice as many.

    Raises:
        DataError: if there are fewer than four values.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> noisy = 9 * np.outer(rng.normal(size=100), rng.normal(size=60)) + rng.normal(size=(100, 60))
        >>> screenot_rank(np.linalg.svd(noisy, compute_uv=False), noisy.shape)
        1

    Source: ScreeNOT: Exact MSE-Optimal Singular Value Thresholding in Correlated Noise, arXiv 2009.12297.
    """
    found = np.asarray(values, np.float64)
    if len(found) < 4:
        raise DataError(f"{len(found)} singular values tell nothing of their noise; give a matrix of 4 × 4 or more")
    if found[0] == 0:
        return 0
    scaled = found / found[0]
    noise = _noise(scaled, min(most, (len(scaled) - 1) // 3))
    if noise[0] < 1e-9:  # no noise at all: whatever is not rounding is signal
        return int((scaled > 1e-9).sum())
    return int((scaled > _threshold(noise, min(shape) / max(shape))).sum())


def _noise(values: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """The values, with the largest in place of which noise alone would have stood: its spectrum ends like a root."""
    edge, inner = values[most], values[2 * most]
    steps = 1 - (np.arange(most) / most) ** (2 / 3)
    top = edge + steps / (2 ** (2 / 3) - 1) * (edge - inner)
    return np.concatenate([top, values[most:]])


def _threshold(noise: NDArray[np.float64], ratio: float) -> float:
    """Where the logarithmic slope of the noise's D-transform is −4."""
    from scipy.optimize import brentq

    low = noise[0] * (1 + 1e-9)
    high = 2 * low
    while _slope(high, noise, ratio) < -4:
        high *= 2
    return float(brentq(lambda y: _slope(y, noise, ratio) + 4, low, high))


def _slope(y: float, noise: NDArray[np.float64], ratio: float) -> float:
    gap = y**2 - noise**2
    phi, change = (y / gap).mean(), -((y**2 + noise**2) / gap**2).mean()
    other, other_change = ratio * phi + (1 - ratio) / y, ratio * change - (1 - ratio) / y**2
    return float(y * (change / phi + other_change / other))
