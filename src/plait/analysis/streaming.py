"""Token states of an encoder, batch by batch, so that a diagnosis never holds those of a whole corpus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from plait.plan import plan_batches
from plait.roles import Encoder
from plait.types import DataError, Floats, Ints, Items, RecipeError, States, Tokens


def chosen_layers(encoder: Encoder, layers: Sequence[int] | None) -> tuple[int, ...]:
    """Numbers of the layers asked for, ascending; None asks for all of them.

    Raises:
        RecipeError: for a layer that the encoder does not have.
    """
    if layers is None:
        return tuple(range(encoder.depth + 1))
    unknown = [layer for layer in layers if not 0 <= layer <= encoder.depth]
    if unknown or not layers:
        raise RecipeError(
            f"layers is {list(layers)}; {encoder} has layers 0 to {encoder.depth}: name at least one of them"
        )
    return tuple(sorted(set(layers)))


def tokenized(encoder: Encoder, items: Items) -> Tokens:
    """Tokens of the items.

    Raises:
        DataError: if there is no token at all.
    """
    tokens = encoder.tokenize(items)
    if not len(tokens.index):
        raise DataError(f"{len(items)} items hold no token to look at; give texts that are not empty")
    return tokens


def stream(encoder: Encoder, tokens: Tokens, layers: tuple[int, ...]) -> Iterator[States]:
    """States of every batch."""
    for rows in plan_batches(tokens, encoder.budget):
        yield encoder.states(tokens.take(rows), layers)


def long_enough(tokens: Tokens, positions: int) -> Ints:
    """Rows of the texts that have tokens at positions 0 to ``positions`` and one more, often special, after them.

    Raises:
        DataError: if they are fewer than ten.
    """
    long = np.flatnonzero(tokens.lengths >= positions + 2)
    if len(long) < 10:
        raise DataError(f"{len(long)} of {len(tokens)} texts have {positions + 2} tokens; at least 10 are needed")
    return long


def first_positions(states: States, positions: int) -> Floats:
    """``[L, N, P, D]`` states at positions 1 to P of every text; the first token is often a special one."""
    values: Floats = states.values[:, states.tokens.offsets[:-1, None] + np.arange(1, positions + 1)]
    return values
