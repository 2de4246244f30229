"""The path that the states of a text's tokens take: how sharply it turns."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from plait.types import DataError

MODES = ("differences", "states")


def curvature(Z: ArrayLike, mode: str = "differences") -> float:
    """Mean angle, in radians, by which the path from token to token turns: 0 for a straight line.

    Args:
        Z: ``[T, D]`` states of one text's tokens, in order, without a decoder's first token.
        mode: "differences" measures the angle between consecutive steps ``z[k + 1] − z[k]``, as the paper defines it;
            "states" that between consecutive states, as its released code does. A step (or state) of length 0 has no
            direction and is passed over.

    Returns:
        0 to π; 0 as well where there are too few tokens for any angle (three, or two for states).

    Raises:
        DataError: for anything else than a finite ``[T, D]`` array, or a mode that is not there.

    Example:
        >>> curvature([[0, 0], [1, 1], [2, 2], [3, 3]]) < 1e-3
        True
        >>> round(curvature([[0, 0], [1, 0], [1, 1]]), 4)
        1.5708

    Source: Layer by Layer: Uncovering Hidden Representations in Language Models, arXiv 2502.02013.
    """
    if mode not in MODES:
        raise DataError(f"mode is {mode!r}; expected one of {', '.join(MODES)}")
    states = np.asarray(Z, np.float64)
    if states.ndim != 2 or not np.isfinite(states).all():
        raise DataError(f"got an array of shape {states.shape}; expected [T, D] finite states of one text")
    steps = np.diff(states, axis=0) if mode == "differences" else states
    lengths = np.linalg.norm(steps, axis=1)
    steps, lengths = steps[lengths > 0], lengths[lengths > 0]
    if len(steps) < 2:
        return 0.0
    cosine = np.einsum("td,td->t", steps[1:], steps[:-1]) / (lengths[1:] * lengths[:-1])
    return float(np.arccos(np.clip(cosine, -1 + 1e-7, 1 - 1e-7)).mean())
