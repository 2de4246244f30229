"""Exact search in the vectors of a table, kept in memory where they fit."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.step import Composite
from plait.store.lance import LanceRows
from plait.store.ranking import top, top_codes
from plait.store.shards import matrix
from plait.types import Floats, Ints

HELD = 1 << 30
"""Bytes of float vectors that stay in memory between searches; a larger table is read each time. Codes stay."""

BLOCK = 16_384
"""Vectors copied at once, where a condition picks them."""


class Exact:
    """The best rows of a table for some queries.

    Args:
        rows: the table.
        recipe: what made it.
    """

    def __init__(self, rows: LanceRows, recipe: Composite) -> None:
        self._rows, self._recipe = rows, recipe

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
        layout = self._rows.layout
        if not layout.is_codes and layout.nbytes * len(self._rows) > HELD:
            return top(queries, self._read(where), k, unit=True)
        numbers, values = self._held
        places = None if where is None else np.searchsorted(numbers, self._rows.numbers(where))
        if self._recipe.quantiser is not None:
            if places is not None:
                numbers, values = numbers[places], values[places]
            return top_codes(queries, numbers, values, self._recipe.quantiser, k)
        blocks = [(numbers, values)] if places is None else _chosen(numbers, values, places)
        return top(queries, blocks, k, unit=True)

    def _read(self, where: str | None = None) -> Iterator[tuple[Ints, NDArray[Any]]]:
        layout = self._rows.layout
        for batch in self._rows.scan(["row", "vector"], where):
            yield batch.column("row").to_numpy(), matrix(batch.column("vector"), layout)

    @cached_property
    def _held(self) -> tuple[Ints, NDArray[Any]]:
        """``[N]`` rising numbers of rows and their ``[N, B]`` vectors."""
        layout, size = self._rows.layout, len(self._rows)
        numbers, values, start = np.empty(size, np.int64), np.empty((size, layout.width), layout.dtype), 0
        for some, block in self._read():
            numbers[start : start + len(some)], values[start : start + len(some)] = some, block
            start += len(some)
        if (np.diff(numbers) > 0).all():
            return numbers, values
        order = np.argsort(numbers)
        return numbers[order], values[order]


def _chosen(numbers: Ints, values: NDArray[Any], places: Ints) -> Iterator[tuple[Ints, NDArray[Any]]]:
    for start in range(0, len(places), BLOCK):
        part = places[start : start + BLOCK]
        yield numbers[part], values[part]
