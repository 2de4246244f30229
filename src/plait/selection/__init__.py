"""Finding the best recipe: candidate spaces, the search, costs, the report."""

from plait._lazy import exports

NAMES = {
    "find": "plait.selection.find",
    "Listener": "plait.selection.find",
    "FindResult": "plait.selection.result",
    "Figure": "plait.selection.result",
    "Space": "plait.selection.space",
    "front": "plait.selection.front",
}

__getattr__, __dir__ = exports(__name__, NAMES)
