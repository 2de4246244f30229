"""A rotation after which groups of dimensions share out the variance."""

from __future__ import annotations

import numpy as np

from plait.types import Floats


def balanced_rotation(rows: Floats, dims: int) -> Floats:
    """Principal directions, dealt out to groups so that the product of the variances is about the same in each.

    This is what product codes lose least with, if the vectors are Gaussian.

    Args:
        rows: ``[N, D]`` a sample, with D a multiple of ``dims``.
        dims: directions in a group.

    Returns:
        ``[D, D]`` to multiply rows with from the right.

    Source: Optimized Product Quantization, arXiv 1311.4055 (its parametric solution).

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(500, 4)) * [8, 4, 2, 1]
        >>> variance = (rows @ balanced_rotation(rows, 2)).var(axis=0).reshape(2, 2).prod(axis=1)
        >>> bool(variance.max() < 2 * variance.min())
        True
    """
    centred = rows - rows.mean(axis=0, dtype=np.float64)
    variances, directions = np.linalg.eigh(centred.T @ centred / len(rows))
    logs = np.log(np.maximum(variances, 1e-12 * max(float(variances[-1]), 1e-12)))
    groups: list[list[int]] = [[] for _ in range(rows.shape[1] // dims)]
    totals = np.zeros(len(groups))
    for direction in np.argsort(-variances, kind="stable").tolist():
        free = [number for number, members in enumerate(groups) if len(members) < dims]
        chosen = min(free, key=totals.__getitem__)
        groups[chosen].append(direction)
        totals[chosen] += logs[direction]
    out: Floats = directions[:, [direction for members in groups for direction in members]].astype(np.float32)
    return out
