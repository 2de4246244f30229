"""One bit a number."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.compression.brute_force import best_found
from plait.compression.hamming import nearest
from plait.compression.scoring import Dots
from plait.roles import Quantiser
from plait.rows import checked
from plait.types import DataError, Floats, Ints, RecipeError


class Binary(Quantiser):
    """The sign of each number, eight to a byte.

    A thirty-second of float32's size. The sign says most when dimensions are balanced about 0: `Center` or `Whitening`
    in front help encoders that were not tuned for it. Only the width is learned, so that it may be used unfitted.

    Args:
        rescore: candidates for each result that the Hamming distance picks and the float query then ranks anew; 0
            keeps the order of the Hamming distance. 4 wins back most of the loss at hardly any cost.

    Attributes:
        width_: D, numbers in one vector.

    Raises:
        RecipeError: if the width differs from the one it saw first.
        DataError: if rows hold NaN or infinity, or codes have another width.

    Example:
        >>> codes = Binary().transform(np.array([[0.5, -0.1, 0.0, 2.0]]))
        >>> codes.tolist(), bin(codes[0, 0])
        ([[144]], '0b10010000')
    """

    def __init__(self, rescore: int = 4) -> None:
        self.rescore = rescore

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Note the width of the vectors."""
        self.width_ = checked(X, self).shape[1]
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.uint8]:
        rows = checked(X, self, vars(self).get("width_"))
        self.width_ = rows.shape[1]
        return np.packbits(rows > 0, axis=1)

    def inverse_transform(self, codes: ArrayLike) -> Floats:
        packed, width = np.asarray(codes), self.fitted_width
        if packed.ndim != 2 or packed.dtype != np.uint8 or packed.shape[1] != self.nbytes(width):
            expected = f"uint8 codes of shape [N, {self.nbytes(width)}]"
            raise DataError(f"{self} decodes {expected}; got {packed.shape} of {packed.dtype}")
        signs: Floats = 2 * np.unpackbits(packed, axis=1, count=width).astype(np.float32) - 1
        return signs

    def nbytes(self, width: int) -> int:
        return (width + 7) // 8

    @property
    def fitted_width(self) -> int:
        width: int | None = vars(self).get("width_")
        if width is None:
            raise RecipeError(f"{self} has seen no vectors yet and cannot tell how wide they are; fit it first")
        return int(width)

    def search(self, queries: Floats, codes: NDArray[np.generic], k: int, cosine: bool) -> tuple[Ints, Floats]:
        packed = codes.view(np.uint8)
        found = min(k * max(self.rescore, 1), len(codes))
        numbers, distance = nearest(np.packbits(queries > 0, axis=1), packed, found)
        if self.rescore == 0:
            return numbers, (1 - 2 * distance / self.fitted_width).astype(np.float32)
        return best_found(Dots(queries, self.inverse_transform, cosine), numbers, packed, k)

    def similarity(self, a_codes: NDArray[np.generic], b_codes: NDArray[np.generic]) -> Floats:
        differing = np.bitwise_count(a_codes.view(np.uint8) ^ b_codes.view(np.uint8)).sum(axis=1, dtype=np.int64)
        return np.asarray(1 - 2 * differing / self.fitted_width, np.float32)
