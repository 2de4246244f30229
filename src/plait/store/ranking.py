"""The best few vectors for queries, exactly, and the refusal of a query from another recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.compression.brute_force import best_of, nearest_vectors
from plait.compression.lengths import Lengths
from plait.compression.search import search_codes
from plait.roles import Quantiser
from plait.step import Composite, unit_rows
from plait.store.blocks import Layout
from plait.types import Floats, Ints, RecipeError


@dataclass(frozen=True)
class Hit:
    """A text that a search found.

    Attributes:
        id: the record's own, or its number.
        text: the text.
        score: the cosine of the query with the vector, or with what the code decodes to.
        metadata: what else the record held.
    """

    id: str
    text: str
    score: float
    metadata: Mapping[str, object] = field(default_factory=dict)


def top(
    queries: Floats, blocks: Iterable[tuple[Ints, Floats]], k: int, lengths: Lengths | None = None
) -> tuple[Ints, Floats]:
    """The k rows with the largest cosines, over blocks of any size; of equal scores the lower number comes first.

    Args:
        queries: ``[Q, D]``.
        blocks: ``[N]`` numbers and ``[N, D]`` vectors, part by part; no number comes twice.
        k: how many.
        lengths: of all vectors, where they were measured before.

    Returns:
        ``[Q, ≤ k]`` numbers and scores, best first.

    Example:
        >>> numbers, scores = top(np.ones((1, 2), np.float32), [(np.array([7, 3]), np.eye(2, dtype=np.float32))], k=1)
        >>> numbers.tolist()
        [[3]]
    """
    if k < 1:
        raise RecipeError(f"k is {k}; expected how many results to return, 1 or more")
    found, best = np.zeros((len(queries), 0), np.int64), np.zeros((len(queries), 0), np.float32)
    directions = unit_rows(queries)
    for numbers, block in map(_rising, blocks):
        places, scores = nearest_vectors(directions, block, k, lengths=lengths)
        found, best = best_of(np.hstack([found, numbers[places]]), np.hstack([best, scores]), k)
    return found, best


def _rising(block: tuple[Ints, Floats]) -> tuple[Ints, Floats]:
    """The block in the order of its numbers: of equal scores a search gives the row that stands first."""
    if (np.diff(block[0]) > 0).all():
        return block
    order = np.argsort(block[0])
    return block[0][order], block[1][order]


def top_codes(queries: Floats, numbers: Ints, codes: NDArray[Any], quantiser: Quantiser, k: int) -> tuple[Ints, Floats]:
    """The k codes nearest to float queries, by their quantiser's own search: what an evaluation ranks by, too.

    Args:
        queries: ``[Q, D]``.
        numbers: ``[N]``, rising.
        codes: ``[N, B]``.
        quantiser: the fitted step that made them.
        k: how many.

    Returns:
        As `top`.
    """
    places, scores = search_codes(queries, codes, quantiser, k, cosine=True)
    return numbers[places], scores


def check_same(where: object, text: str, fingerprint: str, recipe: Composite) -> None:
    """Refuse a recipe that did not make the vectors.

    Raises:
        RecipeError: with both recipes and both fingerprints.
    """
    Layout.of(recipe)
    if recipe.fingerprint != fingerprint:
        raise RecipeError(
            f"{where} was made by another recipe, and its vectors mean nothing to this one:\n"
            f"  made by  {text}  ({fingerprint})\n  asked by {recipe}  ({recipe.fingerprint})\n"
            "leave the recipe out to use the one that is kept there, or embed the texts again"
        )
