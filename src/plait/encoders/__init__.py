"""Texts to states: pretrained hosts and static tables."""

from plait._lazy import exports

NAMES = {"Transformer": "plait.encoders.transformer", "StaticTable": "plait.encoders.static"}

__getattr__, __dir__ = exports(__name__, NAMES)
