"""Exact search over all rows: a quick score for each, and an exact one for the few that may be among the best.

A matrix product is quick, but its last bits depend on where a row stands in its block. What decides is a sum in float64
over the rows that come within the product's rounding error of the k-th best: equal rows get equal scores, and the order
does not depend on blocks, threads or the library that multiplies.
"""

from __future__ import annotations

import contextlib
import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.rows import Doubles
from plait.step import unit_rows
from plait.types import DataError, Floats, Ints, RecipeError

BLOCK = 16_384
"""Rows that are made ready and scored at once."""

VIEWED = 1 << 17
"""Rows scored at once where none has to be copied."""

QUERIES = 512
"""Queries scored at once."""

GROUPS = 8
"""Groups of columns, in units of k, whose maxima bound the k-th best of a block."""

SPARE = 8
"""Rows that faiss is asked for beyond k, so that those which rounding put in the wrong order are among them."""

DEEPEST = 1024
"""Rows beyond which faiss is not asked: sorting so many costs it more than the product."""

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
        copies: whether a block is copied to be made ready.
    """

    count: int
    doubt: Floats
    copies: bool = True

    @abstractmethod
    def ready(self, block: NDArray[np.generic]) -> NDArray[Any]:
        """``[n, B]`` rows as ``[n, E]`` of what is scored."""

    @abstractmethod
    def quick(self, queries: slice, block: NDArray[Any]) -> Floats:
        """``[q, n]`` scores of a block that was made ready."""

    @abstractmethod
    def exact(self, queries: Ints, rows: NDArray[Any]) -> Doubles:
        """``[C]`` scores of pairs of a query's number and a row that was made ready."""

    def near(self, queries: slice, block: NDArray[Any], earlier: Floats, k: int) -> tuple[Ints, Ints]:
        """All that may be among the best k of this block and the ``[q, ≤ k]`` earlier scores.

        Returns:
            Numbers of queries, from 0 for the first of the slice and ascending, and of rows in the block.
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
    """

    def __init__(self, queries: Floats, decode: Callable[[NDArray[Any]], Floats], cosine: bool = False) -> None:
        self.queries = np.ascontiguousarray(unit_rows(queries) if cosine else queries, np.float32)
        self.decode, self.cosine, self.count = decode, cosine, len(queries)
        self._size = np.linalg.norm(self.queries, axis=1)

    def rows(self, block: NDArray[np.generic]) -> Floats:
        """What rows decode to, at length 1 for the cosine."""
        rows: Floats = np.ascontiguousarray(self.decode(block), np.float32)
        if self.cosine:
            lengths: Floats = np.sqrt(np.einsum("ij,ij->i", rows, rows))
            rows = (rows / np.where(lengths > 0, lengths, 1)[:, None]).astype(np.float32, copy=False)
        return rows

    def ready(self, block: NDArray[np.generic]) -> NDArray[Any]:
        rows = self.rows(block)
        longest = 1.0 if self.cosine else float(np.sqrt(np.einsum("ij,ij->i", rows, rows).max(initial=0)))
        self.doubt = (_EPS * (rows.shape[1] + 16) * longest * self._size).astype(np.float32)
        return rows

    def quick(self, queries: slice, block: NDArray[Any]) -> Floats:
        scores: Floats = self.queries[queries] @ block.T
        return scores

    def exact(self, queries: Ints, rows: NDArray[Any]) -> Doubles:
        scores: Doubles = (rows.astype(np.float64) * self.queries[queries]).sum(axis=1)
        return scores

    def near(self, queries: slice, block: NDArray[Any], earlier: Floats, k: int) -> tuple[Ints, Ints]:
        depth = k + SPARE
        faiss = library()
        if faiss is None or not k <= depth < min(len(block), DEEPEST):
            return super().near(queries, block, earlier, k)
        with many_at_once(faiss, len(self.queries[queries])):
            quick, columns = faiss.knn(self.queries[queries], block, depth, faiss.METRIC_INNER_PRODUCT)
        floor = np.maximum(quick[:, k - 1], _kth(earlier, k)) - 2 * self.doubt[queries]
        if (quick[:, -1] >= floor).any():  # more are as good as the k-th best than were asked for
            return super().near(queries, block, earlier, k)
        place, rank = np.nonzero(quick >= floor[:, None])
        return place, columns[place, rank]


def best_rows(scorer: Scorer, rows: NDArray[np.generic], k: int) -> tuple[Ints, Floats]:
    """The ``k`` best rows of each query.

    Args:
        scorer: the queries, and how they score.
        rows: ``[N, B]`` vectors or codes; may be memory-mapped, and is looked at block by block.
        k: how many; with fewer than k rows all of them come back.

    Returns:
        ``[Q, min(k, N)]`` numbers and float32 scores, best first; of equal scores the lower number comes first.
    """
    k = min(k, len(rows))
    numbers, scores = np.zeros((scorer.count, 0), np.int64), np.zeros((scorer.count, 0), np.float32)
    size = BLOCK if scorer.copies else VIEWED
    for start in range(0, len(rows), size):
        block = scorer.ready(np.asarray(rows[start : start + size]))
        kept = min(k, start + len(block))
        merged = np.empty((scorer.count, kept), np.int64), np.empty((scorer.count, kept), np.float32)
        for first in range(0, scorer.count, QUERIES):
            part = slice(first, first + QUERIES)
            place, columns = scorer.near(part, block, scores[part], k)
            exact = np.empty(len(place), np.float32)
            for cut in range(0, len(place), BLOCK):
                some = slice(cut, cut + BLOCK)
                exact[some] = scorer.exact(place[some] + first, block[columns[some]])
            merged[0][part], merged[1][part] = _merge(numbers[part], scores[part], place, columns + start, exact, kept)
        numbers, scores = merged
    return numbers, scores


def nearest_vectors(
    queries: ArrayLike, vectors: NDArray[np.floating], k: int, cosine: bool = True
) -> tuple[Ints, Floats]:
    """The ``k`` nearest vectors of each query, by an exact search over all of them.

    Args:
        queries: ``[Q, D]``.
        vectors: ``[N, D]`` floats; may be memory-mapped.
        k: how many; with fewer than k vectors all of them come back.
        cosine: rank by the cosine, or else by the dot product, which is quicker for vectors of length 1.

    Returns:
        ``[Q, min(k, N)]`` numbers and float32 scores, best first; of equal scores the lower number comes first.

    Raises:
        RecipeError: if ``k`` is below 1.
        DataError: if the two are not matrices of one width, or a query is not finite.

    Example:
        >>> nearest_vectors(np.eye(3)[1:2], np.eye(3, dtype=np.float32), k=1)[0].tolist()
        [[1]]
    """
    if k < 1:
        raise RecipeError(f"k is {k}; expected how many results to return, 1 or more")
    asked = np.asarray(queries, np.float32)
    if asked.ndim != 2 or vectors.ndim != 2 or asked.shape[1] != vectors.shape[1]:
        raise DataError(f"queries {asked.shape} and vectors {vectors.shape} are no [Q, D] and [N, D] of one D")
    if not np.isfinite(asked).all():
        raise DataError("a query holds NaN or infinity: look for an empty input or a damaged model")
    scorer = Dots(asked, _as_floats, cosine)
    scorer.copies = cosine or vectors.dtype != np.float32 or not vectors.flags.c_contiguous
    return best_rows(scorer, vectors, k)


def rescored(
    queries: Floats, numbers: Ints, vectors: NDArray[np.floating], k: int, cosine: bool = True
) -> tuple[Ints, Floats]:
    """The best of what a search over codes found, by the vectors that the codes were made from.

    Of the vectors, which may be memory-mapped, only those that were found are read: bits to find a few hundred and
    floats to rank them scan a thirtieth of the bytes of a search over floats.

    Args:
        queries: ``[Q, D]``.
        numbers: ``[Q, C]`` rows that the first search found.
        vectors: ``[N, D]`` floats.
        k: how many of the C to keep.
        cosine: as in `nearest_vectors`.

    Returns:
        ``[Q, min(k, C)]`` numbers and float32 scores, best first; of equal scores the lower number comes first.

    Example:
        >>> rescored(np.ones((1, 2)), np.array([[0, 2]]), np.array([[1, 0], [1, 1], [1, 0.5]]), k=1)[0].tolist()
        [[2]]
    """
    return best_found(Dots(np.asarray(queries, np.float32), _as_floats, cosine), numbers, vectors, k)


def best_found(scorer: Scorer, numbers: Ints, rows: NDArray[np.generic], k: int) -> tuple[Ints, Floats]:
    """The k best of ``[Q, C]`` row numbers by their exact scores; as `best_rows`, over those alone."""
    scores = np.empty(numbers.shape, np.float32)
    for query, found in enumerate(numbers):
        scores[query] = scorer.exact(np.full(len(found), query), scorer.ready(np.asarray(rows[found])))
    return best_of(numbers, scores, k)


def best_of(numbers: Ints, scores: Floats, k: int) -> tuple[Ints, Floats]:
    """The k best of each row of candidates, the lower number first among equals."""
    order = np.lexsort((numbers, -scores))[:, :k]
    return np.take_along_axis(numbers, order, axis=1), np.take_along_axis(scores, order, axis=1)


def _as_floats(block: NDArray[Any]) -> Floats:
    return np.asarray(block, np.float32)


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


def _merge(numbers: Ints, scores: Floats, rows: Ints, columns: Ints, exact: Floats, kept: int) -> tuple[Ints, Floats]:
    """The best ``kept`` of each row from the earlier ones and the new (row, number, score) triples."""
    count, had = numbers.shape
    all_rows = np.concatenate([np.repeat(np.arange(count), had), rows])
    all_numbers = np.concatenate([numbers.ravel(), columns])
    all_scores = np.concatenate([scores.ravel(), exact])
    order = np.lexsort((all_numbers, -all_scores, all_rows))
    starts = np.searchsorted(all_rows[order], np.arange(count))
    chosen = order[starts[:, None] + np.arange(kept)]
    return all_numbers[chosen], all_scores[chosen]
