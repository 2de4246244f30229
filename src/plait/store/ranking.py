"""The best few vectors for a query, exactly, and the refusal of a query from another recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from plait.compression.brute_force import best_of, nearest_vectors
from plait.compression.search import search_codes
from plait.roles import Quantiser
from plait.step import Composite
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


def top(query: Floats, blocks: Iterable[Floats], k: int) -> tuple[Ints, Floats]:
    """The k rows with the largest cosine, over blocks of any size; of equal scores the lower number comes first.

    Args:
        query: ``[1, D]``.
        blocks: ``[N, D]`` arrays, one after the other.
        k: how many.

    Returns:
        ``[≤ k]`` row numbers and scores, best first.

    Example:
        >>> numbers, scores = top(np.ones((1, 2), np.float32), [np.eye(2, dtype=np.float32) * 5], k=1)
        >>> numbers.tolist()
        [0]
    """
    if k < 1:
        raise RecipeError(f"k is {k}; expected how many results to return, 1 or more")
    numbers, scores, start = np.zeros((1, 0), np.int64), np.zeros((1, 0), np.float32), 0
    for block in blocks:
        mine = nearest_vectors(query, block, k)
        joined = np.hstack([numbers, mine[0] + start]), np.hstack([scores, mine[1]])
        numbers, scores = best_of(*joined, k)
        start += len(block)
    return numbers[0], scores[0]


def top_codes(
    query: Floats, blocks: Iterable[NDArray[np.generic]], quantiser: Quantiser, k: int
) -> tuple[Ints, Floats]:
    """The k codes nearest to a float query, by their quantiser's own search: what an evaluation ranks by, too.

    Args:
        query: ``[1, D]``.
        blocks: ``[N, B]`` arrays, one after the other.
        quantiser: the fitted step that made them.
        k: how many.
    """
    numbers, scores = search_codes(query, np.concatenate(list(blocks)), quantiser, k, cosine=True)
    return numbers[0], scores[0]


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
