"""Documents that have several vectors, one a chunk: which chunks there are, and who can take them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from plait.types import Ints, RecipeError, Tokens


@dataclass(frozen=True, eq=False)
class Chunked:
    """Texts whose units are chunks.

    Attributes:
        tokens: the ids as the encoder gave them; each unit is a chunk, and every item has one at least.
        spans: ``[U, 2]`` characters of its text that each chunk stands for.
        empty: chunks that were dropped, since no token of theirs was read.
    """

    tokens: Tokens
    spans: Ints
    empty: int = 0

    @property
    def units(self) -> Ints:
        """``[N + 1]``; item ``n`` owns chunks ``units[n]:units[n + 1]``."""
        return self.tokens.units

    def same(self, other: Chunked | None) -> bool:
        """Whether the others are the same characters of the same texts."""
        if other is None:
            return False
        return self is other or (np.array_equal(self.units, other.units) and np.array_equal(self.spans, other.spans))


class Pooled(Protocol):
    """A strand, as far as it matters here."""

    @property
    def text(self) -> str: ...
    @property
    def pool(self) -> object: ...


def cuts(pool: object) -> bool:
    """Whether a pooling cuts documents into chunks."""
    return hasattr(pool, "chunked")


def common(strands: Iterable[str], found: Iterable[Mapping[str, Chunked]]) -> Chunked | None:
    """The chunks that strands, by their text, have in common; None if they cut nothing.

    Raises:
        RecipeError: if they differ: their vectors cannot stand side by side.
    """
    known = {text: chunked for mapping in found for text, chunked in mapping.items()}
    names = list(strands)
    first = known.get(names[0])
    for name in names[1:]:
        if (first is None and name in known) or (first is not None and not first.same(known.get(name))):
            raise RecipeError(
                f"{names[0]} and {name} cut the texts into different chunks: their vectors cannot stand side by side; "
                "pool the same chunks in all parts"
            )
    return first


def refuse_chunks(strands: Iterable[Pooled], where: str) -> None:
    """Refuse recipes that give several vectors a document.

    Args:
        strands: of a recipe.
        where: what takes one vector a document only.
    """
    for strand in strands:
        if cuts(strand.pool):
            raise RecipeError(
                f"{strand.text} gives one vector a chunk, but {where} takes one a text; pool whole texts, e.g. with "
                "MeanPool(), or use the vectors and spans that encode() gives"
            )
