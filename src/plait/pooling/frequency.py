"""A mean in which frequent tokens weigh little."""

from __future__ import annotations

from typing import Self

import numpy as np

from plait.roles import LinearPooling
from plait.types import DataError, Floats, RecipeError, Tokens


class SifPool(LinearPooling):
    """A mean in which a token of probability p weighs a / (a + p): smooth inverse frequency.

    The published method also removes the common component of the sentence vectors: write ``SifPool() |
    AllButTheTop(1)`` for the whole of it.

    Args:
        a: probability at which a token weighs half. The default 1e-3 is the published choice; 1e-4 to 1e-2 differ
            little.

    Attributes:
        probability_: ``[V]`` share of each token id among the pooled tokens that ``fit`` saw. An id beyond V, or never
            seen, has probability 0 and so the full weight.

    Raises:
        RecipeError: if it is used before ``fit``, or ``a`` is not above 0.
        DataError: if ``fit`` gets no token.

    Source: A Simple but Tough-to-Beat Baseline for Sentence Embeddings (ICLR 2017).

    Example:
        >>> from plait.types import Tokens
        >>> one = Tokens(*(np.array(a) for a in ([1, 1, 1, 2], [0, 4], [0, 1, 2, 3], [0, 4], [0, 1], [0])))
        >>> (5 * SifPool(a=0.25).fit(one).weights(one)).tolist()
        [1.0, 1.0, 1.0, 2.0]
    """

    def __init__(self, a: float = 1e-3) -> None:
        self.a = a

    def fit(self, X: Tokens, y: object = None) -> Self:
        """Learn how frequent each token id is, from the tokens that are pooled."""
        ids = X.ids[X.index]
        if len(ids) == 0:
            raise DataError(f"{self} was given {len(X)} items without a token to fit on; give texts that are not empty")
        self.probability_ = (np.bincount(ids) / len(ids)).astype(np.float32)
        return self

    def weights(self, tokens: Tokens) -> Floats:
        if not self.a > 0:
            raise RecipeError(f"{self}: a is {self.a}; expected a probability above 0, such as 0.001")
        if "probability_" not in vars(self):
            raise RecipeError(f"{self} does not know how frequent tokens are; fit the recipe on your texts first")
        ids = tokens.ids[tokens.index]
        known = ids < len(self.probability_)
        probability = np.zeros(len(ids))
        probability[known] = self.probability_[ids[known]]
        weights = self.a / (self.a + probability)
        lengths = np.diff(tokens.bounds)
        full = lengths > 0
        if full.any():
            # Empty units own no entries, so that the starts of the others cut the entries at the unit borders.
            totals = np.add.reduceat(weights, tokens.bounds[:-1][full])
            weights = weights / np.repeat(totals, lengths[full])
        return weights.astype(np.float32)
