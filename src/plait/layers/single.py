"""One layer of an encoder."""

from __future__ import annotations

from plait.roles import LayerMix
from plait.types import RecipeError


class Layer(LayerMix):
    """The states of one layer.

    Args:
        layer: 0 is the embedding output, 1 the first block; negative numbers count from the top. The default, -1, is
            the last layer, which is also what a recipe without any choice of layers uses. Layers above it are not run.

    Raises:
        RecipeError: when run, if ``layer`` is no whole number, or the encoder has no such layer.

    Example:
        >>> Layer(-2).mix(depth=6)
        ((5, 1.0),)
    """

    def __init__(self, layer: int = -1) -> None:
        self.layer = layer

    def mix(self, depth: int) -> tuple[tuple[int, float], ...]:
        return ((self._resolve(layer_number(self, self.layer), depth), 1.0),)


def layer_number(step: LayerMix, layer: object) -> int:
    """The layer, if it is a whole number."""
    if isinstance(layer, int):
        return layer
    raise RecipeError(f"{step}: {layer!r} is no layer; expected a whole number, such as 6, or -1 for the last layer")
