"""What an evaluation sees of a recipe: the vectors of a task's items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plait.step import unit_rows
from plait.types import DataError, Floats, Ints, ranges


@dataclass(frozen=True, eq=False)
class Embedded:
    """Vectors of a task, row by row as ``task.documents`` and ``task.queries`` stand.

    Attributes:
        documents: ``[U, D]``; one row a document, one a word where documents are tuples of words, or one a chunk.
        queries: ``[Q, D]``; only in retrieval.
        units: ``[N + 1]``; document ``n`` owns rows ``units[n]:units[n + 1]``. None when each has one row.

    Raises:
        DataError: if a vector holds a number that is not finite.

    Example:
        >>> a, b = Embedded(np.eye(2, dtype=np.float32)), Embedded(np.full((2, 1), 3, np.float32))
        >>> Embedded.concat([a, b], [1, 0.5]).documents.tolist()
        [[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]]
    """

    documents: Floats
    queries: Floats | None = None
    units: Ints | None = None

    def __post_init__(self) -> None:
        _check("document", self.documents)
        if self.queries is not None:
            _check("query", self.queries)

    @classmethod
    def concat(cls, blocks: Sequence[Embedded], weights: Sequence[float] | NDArray[np.float64]) -> Embedded:
        """The blocks side by side, each L2-normalised and then weighted.

        Args:
            blocks: of the same items.
            weights: one a block; a block of weight 0 is left out.
        """
        parts = [(block, np.float32(weight)) for block, weight in zip(blocks, weights, strict=True) if weight]
        if not parts:
            raise DataError("every block has weight 0: nothing is left to concatenate")
        same_units([block for block, _ in parts])
        documents = np.hstack([weight * unit_rows(block.documents) for block, weight in parts])
        queries = [weight * unit_rows(block.queries) for block, weight in parts if block.queries is not None]
        return cls(documents, np.hstack(queries) if queries else None, parts[0][0].units)

    def of(self, rows: Ints) -> Floats:
        """Vectors of these documents: one row each, or (documents of words) one row for each of their words."""
        if self.units is None:
            return self.documents[rows]
        return self.documents[ranges(self.units[rows], self.units[rows + 1])]


def same_units(blocks: Sequence[Embedded]) -> None:
    """Refuse blocks whose rows stand for different parts of the documents."""
    first = blocks[0].units
    for other in (block.units for block in blocks[1:]):
        if other is not first and (first is None or other is None or not np.array_equal(first, other)):
            raise DataError("blocks cut the documents into different chunks: they cannot stand side by side")


def _check(what: str, values: Floats) -> None:
    if values.ndim != 2:
        raise DataError(f"{what} vectors have shape {values.shape}; expected [rows, dimensions]")
    with np.errstate(invalid="ignore"):
        total = values.sum(dtype=np.float64)
    if not np.isfinite(total):
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(bad):
            raise DataError(f"{len(bad)} {what} vectors hold NaN or infinity, the first in row {bad[0]}")
