"""How queries score rows: quickly for all of them, exactly for the few that may be among the best."""

from __future__ import annotations

import contextlib
import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.compression.lengths import NEARLY, SMALL, UNIT, Lengths, lengths_of
from plait.rows import Doubles
from plait.step import unit_rows
from plait.types import Floats, Ints

GROUPS = 8
"""Groups of columns, in units of k, whose maxima bound the k-th best of a block."""

SPARE = 8
"""Rows that faiss is asked for beyond k, so that those which rounding put in the wrong order are among them."""

DEEPEST = 1024
"""Rows beyond which faiss is not asked: sorting so many costs it more than the product."""

FEW = 4
"""Queries up to which one dot product after the other is quicker than numpy's product of matrices."""

_EPS = float(np.finfo(np.float32).eps)


def library() -> Any:
    """The module faiss, which multiplies and sorts in one go, or None where it is not installed."""
    try:
        return importlib.import_module("faiss")
    except ImportError:
        return None


@contextlib.contextmanager
def many_at_once(faiss: Any, queries: int) -> Iterator[None]:
    """Let faiss multiply matrices for a few queries too; by default it takes one after the other."""
    before = faiss.cvar.distance_compute_blas_threshold
    if queries > 1:
        faiss.cvar.distance_compute_blas_threshold = 1
    try:
        yield
    finally:
        faiss.cvar.distance_compute_blas_threshold = before


class Scorer(ABC):
    """How some queries score rows.

    Attributes:
        count: Q, queries.
        doubt: ``[Q]`` how far a quick score of the last block that was made ready may be from the exact one.
        viewed: whether a block is scored as it lies, without a look at its numbers before.
    """

    count: int
    doubt: Floats
    viewed: bool = False

    @abstractmethod
    def ready(self, block: NDArray[np.generic]) -> NDArray[Any]:
        """``[n, B]`` rows as ``[n, E]`` of what is scored quickly."""

    @abstractmethod
    def quick(self, queries: slice | Ints, block: NDArray[Any]) -> Floats:
        """``[q, n]`` scores of a block that was made ready."""

    @abstractmethod
    def exact(self, queries: Ints, rows: NDArray[Any]) -> Doubles:
        """``[C]`` scores of pairs of a query's number and a row as it came: no other row has a say in them."""

    def near(self, queries: slice | Ints, block: NDArray[Any], earlier: Floats, k: int) -> tuple[Ints, Ints]:
        """All that may be among the best k of this block and the ``[q, ≤ k]`` earlier scores.

        Returns:
            Places among these queries, from 0, and numbers of rows in the block.
        """
        quick = self.quick(queries, block)
        floor = np.maximum(_kth(quick, k), _kth(earlier, k)) - 2 * self.doubt[queries]
        found = np.flatnonzero(quick >= floor[:, None])
        return np.divmod(found, len(block))


class Dots(Scorer):
    """Dot products, or cosines, with what rows decode to.

    Args:
        queries: ``[Q, D]``.
        decode: ``[n, B]`` rows to ``[n, D]`` floats.
        cosine: whether length counts for nothing; a row of zeros then scores 0.
        lengths: of what all rows decode to, where that is known; otherwise each block is measured.
    """

    def __init__(
        self,
        queries: Floats,
        decode: Callable[[NDArray[Any]], Floats],
        cosine: bool = False,
        lengths: Lengths | None = None,
    ) -> None:
        self.queries = np.ascontiguousarray(unit_rows(queries) if cosine else queries, np.float32)
        self.decode, self.cosine, self.count = decode, cosine, len(queries)
        self.lengths = None if lengths is None or (cosine and lengths.spread > NEARLY) else lengths
        self._size = np.linalg.norm(self.queries, axis=1)

    def ready(self, block: NDArray[np.generic]) -> NDArray[Any]:
        rows: Floats = np.ascontiguousarray(self.decode(block), np.float32)
        lengths = self.lengths
        if lengths is None:
            each = lengths_of(rows)
            lengths = Lengths.of_all(each)
            if self.cosine and lengths.spread > NEARLY:
                rows, lengths = _scaled(rows, each, fresh=not np.may_share_memory(rows, block)), UNIT
        self.doubt = self._doubt(rows.shape[1], lengths)
        return rows

    def quick(self, queries: slice | Ints, block: NDArray[Any]) -> Floats:
        asked = self.queries[queries]
        scores: Floats = (
            np.stack([np.vecdot(block, one) for one in asked]) if 0 < len(asked) <= FEW else asked @ block.T
        )
        return scores

    def exact(self, queries: Ints, rows: NDArray[Any]) -> Doubles:
        wide = self.decode(rows).astype(np.float64)
        scores: Doubles = (wide * self.queries[queries]).sum(axis=1)
        if self.cosine:
            sizes = np.sqrt((wide * wide).sum(axis=1))
            scores /= np.where(sizes > 0, sizes, 1)
        return scores

    def near(self, queries: slice | Ints, block: NDArray[Any], earlier: Floats, k: int) -> tuple[Ints, Ints]:
        depth, asked = k + SPARE, self.queries[queries]
        faiss = library()
        if faiss is None or not len(asked) or not k <= depth < min(len(block), DEEPEST):
            return super().near(queries, block, earlier, k)
        with many_at_once(faiss, len(asked)):
            quick, columns = faiss.knn(asked, block, depth, faiss.METRIC_INNER_PRODUCT)
        floor = np.maximum(quick[:, k - 1], _kth(earlier, k)) - 2 * self.doubt[queries]
        crowded = quick[:, -1] >= floor  # more are as good as the k-th best than were asked for
        place, rank = np.nonzero((quick >= floor[:, None]) & ~crowded[:, None])
        columns = columns[place, rank]
        if crowded.any():
            some = np.flatnonzero(crowded)
            more, others = super().near(np.arange(self.count)[queries][some], block, earlier[some], k)
            place, columns = np.concatenate([place, some[more]]), np.concatenate([columns, others])
        return place, columns

    def _doubt(self, width: int, lengths: Lengths) -> Floats:
        """How far float32's product may be from the score of any row.

        Rows of almost length 1 are not brought to length 1 for the cosine. What a product owes to a row's length is
        then doubted too: of two such products, the spread counts once for the row and once for the k-th best.
        """
        rounding = _EPS * (width + 16) * lengths.longest
        both = 2 * rounding + 3 * lengths.spread if self.cosine else rounding
        return np.asarray(both * self._size, np.float32)


def _scaled(rows: Floats, lengths: Floats, fresh: bool) -> Floats:
    """Rows at length 1, in the place of the old ones where these are nobody else's."""
    if Lengths.of_all(lengths).shortest < SMALL:
        return unit_rows(rows)
    scaled: Floats = np.divide(rows, np.where(lengths > 0, lengths, 1)[:, None], out=rows if fresh else None)
    return scaled


def _kth(scores: Floats, k: int) -> Floats:
    """``[q]`` score that the k-th best of ``[q, n]`` has at least; minus infinity where there are fewer than k."""
    queries, size = scores.shape
    if size < k:
        return np.full(queries, -np.inf, np.float32)
    members = max(1, size // (GROUPS * k))
    groups = size // members
    maxima = scores[:, : groups * members].reshape(queries, members, groups).max(axis=1)
    floor: Floats = np.partition(maxima, -k, axis=1)[:, -k]
    return floor
