"""Ragged tokens as the padded arrays that an exported recipe reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plait.plan import plan_batches
from plait.types import Ints, Tokens


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


def batches(tokens: Sequence[Tokens], budget: int) -> list[Ints]:
    """Texts that are run together, by the model that reads most tokens of them.

    Args:
        tokens: of the same texts, for each model.
        budget: padded tokens of a batch.
    """
    most = max(tokens, key=lambda one: len(one.ids))
    empty = np.flatnonzero(most.lengths == 0)
    return [*plan_batches(most, budget), *([empty] if len(empty) else [])]
