"""How long the rows of a matrix are: what bounds the rounding error of a product with any of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from plait.types import DataError, Floats

NEARLY = 1e-4
"""Distance from length 1 up to which rows rank by the cosine as they are."""

SMALL = 1e-15
"""Length below which, and one over which, float32 cannot hold squares to all their digits."""

BLOCK = 16_384
"""Rows measured at once."""


@dataclass(frozen=True)
class Lengths:
    """The shortest and the longest of some rows.

    A search for few queries spends as long on measuring the rows as on scoring them. Whoever searches the same vectors
    again and again measures them once.

    Attributes:
        shortest: least Euclidean length above 0; a row of zeros scores 0 however it is scaled.
        longest: greatest Euclidean length.

    Example:
        >>> Lengths.of(np.array([[3.0, 4.0], [0.0, 1.0]]))
        Lengths(shortest=1.0, longest=5.0)
    """

    shortest: float
    longest: float

    @classmethod
    def of(cls, vectors: NDArray[np.floating]) -> Self:
        """Measure ``[N, D]`` vectors, which may be memory-mapped.

        Raises:
            DataError: if one of them holds NaN or infinity, or is too long for float32.
        """
        lengths = np.zeros(len(vectors), np.float32)
        for start in range(0, len(vectors), BLOCK):
            block = slice(start, start + BLOCK)
            lengths[block] = lengths_of(np.asarray(vectors[block], np.float32))
        return cls.of_all(lengths)

    @classmethod
    def of_all(cls, lengths: Floats) -> Self:
        """Sum up ``[N]`` lengths."""
        longest = float(lengths.max(initial=0))
        if not np.isfinite(longest):
            where = np.flatnonzero(~np.isfinite(lengths))
            raise DataError(
                f"{len(where)} of {len(lengths)} rows to search hold NaN, infinity or numbers too large for float32: "
                "look for empty inputs or a damaged model"
            )
        return cls(float(lengths.min(initial=longest, where=lengths > 0)), longest)

    @property
    def spread(self) -> float:
        """How far from 1 a length above 0 may be."""
        return max(abs(self.longest - 1), abs(1 - self.shortest))


UNIT = Lengths(1.0, 1.0)


def lengths_of(rows: Floats) -> Floats:
    """``[n]`` lengths of float32 rows."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        lengths: Floats = np.sqrt(np.vecdot(rows, rows))
        odd = np.flatnonzero(~((lengths > SMALL) & (lengths < 1 / SMALL)))  # their squares leave float32's range
        if len(odd):
            lengths[odd] = np.sqrt(np.einsum("ij,ij->i", rows[odd], rows[odd], dtype=np.float64))
    return lengths
