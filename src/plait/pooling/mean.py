"""Means over a unit's tokens: plain, and weighted by position."""

from __future__ import annotations

import numpy as np

from plait.roles import LinearPooling
from plait.types import Floats, Tokens


class MeanPool(LinearPooling):
    """The plain mean of a unit's token states.

    Whatever the encoder lets a unit name is averaged, the specials around a text included; a decoder's first token is
    never among them.

    Example:
        >>> from plait.types import Tokens
        >>> two = Tokens(*(np.array(a) for a in ([5, 6, 7], [0, 2, 3], [0, 1, 2], [0, 2, 3], [0, 1, 2], [0, 0])))
        >>> MeanPool().pool(np.array([[1.0], [3.0], [5.0]], np.float32), two).tolist()
        [[2.0], [5.0]]
    """

    def weights(self, tokens: Tokens) -> Floats:
        lengths = np.diff(tokens.bounds)
        return np.repeat(np.float32(1) / np.maximum(lengths, 1).astype(np.float32), lengths)


class WeightedMeanPool(LinearPooling):
    """A mean in which the i-th token of a unit, counted from 1, weighs i.

    In a decoder the later tokens have seen more of the text. For an encoder that sees both sides use `MeanPool`.

    Source: SGPT: GPT Sentence Embeddings for Semantic Search, arXiv 2202.08904.

    Example:
        >>> from plait.types import Tokens
        >>> one = Tokens(*(np.array(a) for a in ([5, 6, 7], [0, 3], [0, 1, 2], [0, 3], [0, 1], [0])))
        >>> (6 * WeightedMeanPool().weights(one)).tolist()
        [1.0, 2.0, 3.0]
    """

    def weights(self, tokens: Tokens) -> Floats:
        lengths = np.diff(tokens.bounds)
        position = np.arange(1, len(tokens.index) + 1) - np.repeat(tokens.bounds[:-1], lengths)
        totals = np.repeat(lengths * (lengths + 1) / 2, lengths)
        weights: Floats = (position / totals).astype(np.float32)
        return weights
