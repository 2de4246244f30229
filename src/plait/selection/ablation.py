"""Which family of options helped, and by how much: one family alone, and all but one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from plait.evaluation.statistics import Comparison
from plait.selection.families import FAMILIES, families
from plait.step import Chain, Composite


@dataclass(frozen=True)
class Pair:
    """Two recipes of one family, chosen on dev.

    Attributes:
        alone: the best of those that use no other family; None where there is none.
        without: the best of those that do not use it.
    """

    alone: Composite | None
    without: Composite


@dataclass(frozen=True)
class Picks:
    """What is put to the test beside the winner, to say what each family brought.

    Attributes:
        plain: the best model as it comes, by dev.
        pairs: by family.
    """

    plain: Composite
    pairs: Mapping[str, Pair] = field(default_factory=dict)

    def named(self) -> dict[str, Composite]:
        """All of them, each under a name of its own."""
        out = {"plain": self.plain}
        for family, pair in self.pairs.items():
            out[f"without {family}"] = pair.without
            if pair.alone is not None:
                out[f"alone {family}"] = pair.alone
        return out


@dataclass(frozen=True)
class Effect:
    """What a family brought on the test part.

    Attributes:
        family: its name.
        alone: test score of the best recipe with this family only; None where there is none.
        gain: of that over the best model as it comes.
        without: test score of the best recipe without the family.
        loss: how much worse that is than the winner.
        recipes: the two recipes, on all that may be looked at.
    """

    family: str
    alone: float | None
    gain: Comparison | None
    without: float
    loss: Comparison
    recipes: tuple[str, str]

    def as_dict(self) -> dict[str, object]:
        """Plain values for ``run.json``."""

        def written(change: Comparison | None) -> dict[str, object] | None:
            if change is None:
                return None
            return {"difference": change.difference, "interval": [change.low, change.high], "p_value": change.p_value}

        return {
            "family": self.family,
            "alone": self.alone,
            "gain_over_plain": written(self.gain),
            "without": self.without,
            "winner_gains": written(self.loss),
            "alone_recipe": self.recipes[0],
            "without_recipe": self.recipes[1],
        }


def kept_for_ablation(ranked: Sequence[Composite], defaults: Sequence[Chain], each: int = 2) -> list[Composite]:
    """Recipes that must not drop out early: the best few with one family alone, and with all but one.

    Args:
        ranked: best first.
        defaults: each model as it comes.
        each: how many of each sort.
    """
    used = [families(recipe, defaults) for recipe in ranked]
    kept: dict[str, Composite] = {}
    for family in FAMILIES:
        for fits in (_alone(family), _without(family)):
            chosen = [recipe for recipe, mine in zip(ranked, used, strict=True) if fits(mine)][:each]
            kept |= {str(recipe): recipe for recipe in chosen}
    return list(kept.values())


def pick(
    ranked: Sequence[Composite],
    defaults: Sequence[Chain],
    concatenate: Callable[[Sequence[Composite]], Composite | None],
    better: Callable[[Composite], float],
) -> Picks:
    """Choose on dev what is tested for each family.

    Args:
        ranked: recipes scored on the whole dev part, best first.
        defaults: each model as it comes.
        concatenate: finds the best concatenation of some of the recipes, or None.
        better: dev score of a recipe.
    """
    used = {str(recipe): families(recipe, defaults) for recipe in ranked}

    def first(fits: Callable[[frozenset[str]], bool], recipes: Iterable[Composite] = ranked) -> Composite | None:
        return next((recipe for recipe in recipes if fits(used.get(str(recipe), families(recipe, defaults)))), None)

    plain = first(lambda mine: not mine) or defaults[0]
    top = ranked[0]
    pairs = {}
    for family in FAMILIES:
        alone, without = first(_alone(family)), first(_without(family)) or plain
        if family == "fusion":
            alone = concatenate([recipe for recipe in ranked if not used[str(recipe)]])
        elif family in families(top, defaults):
            # the winner may be a concatenation: what stands in for it must be given the same chance
            fused = concatenate([recipe for recipe in ranked if _without(family)(used[str(recipe)])])
            without = max([without, *([fused] if fused else [])], key=better)
        if alone is not None or family in families(top, defaults):
            pairs[family] = Pair(alone, without)
    return Picks(plain, pairs)


def _alone(family: str) -> Callable[[frozenset[str]], bool]:
    return lambda mine: mine == {family}


def _without(family: str) -> Callable[[frozenset[str]], bool]:
    return lambda mine: family not in mine
