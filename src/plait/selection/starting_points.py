"""Recipes that the literature starts from, and which of them fit what a user has; both are data in ``recipes.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from plait.encoders.static import StaticTable
from plait.encoders.transformer import Transformer
from plait.recipe import parse
from plait.step import Composite, walk
from plait.types import RecipeError

LANGUAGES = ("one", "many")


@dataclass(frozen=True)
class KnownRecipe:
    """A recipe by name, for any weights of its kind.

    Attributes:
        name: what it is called.
        text: with "MODEL" for the weights.
        host: kind of weights: "encoder", "decoder", "table", or "any" of the first two.
        why: what speaks for it.
        source: who showed it.
    """

    name: str
    text: str
    host: str
    why: str
    source: str

    def on(self, model: str, **options: Any) -> Composite:
        """The recipe with these weights.

        Args:
            model: name of the weights.
            options: further parameters of its encoders, such as ``dtype="bfloat16"``.
        """
        recipe = parse(self.text)
        for step in walk(recipe):
            if isinstance(step, Transformer | StaticTable):
                step.set_params(model=model, **options)
        return recipe


@dataclass(frozen=True)
class Constraints:
    """What there is to work with. None is no limit.

    Args:
        megabytes: for the weights.
        milliseconds: for a text of 20 tokens on one core.
        languages: "one" (English) or "many".
        examples: labelled ones.

    Raises:
        RecipeError: if ``languages`` is another word.
    """

    megabytes: float | None = None
    milliseconds: float | None = None
    languages: str = "one"
    examples: int = 0

    def __post_init__(self) -> None:
        if self.languages not in LANGUAGES:
            raise RecipeError(f"languages is {self.languages!r}; expected one of {', '.join(LANGUAGES)}")


@dataclass(frozen=True, eq=False)
class Recommendation:
    """A recipe to start from.

    Attributes:
        recipe: ready to run.
        known: which recipe it is, why, and who showed it.
        model: its weights.
    """

    recipe: Composite
    known: KnownRecipe
    model: str


@cache
def known_recipes() -> dict[str, KnownRecipe]:
    """Recipes of the literature, by name.

    Example:
        >>> known_recipes()["echo"].on("gemma-3-270m", dtype="bfloat16")
        Transformer("gemma-3-270m", prompts="echo", dtype="bfloat16") | MeanPool()
    """
    return {name: KnownRecipe(name, **entry) for name, entry in _data()["recipe"].items()}


def recommend(constraints: Constraints) -> list[Recommendation]:
    """Recipes to start from, best first; measure them on your own data with `plait.find`.

    Args:
        constraints: what there is to work with.

    Returns:
        None where nothing fits.

    Source: LLMs are Also Effective Embedding Models: An In-depth Overview, arXiv 2412.12591.

    Example:
        >>> [found.model for found in recommend(Constraints(megabytes=100))]
        ['all-MiniLM-L6-v2', 'wordllama']
    """
    found = []
    for rule in _data()["rule"]:
        if _fits(rule, constraints):
            known = known_recipes()[rule["recipe"]]
            found.append(Recommendation(known.on(rule["model"]), known, rule["model"]))
    return found


def _fits(rule: dict[str, Any], given: Constraints) -> bool:
    small = given.megabytes is None or rule["megabytes"] <= given.megabytes
    fast = given.milliseconds is None or rule["milliseconds"] <= given.milliseconds
    speaks = given.languages == "one" or rule["languages"] == "many"
    return bool(small and fast and speaks and rule["examples"] <= given.examples)


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads(files("plait.selection").joinpath("recipes.toml").read_text(encoding="utf-8"))
