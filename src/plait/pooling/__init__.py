"""Pooling: the tokens of a unit (a text, or a word) to one vector."""

from plait._lazy import exports

NAMES = {
    "MeanPool": "plait.pooling.mean",
    "WeightedMeanPool": "plait.pooling.mean",
    "SifPool": "plait.pooling.frequency",
    "ClsPool": "plait.pooling.single",
    "LastPool": "plait.pooling.single",
    "MaxPool": "plait.pooling.maximum",
}

__getattr__, __dir__ = exports(__name__, NAMES)
