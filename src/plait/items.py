"""Inputs: texts, or sentences given as tuples of words, and the rows of vectors that belong to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from plait.types import DataError, Ints, Items, ranges

Rows = TypeVar("Rows", bound=np.ndarray)


@dataclass(frozen=True, eq=False)
class Expansion:
    """Which rows of unique items make up those of all items.

    Attributes:
        numbers: ``[N]`` the unique item that each item is; None where all are unique.
        bounds: rows of each unique item, as in `unit_bounds`.
    """

    numbers: Ints | None
    bounds: Ints | None

    @classmethod
    def of(cls, unique: Items, items: Items, bounds: Ints | None) -> Expansion:
        """From the unique items to all of them."""
        if len(unique) == len(items):
            return cls(None, bounds)
        place = {item: number for number, item in enumerate(unique)}
        return cls(np.array([place[item] for item in items], np.int64), bounds)

    def __call__(self, rows: Rows) -> Rows:
        """Rows of all items."""
        if self.numbers is None:
            return rows
        if self.bounds is None:
            return rows[self.numbers]  # type: ignore[return-value]
        return rows[ranges(self.bounds[self.numbers], self.bounds[self.numbers + 1])]  # type: ignore[return-value]

    @property
    def units(self) -> Ints | None:
        """Rows of each item, as in `unit_bounds`."""
        if self.numbers is None or self.bounds is None:
            return self.bounds
        return np.concatenate([[0], np.cumsum(np.diff(self.bounds)[self.numbers])])


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
