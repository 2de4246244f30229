"""Ragged tokens as the padded arrays that an exported recipe reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plait.types import Tokens


def padded(tokens: Tokens) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``[N, L]`` ids, which of them are real, and which are pooled; L is at least 1.

    Example:
        >>> two = Tokens(*(np.array(a) for a in ([5, 6, 7], [0, 2, 3], [0, 2], [0, 1, 2], [0, 1, 2], [0, 0])))
        >>> [array.astype(int).tolist() for array in padded(two)]
        [[[5, 6], [7, 0]], [[1, 1], [1, 0]], [[1, 0], [1, 0]]]
    """
    lengths = tokens.lengths
    mask = np.arange(max(1, int(lengths.max(initial=0)))) < lengths[:, None]
    ids = np.zeros(mask.shape, np.int64)
    ids[mask] = tokens.ids
    flat = np.zeros(len(tokens.ids), bool)
    flat[tokens.index] = True
    pooled = np.zeros(mask.shape, bool)
    pooled[mask] = flat
    return ids, mask, pooled


def batches(lengths: Sequence[int] | np.ndarray, budget: int) -> list[np.ndarray]:
    """Rows by length, cut into batches of at most ``budget`` padded tokens (or of one row).

    >>> [batch.tolist() for batch in batches([5, 1, 2], 4)]
    [[1, 2], [0]]
    """
    order = np.argsort(lengths, kind="stable")
    found: list[list[int]] = []
    for row in order.tolist():
        if found and (len(found[-1]) + 1) * max(1, int(lengths[row])) <= budget:
            found[-1].append(row)
        else:
            found.append([row])
    return [np.array(rows) for rows in found]
