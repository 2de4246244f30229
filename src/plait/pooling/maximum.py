"""The maximum over a unit's tokens."""

from __future__ import annotations

import numpy as np

from plait.roles import Pooling
from plait.types import Floats, Ints, Tokens

SHORT = 4
"""Mean tokens of a unit up to which taking all units' i-th tokens at once beats going from unit to unit."""


class MaxPool(Pooling):
    """The largest value of each dimension over a unit's tokens. Not linear: layers are mixed before it.

    Example:
        >>> from plait.types import Tokens
        >>> one = Tokens(*(np.array(a) for a in ([5, 6], [0, 2], [0, 1], [0, 2], [0, 1], [0])))
        >>> MaxPool().pool(np.array([[1.0, 5.0], [3.0, 2.0]], np.float32), one).tolist()
        [[3.0, 5.0]]
    """

    def pool(self, values: Floats, tokens: Tokens) -> Floats:
        lengths = np.diff(tokens.bounds)
        out = np.zeros((len(lengths), values.shape[1]), np.float32)
        full = np.flatnonzero(lengths)
        if len(full) == 0:
            return out
        if len(tokens.index) <= SHORT * len(full):
            out[full] = _by_position(values, tokens.index, tokens.bounds[full], lengths[full])
            return out
        _unit_by_unit(values, tokens.index, tokens.bounds, out)
        return out


def _unit_by_unit(values: Floats, index: Ints, bounds: Ints, out: Floats) -> None:
    """Maxima of long units; one whose tokens lie side by side is read in place, without a copy."""
    jumps = np.concatenate([[0], np.cumsum(np.diff(index) != 1)])
    for unit, (start, stop) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
        if start == stop:
            continue
        side_by_side = jumps[start] == jumps[stop - 1]
        rows = values[index[start] : index[start] + stop - start] if side_by_side else values[index[start:stop]]
        np.max(rows, axis=0, out=out[unit])


def _by_position(values: Floats, index: Ints, starts: Ints, lengths: Ints) -> Floats:
    """Maxima of many short units: first tokens of all, then second tokens of those that have one, and so on."""
    order = np.argsort(-lengths, kind="stable")
    starts, lengths = starts[order], lengths[order]
    best = values[index[starts]]
    for position in range(1, int(lengths[0])):
        units = int(np.searchsorted(-lengths, -position))
        np.maximum(best[:units], values[index[starts[:units] + position]], out=best[:units])
    out = np.empty_like(best)
    out[order] = best
    return out
