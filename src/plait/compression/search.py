"""Exact search over codes, by float queries, and similarity of pairs of codes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.roles import Quantiser
from plait.rows import checked
from plait.types import DataError, Floats, Ints, RecipeError

BLOCK = 8192
"""Pairs of codes that are turned to float at once."""


def search_codes(
    queries: ArrayLike,
    codes: NDArray[np.int8] | NDArray[np.uint8],
    quantiser: Quantiser,
    k: int,
    cosine: bool = False,
) -> tuple[Ints, Floats]:
    """The ``k`` best codes of each query, by an exact search over all of them.

    Queries stay float: only the corpus lost precision. Int8 and product codes are scored by the dot product of the
    query with what they decode to. Binary codes are first sorted by Hamming distance; of the nearest
    ``k * quantiser.rescore`` the query's dot product with the ±1 vectors decides. With ``rescore=0`` the score is the
    similarity ``1 - 2 * distance / D``. Residual binary codes are compared with the query's own code.

    Args:
        queries: ``[Q, D]`` floats, made by the recipe without its last step.
        codes: ``[N, B]`` as the quantiser gives them; may be memory-mapped, and is never turned to float as a whole.
        quantiser: the fitted step that made the codes.
        k: how many; with fewer than k codes all of them come back.
        cosine: rank by the cosine with what the codes decode to, for vectors that differ in length.

    Returns:
        ``[Q, min(k, N)]`` numbers and float32 scores, best first; of equal scores the lower number comes first.

    Raises:
        RecipeError: if ``k`` is below 1, or the quantiser is not fitted.
        DataError: if queries or codes have another width than the quantiser's.

    Example:
        >>> from plait import Int8
        >>> X = np.eye(4, dtype=np.float32)
        >>> int8 = Int8().fit(X)
        >>> search_codes(X[2:3], int8.transform(X), int8, k=1)[0].tolist()
        [[2]]
    """
    if k < 1:
        raise RecipeError(f"k is {k}; expected how many results to return, 1 or more")
    width = quantiser.fitted_width
    rows = checked(queries, quantiser, width)
    if codes.ndim != 2 or codes.shape[1] != quantiser.nbytes(width):
        raise DataError(f"codes of {quantiser} have shape [N, {quantiser.nbytes(width)}]; got {codes.shape}")
    return quantiser.search(rows.astype(np.float32, copy=False), codes, min(k, len(codes)), cosine)


def pair_similarity(
    a_codes: NDArray[np.int8] | NDArray[np.uint8], b_codes: NDArray[np.int8] | NDArray[np.uint8], quantiser: Quantiser
) -> Floats:
    """Similarity of two arrays of codes, row by row.

    Args:
        a_codes: ``[N, B]``.
        b_codes: ``[N, B]``.
        quantiser: the fitted step that made both.

    Returns:
        ``[N]`` from -1 to 1: for binary codes ``1 - 2 * Hamming distance / D``, for residual binary codes their cosine,
        for others the cosine of the decoded vectors (0 where one of them has no length).

    Raises:
        DataError: if the two differ in shape.

    Example:
        >>> from plait import Binary
        >>> binary = Binary().fit(np.zeros((1, 4)))
        >>> pair_similarity(np.array([[0b11110000]], np.uint8), np.array([[0b11100000]], np.uint8), binary).tolist()
        [0.5]
    """
    if a_codes.shape != b_codes.shape or a_codes.ndim != 2:
        raise DataError(f"pairs need two [N, B] arrays of one shape; got {a_codes.shape} and {b_codes.shape}")
    out = np.zeros(len(a_codes), np.float32)
    for start in range(0, len(a_codes), BLOCK):
        block = slice(start, start + BLOCK)
        out[block] = quantiser.similarity(a_codes[block], b_codes[block])
    return out
