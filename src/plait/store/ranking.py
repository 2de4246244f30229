"""The best few vectors for queries, exactly, and the refusal of a query from another recipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.compression.binary import Binary
from plait.compression.search import search_codes
from plait.roles import Quantiser
from plait.step import Composite, unit_rows
from plait.store.blocks import Layout
from plait.types import Floats, Ints, RecipeError

BLOCK = 8192
"""Vectors that are scored or decoded at once."""
QUERIES = 64
"""Queries scored at once."""
DOUBT = 1e-5
"""How far a cosine of the fast product may be off."""


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


def top(queries: Floats, blocks: Iterable[tuple[Ints, Floats]], k: int, unit: bool = False) -> tuple[Ints, Floats]:
    """The k rows with the largest cosines, over blocks of any size; of equal scores the lower number comes first.

    Args:
        queries: ``[Q, D]``.
        blocks: ``[N]`` numbers and ``[N, D]`` vectors, part by part; no number comes twice.
        k: how many.
        unit: whether the vectors have length one already.

    Returns:
        ``[Q, ≤ k]`` numbers and scores, best first.

    Example:
        >>> numbers, scores = top(np.ones((1, 2), np.float32), [(np.array([7, 3]), np.eye(2, dtype=np.float32))], k=1)
        >>> numbers.tolist()
        [[3]]
    """
    if k < 1:
        raise RecipeError(f"k is {k}; expected how many results to return, 1 or more")
    directions = unit_rows(queries)
    best = [(np.zeros(0, np.int64), np.zeros(0)) for _ in directions]
    for numbers, block in blocks:
        rows = block if unit else unit_rows(block)
        for start in range(0, len(directions), QUERIES):
            rough = directions[start : start + QUERIES] @ rows.T
            for place, line in enumerate(rough, start):
                best[place] = _merged(best[place], directions[place], numbers, rows, line, k)
    shape = (len(best), min((len(found) for found, _ in best), default=0))
    found = np.array([numbers for numbers, _ in best], np.int64).reshape(shape)
    return found, np.array([scores for _, scores in best], np.float32).reshape(shape)


def _merged(
    best: tuple[Ints, NDArray[np.float64]], query: Floats, numbers: Ints, rows: Floats, rough: Floats, k: int
) -> tuple[Ints, NDArray[np.float64]]:
    """The best k of the earlier ones and a block.

    The last bits of a matrix product depend on where a row stands in its block. What decides is therefore a sum that
    gives equal rows equal scores, over all rows that come within the product's error of the k-th best.
    """
    floor = np.partition(rough, -k)[-k] if len(rough) > k else -np.inf
    if len(best[0]) == k:
        floor = max(floor, best[1].min())
    chosen = np.flatnonzero(rough >= floor - DOUBT)
    scores = [np.einsum("ij,j->i", rows[part], query, dtype=np.float64) for part in _parts(chosen)]
    merged, found = np.concatenate([best[1], *scores]), np.concatenate([best[0], numbers[chosen]])
    order = np.lexsort((found, -merged))[:k]
    return found[order], merged[order]


def _parts(chosen: Ints) -> Iterator[Ints]:
    for start in range(0, len(chosen), BLOCK):
        yield chosen[start : start + BLOCK]


def top_codes(queries: Floats, numbers: Ints, codes: NDArray[Any], quantiser: Quantiser, k: int) -> tuple[Ints, Floats]:
    """The k codes nearest to float queries, by the cosine with what they decode to: what an evaluation ranks by, too.

    Binary codes go by their Hamming distance first, as `plait.compression.search.search_codes` says.

    Args:
        queries: ``[Q, D]``.
        numbers: ``[N]``, rising.
        codes: ``[N, B]``.
        quantiser: the fitted step that made them.
        k: how many.

    Returns:
        As `top`.
    """
    if not isinstance(quantiser, Binary):
        parts = (slice(start, start + BLOCK) for start in range(0, len(codes), BLOCK))
        return top(queries, ((numbers[part], quantiser.inverse_transform(codes[part])) for part in parts), k)
    places, scores = search_codes(queries, codes.view(np.uint8), quantiser, k)
    lengths = np.linalg.norm(queries, axis=1) * np.sqrt(queries.shape[1])
    if quantiser.rescore:
        scores = scores / np.where(lengths > 0, lengths, 1).astype(np.float32)[:, None]
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
