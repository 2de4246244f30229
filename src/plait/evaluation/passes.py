"""Vectors of strands for many tasks: from one forward pass over all their texts, or from a pass for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plait import plan
from plait.bank import Bank
from plait.chunks import Chunked, common, cuts
from plait.compression.binary import Binary
from plait.step import Composite, Step
from plait.types import Floats, Items


@dataclass(frozen=True, eq=False)
class _Kept:
    """What a pass over many texts left: their rows, the vectors of each strand (by key), which texts were cut."""

    row: Mapping[str, int]
    vectors: Mapping[str, Floats]
    cut: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Found:
    """Vectors of a recipe's strands.

    Attributes:
        vectors: by the strand's text.
        cut: how many items a length limit cut.
        chunked: the chunks that the vectors stand for; None where they do not stand for chunks.
    """

    vectors: dict[str, Floats]
    cut: int
    chunked: Chunked | None


class Passes:
    """Runs the forward passes that judging a recipe needs, each once.

    Args:
        bank: where vectors are kept and found again; None keeps them in memory.
        progress: told how the passes go on.
    """

    def __init__(self, bank: Bank | None = None, progress: plan.Progress | None = None) -> None:
        self._bank, self._progress = bank, progress
        self._kept: dict[tuple[str, str], _Kept] = {}
        self.seconds = 0.0

    def prepare(self, recipe: Composite, texts: Mapping[str, Sequence[str]]) -> None:
        """Run one pass for each encoder and role over all texts that will be asked for.

        A strand whose pooling has yet to learn is left out: it runs once it has learned.

        Args:
            recipe: whose strands are computed.
            texts: by role; equal ones are encoded once.
        """
        for source, strands in _sources(recipe).items():
            ready = [strand for strand in strands if not unlearned(strand.pool) and not cuts(strand.pool)]
            for role, given in texts.items():
                unique = list(dict.fromkeys(given))
                if unique and ready:
                    self._kept[source, role] = self._keep(ready, unique, role)

    def vectors(self, recipe: Composite, items: Items, role: str) -> Found:
        """Vectors of every strand for the items."""
        out: dict[str, Floats] = {}
        chunked: dict[str, Chunked] = {}
        most = 0
        for source, strands in _sources(recipe).items():
            kept = self._kept.get((source, role))
            if kept and all(s.key in kept.vectors for s in strands) and all(text in kept.row for text in items):
                rows = np.array([kept.row[text] for text in items], np.int64)  # type: ignore[index]
                out |= {strand.text: kept.vectors[strand.key][rows] for strand in strands}
                most = max(most, int(kept.cut[rows].sum()))
            else:
                found, report = self._run(strands, items, role)
                out |= found
                chunked |= report.chunked
                most = max(most, report.cut_items)
        return Found(out, most, common(out, [chunked]))

    def _keep(self, strands: Sequence[plan.Strand], texts: Sequence[str], role: str) -> _Kept:
        vectors, report = self._run(strands, texts, role)
        cut = np.zeros(len(texts), np.bool_)
        if report.cut_items:
            cut = strands[0].encoder.asked(role).tokenize(texts).cut > 0
        row = {text: number for number, text in enumerate(texts)}
        return _Kept(row, {strand.key: vectors[strand.text] for strand in strands}, cut)

    def _run(
        self, strands: Sequence[plan.Strand], items: Items, role: str
    ) -> tuple[dict[str, Floats], plan.PassReport]:
        vectors, reports = plan.run(strands, items, self._bank, self._progress, role)
        (report,) = reports.values()
        self.seconds += report.seconds
        return vectors, report


def unlearned(step: object) -> bool:
    """Whether a step has yet to learn something."""
    # Binary's fit notes the width alone, and it does without
    if not isinstance(step, Step) or isinstance(step, Composite | Binary):
        return False
    return type(step).fit is not Step.fit and not step.state()


def _sources(recipe: Composite) -> dict[str, list[plan.Strand]]:
    sources: dict[str, list[plan.Strand]] = {}
    for strand in recipe.strands():
        sources.setdefault(strand.source, []).append(strand)
    return sources
