"""plait: find, build and explain the embedding that is best for your own data.

Names are imported when first used: ``import plait`` loads none of the libraries behind them.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

__version__ = "0.1.0"

ROOMS = ("encoders", "layers", "pooling", "transforms", "fusion", "compression")
"""Rooms all of whose names stand at the top: they are what recipes are written with."""

FRAME = {
    "Chain": "plait.step",
    "Step": "plait.step",
    "find": "plait.selection",
    "load": "plait.recipe",
    "parse": "plait.recipe",
    "read": "plait.data",
    "save": "plait.recipe",
}
"""Names of the frame and of the upper floors that stand at the top, and where each comes from."""

if TYPE_CHECKING:
    from plait.compression import Binary as Binary

    find: object


def _names() -> dict[str, str]:
    tables = [import_module(f"{__name__}.{room}").NAMES for room in ROOMS]
    return FRAME | {name: module for table in tables for name, module in table.items()}


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if find_spec(f"{__name__}.{name}"):
        return import_module(f"{__name__}.{name}")
    from plait._lazy import exports

    return exports(__name__, _names())[0](name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_names()})
