"""One byte a number."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.compression.brute_force import best_rows
from plait.compression.scoring import Dots
from plait.roles import Quantiser
from plait.rows import blocks, checked, checked_sample, learned
from plait.types import DataError, Floats, Ints


class Int8(Quantiser):
    """Each number as one of 256 steps between the smallest and the largest value of its dimension.

    A quarter of float32's size at hardly any loss. Values beyond the range that ``fit`` saw get the nearest end of it.

    Args:
        rescore: candidates for each result that a store with an approximate index fetches before it ranks them by the
            float query. `plait.compression.search` looks at every code and needs no second pass.

    Attributes:
        low_: ``[D]`` smallest value of each dimension.
        step_: ``[D]`` width of one step; 0 for a constant dimension, which is decoded exactly.

    Raises:
        RecipeError: if it is not fitted, or the width differs from the one it was fitted on.
        DataError: if there is no row to fit on, or rows hold NaN or infinity.

    Example:
        >>> X = np.array([[0.0, 7.0], [2.55, 7.0]])
        >>> Int8().fit(X).transform(X).tolist()
        [[-128, -128], [127, -128]]
    """

    def __init__(self, rescore: int = 4) -> None:
        self.rescore = rescore

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn the range of each dimension."""
        rows = checked_sample(X, self)
        low, high = rows.min(axis=0).astype(np.float64), rows.max(axis=0).astype(np.float64)
        self.low_ = low.astype(np.float32)
        self.step_ = ((high - low) / 255).astype(np.float32)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.int8]:
        low, step = learned(self, "low_"), learned(self, "step_")
        rows = checked(X, self, len(low))
        codes = np.empty(rows.shape, np.int8)
        divisor = np.where(step > 0, step, np.float32(1))
        for block in blocks(len(rows)):
            steps = np.rint((rows[block] - low) / divisor)
            codes[block] = np.where(step > 0, np.clip(steps, 0, 255), 0) - 128
        return codes

    def inverse_transform(self, codes: ArrayLike) -> Floats:
        low, step = learned(self, "low_"), learned(self, "step_")
        numbers = np.asarray(codes)
        if numbers.ndim != 2 or numbers.shape[1] != len(low):
            raise DataError(f"{self} decodes codes of shape [N, {len(low)}]; got {numbers.shape} of {numbers.dtype}")
        decoded: Floats = (numbers.astype(np.float32) + np.float32(128)) * step + low
        return decoded

    def nbytes(self, width: int) -> int:
        return width

    @property
    def fitted_width(self) -> int:
        return len(learned(self, "low_"))

    def search(self, queries: Floats, codes: NDArray[np.generic], k: int, cosine: bool) -> tuple[Ints, Floats]:
        return best_rows(Dots(queries, self.inverse_transform, cosine), codes, k)
