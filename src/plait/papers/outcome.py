"""What a check script hands back: claims that should hold, and ablations under which they should not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from plait.types import DataError


@dataclass(frozen=True)
class Claim:
    """One statement of a paper, put to a figure and to a baseline measured in the same run.

    Args:
        text: what is claimed, as a sentence that the figures can contradict.
        holds: whether the figures bear it out.
        value: figure with the mechanism.
        baseline: figure without it.
        bar: how far the value has to lie above the baseline, in the figure's own unit; fixed before the run.

    Raises:
        DataError: if a figure is not finite.

    Example:
        >>> Claim.above("whitening helps", value=0.62, baseline=0.47, bar=0.05).holds
        True
    """

    text: str
    holds: bool
    value: float
    baseline: float
    bar: float

    def __post_init__(self) -> None:
        for name in ("value", "baseline", "bar"):
            object.__setattr__(self, name, _finite(f"{name} of the claim {self.text!r}", getattr(self, name)))
        object.__setattr__(self, "holds", bool(self.holds))

    @classmethod
    def above(cls, text: str, value: float, baseline: float, bar: float = 0.0) -> Claim:
        """A claim that holds when ``value`` is more than ``bar`` above ``baseline``."""
        return cls(text, bool(value - baseline > bar), value, baseline, bar)

    def without(self, text: str, value: float) -> Ablation:
        """The same bar, put to a figure that was measured with the mechanism removed or shuffled.

        Example:
            >>> claim = Claim.above("whitening helps", value=0.62, baseline=0.47, bar=0.05)
            >>> claim.without("a rotation alone", 0.47).fails
            True
        """
        return Ablation(text, not value - self.baseline > self.bar, value)


@dataclass(frozen=True)
class Ablation:
    """The mechanism removed or shuffled: the claim has to fail, or the check proves nothing.

    Args:
        text: what was removed or shuffled.
        fails: whether the claim fails then.
        value: the figure then.

    Raises:
        DataError: if the figure is not finite.
    """

    text: str
    fails: bool
    value: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _finite(f"value of the ablation {self.text!r}", self.value))
        object.__setattr__(self, "fails", bool(self.fails))


@dataclass(frozen=True)
class Outcome:
    """All that a check found.

    Args:
        claims: the statements, the main one first: its figures are the ones shown in tables.
        ablations: at least one.
        metric: what the main figures are, with unit, e.g. "Spearman × 100".
        data: names of the sets used, as folders of the data directory.
        seeds: the random seeds used; empty when nothing was random.
        figures: any further figures worth keeping, by name.
        note: what a reader must know to judge it, above all why a claim does not hold.

    Raises:
        DataError: without a claim or an ablation, or with a figure that is not finite.
    """

    claims: Sequence[Claim]
    ablations: Sequence[Ablation]
    metric: str
    data: Sequence[str]
    seeds: Sequence[int] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    def __post_init__(self) -> None:
        if not self.claims or not self.ablations:
            raise DataError(
                f"a check gave {len(self.claims)} claims and {len(self.ablations)} ablations; it needs at least one of "
                "each: measure the same figure once more with the mechanism removed or shuffled"
            )
        texts = [ablation.text for ablation in self.ablations]
        if len(set(texts)) < len(texts):
            raise DataError(f"two ablations have the same text ({', '.join(texts)}); say what each of them removes")
        figures = {name: _finite(f"the figure {name!r}", value) for name, value in self.figures.items()}
        object.__setattr__(self, "figures", figures)

    @property
    def holds(self) -> bool:
        """Whether every claim holds and every ablation makes it fail."""
        return all(claim.holds for claim in self.claims) and all(ablation.fails for ablation in self.ablations)


def _finite(name: str, value: float) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise DataError(f"{name} is {number}; a finite number was expected: look for empty or constant inputs")
    return number
