"""Several layers side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plait.layers.single import Layer, layer_number
from plait.roles import LayerMix, Mix
from plait.types import RecipeError, States


class ConcatLayers(LayerMix):
    """The vectors of several layers side by side: ``[N, L * D]``.

    Each layer is pooled by itself, in the one forward pass, and shares its vectors with every other recipe that reads
    that layer. What stands behind the pooling may learn how to combine them: `ScalarMix`, `LayerAttention`.

    Args:
        layers: layer numbers (0 is the embedding output, negative ones count from the top), or "all".

    Raises:
        RecipeError: when run, if ``layers`` is empty, names a layer twice, or one that the encoder lacks.

    Source: Universal Text Representation from BERT: An Empirical Study, arXiv 1910.07973.

    Example:
        >>> [text for text, _ in ConcatLayers([1, -1]).mixes(depth=6)]
        ['Layer(1)', 'Layer(6)']
    """

    def __init__(self, layers: Sequence[int] | str = "all") -> None:
        self.layers = layers

    def mix(self, depth: int) -> Mix:
        raise RecipeError(f"{self} keeps its layers apart: it has no single mix of them; use LayerMean for one")

    def mixes(self, depth: int) -> Sequence[tuple[str, Mix]]:
        if self.layers != "all" and (isinstance(self.layers, str) or not self.layers):
            raise RecipeError(f'{self}: layers is {self.layers!r}; expected layer numbers such as [1, -1], or "all"')
        asked = range(depth + 1) if self.layers == "all" else self.layers
        numbers = [self._resolve(layer_number(self, layer), depth) for layer in asked]
        if len(set(numbers)) < len(numbers):
            raise RecipeError(f"{self} names a layer twice: of {depth} blocks they are {numbers}")
        return [(str(Layer(number)), ((number, 1.0),)) for number in numbers]

    def transform(self, X: States) -> States:
        planes = [X.layer(layer) for _, mix in self.mixes(X.layers[-1]) for layer, _ in mix]
        return States(np.concatenate(planes, axis=1)[None], (X.layers[-1],), X.tokens)
