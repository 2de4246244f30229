"""Layers of an encoder: which of them a pooling sees, and how they are combined."""

from plait._lazy import exports

NAMES = {"Layer": "plait.layers.single", "LayerMean": "plait.layers.mean"}

__getattr__, __dir__ = exports(__name__, NAMES)
