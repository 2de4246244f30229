"""Texts as one vector a token, and how two of them are compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plait.roles import Encoder, LayerMix
from plait.step import Chain, unit_rows
from plait.types import Floats, RecipeError


class TokenEncoder:
    """The vectors of a text's tokens, as an encoder and a mix of its layers give them.

    Args:
        recipe: an encoder, with a layer step behind it if it is not the last layer that is read.

    Raises:
        RecipeError: if the recipe holds something else.

    Example:
        >>> from plait import Layer, Transformer
        >>> tokens = TokenEncoder(Transformer("all-MiniLM-L6-v2") | Layer(4))
        >>> [vectors.shape for vectors in tokens.vectors(["a", "two words"], "query")]
        [(3, 384), (4, 384)]
    """

    def __init__(self, recipe: Encoder | Chain) -> None:
        steps = list(recipe.steps) if isinstance(recipe, Chain) else [recipe]
        encoder, *mixes = steps
        if not isinstance(encoder, Encoder) or not all(isinstance(mix, LayerMix) for mix in mixes) or len(mixes) > 1:
            raise RecipeError(
                f"{recipe} gives no token vectors; expected an encoder, and perhaps a layer step behind it"
            )
        self.encoder = encoder
        self.mix = mixes[0].mix(encoder.depth) if mixes else ((encoder.depth, 1.0),)

    def vectors(self, texts: Sequence[str], role: str = "document") -> list[Floats]:
        """``[T, D]`` vectors of length 1 for each text, one for each token that is pooled."""
        encoder = self.encoder.asked(role)
        tokens = encoder.tokenize(list(texts))
        states = encoder.states(tokens, tuple(sorted(layer for layer, _ in self.mix)))
        mixed = np.sum([np.float32(weight) * states.layer(layer) for layer, weight in self.mix], axis=0)
        unit = unit_rows(mixed[tokens.index])
        return [unit[a:b] for a, b in zip(tokens.bounds[:-1].tolist(), tokens.bounds[1:].tolist(), strict=True)]


def max_similarity(query: Floats, document: Floats) -> float:
    """Mean over the query's tokens of the best dot product with a token of the document.

    Args:
        query: ``[T, D]``.
        document: ``[S, D]``.

    Returns:
        0 where either has no token.

    Source: ColBERT: Efficient and Effective Passage Search via Contextualized Late Interaction over BERT, arXiv
    2004.12832.

    Example:
        >>> max_similarity(np.eye(2, dtype=np.float32), np.array([[1, 0], [0.5, 0.5]], np.float32))
        0.75
    """
    if not len(query) or not len(document):
        return 0.0
    return float((query @ document.T).max(axis=1).mean())
