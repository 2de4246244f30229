"""Exact search in the vectors of a table, kept in memory where they fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.compression.lengths import Lengths
from plait.step import Composite
from plait.store.lance import LanceRows
from plait.store.ranking import top, top_codes
from plait.store.shards import matrix
from plait.types import Floats, Ints

HELD = 1 << 30
"""Bytes of float vectors that stay in memory between searches; a larger table is read each time. Codes stay."""

BLOCK = 16_384
"""Vectors copied at once, where a condition picks them."""
PICKS = 16
"""Conditions whose rows are remembered: people choose from few."""


@dataclass(frozen=True, eq=False)
class _Held:
    """A table at one moment: rising numbers of rows, ``[N, B]`` vectors, and what conditions picked of them."""

    numbers: Ints
    values: NDArray[Any]
    picks: dict[str, Ints] = field(default_factory=dict)

    @cached_property
    def lengths(self) -> Lengths:
        """Of all vectors, so that a search need not measure them."""
        return Lengths.of(self.values)

    def blocks(self, places: Ints | None) -> Iterator[tuple[Ints, NDArray[Any]]]:
        """Numbers and values of all rows, or of some, part by part."""
        if places is None:
            yield self.numbers, self.values
            return
        for start in range(0, len(places), BLOCK):
            part = places[start : start + BLOCK]
            yield self.numbers[part], self.values[part]


class Exact:
    """The best rows of a table for some queries.

    Args:
        rows: the table.
        recipe: what made it.
    """

    def __init__(self, rows: LanceRows, recipe: Composite) -> None:
        self._rows, self._recipe = rows, recipe

    @property
    def _holds(self) -> bool:
        layout = self._rows.layout
        return layout.is_codes or layout.nbytes * len(self._rows) <= HELD

    def hold(self) -> None:
        """Read the vectors now, where they stay in memory, and not with the first search."""
        if self._holds:
            _ = self._held.values if self._rows.layout.is_codes else self._held.lengths

    def forget(self) -> None:
        """Read the vectors again when they are next asked for."""
        vars(self).pop("_held", None)

    def best(self, queries: Floats, k: int, where: str | None = None) -> tuple[Ints, Floats]:
        """Numbers and scores of the k best rows for each query.

        Args:
            queries: ``[Q, D]``.
            k: how many.
            where: SQL that picks the rows.

        Returns:
            ``[Q, ≤ k]`` each, best first; of equal scores the row that came first stands first.
        """
        if not self._holds:
            return top(queries, self._read(where), k)
        held = self._held
        places = None if where is None else self._places(held, where)
        if self._recipe.quantiser is None:
            return top(queries, held.blocks(places), k, held.lengths)
        numbers, values = (held.numbers, held.values) if places is None else (held.numbers[places], held.values[places])
        return top_codes(queries, numbers, values, self._recipe.quantiser, k)

    def _places(self, held: _Held, where: str) -> Ints:
        """Where the rows lie that a condition picks; to look into JSON costs a microsecond a record, so it is kept."""
        if where not in held.picks:
            picked = np.isin(held.numbers, self._rows.numbers(where), assume_unique=True)
            if len(held.picks) >= PICKS:
                held.picks.clear()
            held.picks[where] = np.flatnonzero(picked)
        return held.picks[where]

    def _read(self, where: str | None = None) -> Iterator[tuple[Ints, NDArray[Any]]]:
        layout = self._rows.layout
        for batch in self._rows.scan(["row", "vector"], where):
            yield batch.column("row").to_numpy(), matrix(batch.column("vector"), layout)

    @cached_property
    def _held(self) -> _Held:
        layout, size = self._rows.layout, len(self._rows)
        numbers, values, start = np.empty(size, np.int64), np.empty((size, layout.width), layout.dtype), 0
        for some, block in self._read():
            numbers[start : start + len(some)], values[start : start + len(some)] = some, block
            start += len(some)
        if (np.diff(numbers) > 0).all():
            return _Held(numbers, values)
        order = np.argsort(numbers)
        return _Held(numbers[order], values[order])
