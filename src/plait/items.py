"""Inputs: texts, or sentences given as tuples of words, and the rows of vectors that belong to them."""

from __future__ import annotations

import numpy as np

from plait.types import DataError, Floats, Ints, Items, ranges


def expand(values: Floats, unique: Items, items: Items) -> Floats:
    """Rows of the unique items, repeated for all items."""
    if len(unique) == len(items):
        return values
    place = {item: number for number, item in enumerate(unique)}
    numbers = np.array([place[item] for item in items], np.int64)
    bounds = unit_bounds(unique)
    if bounds is None:
        return values[numbers]
    return values[ranges(bounds[numbers], bounds[numbers + 1])]


def check_items(items: Items) -> None:
    """Refuse what is no list of texts, or of tuples of words."""
    if isinstance(items, str):
        raise DataError(f"items is the text {items[:40]!r}; expected a list of texts, such as [text]")
    kind = str if len(items) == 0 or isinstance(items[0], str) else tuple
    for number, item in enumerate(items):
        if not isinstance(item, kind) or (kind is tuple and not all(isinstance(word, str) for word in item)):
            raise DataError(f"item {number} is {repr(item)[:60]}; expected texts only, or tuples of words only")


def unit_bounds(items: Items) -> Ints | None:
    """``[N + 1]`` which rows are whose words; None for texts, which have one row each.

    >>> unit_bounds([("two", "words"), ("one",)]).tolist()
    [0, 2, 3]
    """
    if len(items) == 0 or isinstance(items[0], str):
        return None
    return np.concatenate([[0], np.cumsum([len(item) for item in items])])
