"""Fusing strands into one vector: concatenation and its search."""

from plait._lazy import exports

NAMES = {"Concat": "plait.step", "ConcatSearch": "plait.fusion.search"}

__getattr__, __dir__ = exports(__name__, NAMES)
