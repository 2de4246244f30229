"""The mean of several layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from plait.layers.single import layer_number
from plait.roles import LayerMix
from plait.types import RecipeError


class LayerMean(LayerMix):
    """The plain mean of several layers' states.

    A low layer beside the top one keeps both what words say and what the sentence says: ``LayerMean([1, -1])``, first
    block and last block, is the published pair for encoders that were not tuned for similarity.

    Args:
        layers: layer numbers (0 is the embedding output, negative ones count from the top), or "all" for every layer,
            the embedding output included. A layer that is named twice, such as 6 and -1 of six blocks, counts twice.

    Raises:
        RecipeError: when run, if ``layers`` is empty, no list of numbers, or names a layer that the encoder lacks.

    Source: WhiteningBERT: An Easy Unsupervised Sentence Embedding Approach, arXiv 2104.01767.

    Example:
        >>> LayerMean([1, -1]).mix(depth=6)
        ((1, 0.5), (6, 0.5))
    """

    def __init__(self, layers: Sequence[int] | str = "all") -> None:
        self.layers = layers

    def mix(self, depth: int) -> tuple[tuple[int, float], ...]:
        layers = range(depth + 1) if self.layers == "all" else self.layers
        if isinstance(layers, str) or not layers:
            raise RecipeError(f'{self}: layers is {layers!r}; expected layer numbers such as [1, -1], or "all"')
        counts = Counter(self._resolve(layer_number(self, layer), depth) for layer in layers)
        return tuple((layer, count / len(layers)) for layer, count in sorted(counts.items()))
