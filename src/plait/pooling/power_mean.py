"""Power means of a unit's tokens, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from plait.pooling.maximum import MaxPool
from plait.pooling.mean import MeanPool
from plait.roles import Pooling
from plait.types import Floats, RecipeError, Tokens


class PowerMeanPool(Pooling):
    """Several power means over a unit's tokens, dimension by dimension, one after the other in one vector.

    The mean of power p is ``(mean x^p)^(1/p)``: the plain mean for 1, the smallest value for -inf, the largest for inf.
    The vector is as many times wider than a token as there are powers. Not linear: layers are mixed before it.

    Args:
        powers: -inf, inf, or odd whole numbers above 0 (an even power, or a fraction, has no real root for values below
            0). The default keeps the range of the tokens beside their mean.

    Raises:
        RecipeError: if there is no power, or one of another kind.

    Source: Concatenated Power Mean Word Embeddings as Universal Cross-Lingual Sentence Representations,
    arXiv 1803.01400.

    Example:
        >>> from plait.types import Tokens
        >>> one = Tokens(*(np.array(a) for a in ([5, 6], [0, 2], [0, 1], [0, 2], [0, 1], [0])))
        >>> PowerMeanPool().pool(np.array([[1.0, 5.0], [3.0, 2.0]], np.float32), one).tolist()
        [[1.0, 2.0, 2.0, 3.5, 3.0, 5.0]]
    """

    def __init__(self, powers: Sequence[float] = (-math.inf, 1, math.inf)) -> None:
        self.powers = powers
        if not powers or not all(math.isinf(p) or (p > 0 and p % 2 == 1) for p in powers):
            raise RecipeError(f"powers are {list(powers)}; expected -inf, inf or odd whole numbers above 0")

    def width(self, dim: int) -> int:
        return len(self.powers) * dim

    def pool(self, values: Floats, tokens: Tokens) -> Floats:
        return np.hstack([_mean(values, tokens, power) for power in self.powers])


def _mean(values: Floats, tokens: Tokens, power: float) -> Floats:
    if math.isinf(power):
        sign = np.float32(math.copysign(1, power))
        return sign * MaxPool().pool(sign * values, tokens)
    mean = MeanPool().pool(values if power == 1 else values**power, tokens)
    return mean if power == 1 else np.asarray(np.sign(mean) * np.abs(mean) ** (1 / power), np.float32)
