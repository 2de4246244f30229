"""Poolings that take one token of each unit."""

from __future__ import annotations

import numpy as np

from plait.roles import LinearPooling
from plait.types import Floats, Ints, Tokens


class ClsPool(LinearPooling):
    """The first token of each unit: [CLS] of a text in BERT-like encoders, the first piece of a word in tagging.

    Example:
        >>> from plait.types import Tokens
        >>> one = Tokens(*(np.array(a) for a in ([5, 6, 7], [0, 3], [0, 1, 2], [0, 3], [0, 1], [0])))
        >>> ClsPool().weights(one).tolist()
        [1.0, 0.0, 0.0]
    """

    def weights(self, tokens: Tokens) -> Floats:
        return _one_hot(tokens, tokens.bounds[:-1])


class LastPool(LinearPooling):
    """The last token of each unit: the one that has seen the whole text in a decoder.

    Example:
        >>> from plait.types import Tokens
        >>> one = Tokens(*(np.array(a) for a in ([5, 6, 7], [0, 3], [0, 1, 2], [0, 3], [0, 1], [0])))
        >>> LastPool().weights(one).tolist()
        [0.0, 0.0, 1.0]
    """

    def weights(self, tokens: Tokens) -> Floats:
        return _one_hot(tokens, tokens.bounds[1:] - 1)


def _one_hot(tokens: Tokens, entries: Ints) -> Floats:
    """Weight 1 at the given entry of each unit that has tokens."""
    weights = np.zeros(len(tokens.index), np.float32)
    weights[entries[np.diff(tokens.bounds) > 0]] = 1
    return weights
