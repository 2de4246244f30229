"""Exact search over codes, by float queries, and similarity of pairs of codes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.compression.binary import Binary
from plait.compression.hamming import nearest
from plait.compression.int8 import Int8
from plait.roles import Quantiser
from plait.rows import checked, learned
from plait.types import DataError, Floats, Ints, RecipeError

BLOCK = 8192
"""Codes that are turned to float at once."""

QUERIES = 256
"""Queries scored at once."""


def search_codes(
    queries: ArrayLike, codes: NDArray[np.int8] | NDArray[np.uint8], quantiser: Quantiser, k: int
) -> tuple[Ints, Floats]:
    """The ``k`` best codes of each query, by an exact search over all of them.

    Queries stay float: only the corpus lost precision. Int8 codes are scored by their dot product with the query.
    Binary codes are first sorted by Hamming distance; of the nearest ``k * quantiser.rescore`` the query's dot product
    with the ±1 vectors decides. With ``rescore=0`` the score is the similarity ``1 - 2 * distance / D``.

    Args:
        queries: ``[Q, D]`` floats, made by the recipe without its last step.
        codes: ``[N, B]`` as the quantiser gives them; may be memory-mapped, and is never turned to float as a whole.
        quantiser: the fitted step that made the codes.
        k: how many; with fewer than k codes all of them come back.

    Returns:
        ``[Q, min(k, N)]`` numbers and float32 scores, best first; of equal scores the lower number comes first.

    Raises:
        RecipeError: if ``k`` is below 1, or the quantiser is not fitted or of a kind that cannot be searched.
        DataError: if queries or codes have another width than the quantiser's.

    Example:
        >>> X = np.eye(4, dtype=np.float32)
        >>> int8 = Int8().fit(X)
        >>> search_codes(X[2:3], int8.transform(X), int8, k=1)[0].tolist()
        [[2]]
    """
    if k < 1:
        raise RecipeError(f"k is {k}; expected how many results to return, 1 or more")
    k = min(k, len(codes))
    if isinstance(quantiser, Int8):
        rows = _checked_queries(queries, codes, quantiser, len(learned(quantiser, "low_")))
        return _search_int8(rows, codes, quantiser, k)
    if isinstance(quantiser, Binary):
        rows = _checked_queries(queries, codes, quantiser, _width(quantiser))
        return _search_binary(rows, codes, quantiser, k)
    raise RecipeError(f"codes of {quantiser} cannot be searched; expected Int8 or Binary")


def pair_similarity(
    a_codes: NDArray[np.int8] | NDArray[np.uint8], b_codes: NDArray[np.int8] | NDArray[np.uint8], quantiser: Quantiser
) -> Floats:
    """Similarity of two arrays of codes, row by row.

    Args:
        a_codes: ``[N, B]``.
        b_codes: ``[N, B]``.
        quantiser: the fitted step that made both.

    Returns:
        ``[N]`` from -1 to 1: for binary codes ``1 - 2 * Hamming distance / D``, for others the cosine of the decoded
        vectors (0 where one of them has no length).

    Raises:
        DataError: if the two differ in shape.

    Example:
        >>> binary = Binary().fit(np.zeros((1, 4)))
        >>> pair_similarity(np.array([[0b11110000]], np.uint8), np.array([[0b11100000]], np.uint8), binary).tolist()
        [0.5]
    """
    if a_codes.shape != b_codes.shape or a_codes.ndim != 2:
        raise DataError(f"pairs need two [N, B] arrays of one shape; got {a_codes.shape} and {b_codes.shape}")
    if isinstance(quantiser, Binary):
        differing = np.bitwise_count(a_codes ^ b_codes).sum(axis=1, dtype=np.int64)
        similarity: Floats = (1 - 2 * differing / _width(quantiser)).astype(np.float32)
        return similarity
    out = np.zeros(len(a_codes), np.float32)
    for start in range(0, len(a_codes), BLOCK):
        block = slice(start, start + BLOCK)
        a, b = (quantiser.inverse_transform(codes[block]).astype(np.float64) for codes in (a_codes, b_codes))
        lengths = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
        np.divide((a * b).sum(axis=1), lengths, out=out[block], where=lengths > 0, casting="same_kind")
    return out


def _width(quantiser: Binary) -> int:
    width: int | None = vars(quantiser).get("width_")
    if width is None:
        raise RecipeError(f"{quantiser} has seen no vectors yet and cannot tell how wide they are; fit it first")
    return width


def _checked_queries(queries: ArrayLike, codes: NDArray[np.generic], quantiser: Quantiser, width: int) -> Floats:
    rows = checked(queries, quantiser, width)
    if codes.ndim != 2 or codes.shape[1] != quantiser.nbytes(width):
        raise DataError(f"codes of {quantiser} have shape [N, {quantiser.nbytes(width)}]; got {codes.shape}")
    return rows.astype(np.float32, copy=False)


def _search_binary(queries: Floats, codes: NDArray[np.generic], quantiser: Binary, k: int) -> tuple[Ints, Floats]:
    width = _width(quantiser)
    packed = codes.view(np.uint8)
    found = min(k * max(quantiser.rescore, 1), len(codes))
    numbers, distance = nearest(np.packbits(queries > 0, axis=1), packed, found)
    if quantiser.rescore == 0:
        return numbers, (1 - 2 * distance / width).astype(np.float32)
    scores = np.empty(numbers.shape, np.float32)
    for row, query in enumerate(queries):
        scores[row] = _dots(query[None], quantiser.inverse_transform(packed[numbers[row]]))
    return _best(numbers, scores, k)


def _search_int8(queries: Floats, codes: NDArray[np.generic], quantiser: Int8, k: int) -> tuple[Ints, Floats]:
    """Score blocks with one matrix product, then the few codes that may be among the best again, and exactly.

    The product's last bits depend on where a code stands in its block. What decides is therefore a sum that gives
    equal codes equal scores, over all codes that come within the product's rounding error of the k-th best.
    """
    scaled = queries * quantiser.step_
    constant = queries.astype(np.float64) @ (quantiser.low_ + 128.0 * quantiser.step_)
    doubt = np.finfo(np.float32).eps * (256 * queries.shape[1] * np.abs(scaled).sum(axis=1) + 4 * np.abs(constant))
    numbers = np.zeros((len(queries), 0), np.int64)
    scores = np.zeros((len(queries), 0), np.float32)
    for start in range(0, len(codes), BLOCK):
        block = np.asarray(codes[start : start + BLOCK], np.float32)
        kept = min(k, start + len(block))
        merged = np.empty((len(queries), kept), np.int64), np.empty((len(queries), kept), np.float32)
        for first in range(0, len(queries), QUERIES):
            part = slice(first, first + QUERIES)
            rough = scaled[part] @ block.T
            floor = _floor(rough, scores[part] - constant[part, None], k) - doubt[part]
            rows, columns = np.nonzero(rough >= floor[:, None])
            exact = np.empty(len(rows), np.float32)
            for cut in range(0, len(rows), BLOCK):
                some = slice(cut, cut + BLOCK)
                exact[some] = _dots(scaled[part][rows[some]], block[columns[some]]) + constant[part][rows[some]]
            merged[0][part], merged[1][part] = _merge(numbers[part], scores[part], rows, columns + start, exact, kept)
        numbers, scores = merged
    return numbers, scores


def _floor(rough: Floats, earlier: NDArray[np.floating], k: int) -> Floats:
    """``[Q]`` score that a code must reach to be among the best k of this block and the earlier ones."""
    floor = np.full(len(rough), -np.inf, np.float32)
    if rough.shape[1] > k:
        floor = np.partition(rough, -k, axis=1)[:, -k]
    return np.maximum(floor, earlier.min(axis=1).astype(np.float32)) if earlier.shape[1] == k else floor


def _dots(a: Floats, b: Floats) -> NDArray[np.float64]:
    """Row-wise dot products in float64; the same rows give the same number wherever they stand."""
    dots: NDArray[np.float64] = (a.astype(np.float64) * b).sum(axis=1)
    return dots


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


def _best(numbers: Ints, scores: Floats, k: int) -> tuple[Ints, Floats]:
    """The k best of each row, the lower number first among equals."""
    order = np.lexsort((numbers, -scores))[:, :k]
    return np.take_along_axis(numbers, order, axis=1), np.take_along_axis(scores, order, axis=1)
