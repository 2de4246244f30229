"""Exact search over all rows: a quick score for each, and an exact one for the few that may be among the best.

A matrix product is quick, but its last bits depend on where a row stands in its block. What decides is a sum in float64
over the rows that come within the product's rounding error of the k-th best: equal rows get equal scores, and the order
does not depend on blocks, threads or the library that multiplies.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.compression.lengths import Lengths
from plait.compression.scoring import Dots, Scorer, library
from plait.types import DataError, Floats, Ints, RecipeError

BLOCK = 16_384
"""Rows that are made ready and scored at once."""

VIEWED = 1 << 17
"""Rows scored at once where they are scored as they lie."""

SCORES = 1 << 23
"""Scores at once up to which numpy is quickest over as many rows; faiss keeps few of them."""

QUERIES = 512
"""Queries scored at once."""

EXACT = 512
"""Pairs scored exactly at once: in float64 they stay in a processor's cache."""


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
    size = VIEWED if scorer.viewed else BLOCK
    for start in range(0, len(rows), size):
        block = scorer.ready(np.asarray(rows[start : start + size]))
        kept = min(k, start + len(block))
        merged = np.empty((scorer.count, kept), np.int64), np.empty((scorer.count, kept), np.float32)
        for first in range(0, scorer.count, QUERIES):
            part = slice(first, first + QUERIES)
            place, columns = scorer.near(part, block, scores[part], k)
            exact = np.empty(len(place), np.float32)
            columns += start
            for cut in range(0, len(place), EXACT):
                some = slice(cut, cut + EXACT)
                exact[some] = scorer.exact(place[some] + first, np.asarray(rows[columns[some]]))
            merged[0][part], merged[1][part] = _merge(numbers[part], scores[part], place, columns, exact, kept)
        numbers, scores = merged
    return numbers, scores


def nearest_vectors(
    queries: ArrayLike,
    vectors: NDArray[np.floating],
    k: int,
    cosine: bool = True,
    lengths: Lengths | None = None,
) -> tuple[Ints, Floats]:
    """The ``k`` nearest vectors of each query, by an exact search over all of them.

    Args:
        queries: ``[Q, D]``.
        vectors: ``[N, D]`` floats; may be memory-mapped.
        k: how many; with fewer than k vectors all of them come back.
        cosine: rank by the cosine, or else by the dot product. Both are as quick for vectors of almost length 1; others
            are copied at length 1, block by block.
        lengths: ``Lengths.of(vectors)``, for vectors that are searched more than once: a search for one query then
            takes half the time. None measures them.

    Returns:
        ``[Q, min(k, N)]`` numbers and float32 scores, best first; of equal scores the lower number comes first.

    Raises:
        RecipeError: if ``k`` is below 1.
        DataError: if the two are not matrices of one width, or a query or a vector is not finite.

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
    scorer = Dots(asked, _as_floats, cosine, lengths)
    as_they_lie = scorer.lengths is not None and vectors.dtype == np.float32 and vectors.flags.c_contiguous
    scorer.viewed = as_they_lie and (library() is not None or min(len(asked), QUERIES) * VIEWED <= SCORES)
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
        scores[query] = scorer.exact(np.full(len(found), query), np.asarray(rows[found]))
    return best_of(numbers, scores, k)


def best_of(numbers: Ints, scores: Floats, k: int) -> tuple[Ints, Floats]:
    """The k best of each row of candidates, the lower number first among equals."""
    order = np.lexsort((numbers, -scores))[:, :k]
    return np.take_along_axis(numbers, order, axis=1), np.take_along_axis(scores, order, axis=1)


def _as_floats(block: NDArray[Any]) -> Floats:
    return np.asarray(block, np.float32)


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
