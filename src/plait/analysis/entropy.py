"""Entropy of a matrix's spectrum: over how many directions its rows spread."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.types import DataError

NORMALIZATIONS = ("max", "rows", "dims", "none")


def matrix_entropy(Z: ArrayLike, alpha: float = 1.0, normalization: str = "max") -> float:
    """Rényi entropy of the spectrum of ``Z Zᵀ``, rows at length 1: 0 when all rows are one direction.

    Args:
        Z: ``[N, D]`` vectors. Rows are brought to length 1 first; a row of zeros takes no part.
        alpha: order of the entropy, above 0; 1, the default, is Shannon's, as in the published figures.
        normalization: what the entropy in nats is divided by: "max" by the largest that the shape allows,
            log min(N, D), so that 1 is an even spread; "rows" by log N; "dims" by log D; "none" by nothing.

    Raises:
        DataError: for anything else than a finite matrix with a row, or an option that is not there.

    Example:
        >>> round(matrix_entropy(np.eye(5)), 6), matrix_entropy(np.ones((5, 3)))
        (1.0, 0.0)

    Source: Layer by Layer: Uncovering Hidden Representations in Language Models, arXiv 2502.02013.
    """
    unit = unit_matrix(Z)
    rows, dims = unit.shape
    gram = unit @ unit.T if rows <= dims else unit.T @ unit
    return normalized(spectrum_entropy(np.linalg.eigvalsh(gram), alpha), rows, dims, normalization)


def prompt_entropy(
    values: ArrayLike, offsets: ArrayLike | None = None, alpha: float = 1.0, normalization: str = "rows"
) -> float:
    """Mean over texts of the entropy of a text's own token states: low where a layer compresses within texts.

    Args:
        values: ``[T, D]`` token states of all texts, one after the other, without a decoder's first token: its norm
            dwarfs all others.
        offsets: ``[N + 1]``; text n owns the rows ``offsets[n]:offsets[n + 1]``. None takes all rows as one text.
            Texts of fewer than two tokens are left out.
        alpha: as in `matrix_entropy`.
        normalization: as in `matrix_entropy`. The default divides by the log of a text's number of tokens, because a
            long text has a high entropy for its length alone.

    Raises:
        DataError: if no text has two tokens, and as in `matrix_entropy`.

    Example:
        >>> prompt_entropy([[1, 0], [0, 1], [1, 1], [1, 1]], offsets=[0, 2, 4])
        0.5
    """
    states = np.asarray(values)
    bounds = np.array([0, len(states)]) if offsets is None else np.asarray(offsets)
    found = [
        matrix_entropy(states[start:end], alpha, normalization) for start, end in pairwise(bounds) if end - start > 1
    ]
    if not found:
        raise DataError(f"none of {len(bounds) - 1} texts has two tokens; give longer texts")
    return float(np.mean(found))


def spectrum_entropy(spectrum: ArrayLike, alpha: float = 1.0) -> float:
    """Rényi entropy in nats of non-negative numbers, brought to sum 1; rounding below 0 counts as 0.

    Raises:
        DataError: if ``alpha`` is not above 0.
    """
    if not alpha > 0:
        raise DataError(f"alpha is {alpha}; the order of an entropy must be above 0")
    weights = np.maximum(np.asarray(spectrum, np.float64), 0)
    total = weights.sum()
    if total == 0:
        return 0.0
    share = weights[weights > total * 1e-15] / total
    if alpha == 1:
        return max(0.0, float(-(share * np.log(share)).sum()))
    return max(0.0, float(np.log((share**alpha).sum()) / (1 - alpha)))


def normalized(entropy: float, rows: int, dims: int, normalization: str) -> float:
    """The entropy, divided by what ``normalization`` names; 0 where only one direction is possible."""
    if normalization not in NORMALIZATIONS:
        raise DataError(f"normalization is {normalization!r}; expected one of {', '.join(NORMALIZATIONS)}")
    if normalization == "none":
        return entropy
    count = {"max": min(rows, dims), "rows": rows, "dims": dims}[normalization]
    return entropy / float(np.log(count)) if count > 1 else 0.0


def unit_matrix(Z: ArrayLike) -> NDArray[np.float64]:
    """``[N, D]`` rows at length 1, in float64.

    Raises:
        DataError: for anything else than a finite matrix with a row.
    """
    matrix = np.asarray(Z, np.float64)
    if matrix.ndim != 2 or not matrix.size:
        raise DataError(f"got an array of shape {matrix.shape}; expected [N, D] with at least one row")
    if not np.isfinite(matrix).all():
        raise DataError("vectors hold NaN or infinity: look for empty inputs or a damaged model")
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix / np.where(lengths > 0, lengths, 1))
