"""Layers of an encoder: which of them a pooling sees, and how they are combined."""

from plait._lazy import exports

STEPS = {
    "LayerAttention": "plait.layers.attention",
    "ScalarMix": "plait.layers.scalar_mix",
    "ConcatLayers": "plait.layers.concat",
    "RouterWeights": "plait.layers.router",
    "Layer": "plait.layers.single",
    "LayerMean": "plait.layers.mean",
}
NAMES = STEPS | {
    "CrossAttention": "plait.layers.cross_attention",
    "LayerWeights": "plait.layers.scalar_mix",
}

__getattr__, __dir__ = exports(__name__, NAMES)
