"""Finding the best recipe: candidate spaces, the search, costs, the report."""

from plait._lazy import exports

NAMES = {
    "Constraints": "plait.selection.starting_points",
    "KnownRecipe": "plait.selection.starting_points",
    "Recommendation": "plait.selection.starting_points",
    "advise": "plait.selection.advice",
    "known_recipes": "plait.selection.starting_points",
    "recommend": "plait.selection.starting_points",
    "find": "plait.selection.finding",
    "Listener": "plait.selection.finding",
    "FindResult": "plait.selection.result",
    "Figure": "plait.selection.result",
    "Space": "plait.selection.space",
    "front": "plait.selection.pareto",
}

__getattr__, __dir__ = exports(__name__, NAMES)
