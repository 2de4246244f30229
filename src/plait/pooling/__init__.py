"""Pooling: the tokens of a unit (a text, or a word) to one vector."""

from plait._lazy import exports

STEPS = {
    "AttentionPool": "plait.pooling.attention",
    "MeanPool": "plait.pooling.mean",
    "WeightedMeanPool": "plait.pooling.mean",
    "PowerMeanPool": "plait.pooling.power_mean",
    "SifPool": "plait.pooling.frequency",
    "ClsPool": "plait.pooling.single",
    "LastPool": "plait.pooling.single",
    "MaxPool": "plait.pooling.maximum",
    "SpanPool": "plait.pooling.spans",
    "PowerSetPool": "plait.pooling.set_sums",
    "ExpSetPool": "plait.pooling.set_sums",
}
NAMES = STEPS | {
    "constructive_directions": "plait.pooling.set_functions",
    "constructive_exponents": "plait.pooling.set_functions",
    "recover_multiset": "plait.pooling.set_functions",
    "width_bounds": "plait.pooling.set_functions",
}

__getattr__, __dir__ = exports(__name__, NAMES)
