"""What a server searches: one small protocol, and the table of vectors behind it."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Protocol, TypeAlias

from plait.retrieval.index import Index
from plait.step import Composite
from plait.store.ranking import Hit, check_same
from plait.store.records import Record
from plait.types import DataError, Floats, PlaitError

Value: TypeAlias = str | int | float | bool
Where: TypeAlias = Mapping[str, Sequence[Value]]
"""Fields of the metadata, and the values that each may have."""


SETTLED = 2.0
"""Seconds without a write after which a change is taken in: large additions are many writes."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Some of a collection's records, to show what is in it.

    Attributes:
        records: texts, ids and metadata.
        vectors: ``[n, D]``.
    """

    records: Sequence[Record]
    vectors: Floats


class Searchable(Protocol):
    """A collection that a server can search.

    Attributes:
        name: that clients ask for.
        recipe: that reads the queries.
    """

    name: str

    @property
    def recipe(self) -> Composite: ...
    def __len__(self) -> int: ...

    def search(self, query: str, k: int, where: Where) -> list[Hit]:
        """The k best for a query among those that fit the filter, best first."""

    def sample(self, number: int) -> Sample:
        """Records spread over the collection."""

    def refresh(self) -> bool:
        """Take in what was written since it was last looked at; says whether there was anything."""


class TableIndex:
    """A table that ``plait index`` wrote, searched as it says: by meaning, by words too, in passages.

    What others write to it is not seen before `refresh`; searches go on meanwhile, over what was there before.

    Args:
        folder: where it lies.
        recipe: that it has to be of; None takes the one that is kept in it.

    Attributes:
        name: that clients ask for; the folder's.

    Raises:
        DataError: if there is no table, or it is damaged.
        RecipeError: if another recipe made it, with both named.

    Example:
        >>> from plait import MeanPool, StaticTable
        >>> from plait.store import Table
        >>> texts = ["a plane takes off", "a man plays the flute"]
        >>> _ = Table.create("sentences", StaticTable("wordllama") | MeanPool(), texts)
        >>> index = TableIndex("sentences")
        >>> index.name, index.search("aircraft", 1, {})[0].text
        ('sentences', 'a plane takes off')
    """

    def __init__(self, folder: str | Path, recipe: Composite | None = None) -> None:
        self.folder = Path(folder)
        self.name = self.folder.absolute().name
        try:
            self._index = Index.open(self.folder)
            self._stamp = self._index.table.stamp
            self.search("a query", 1, {})
        except PlaitError:
            raise
        except (OSError, RuntimeError, ValueError) as error:
            raise DataError(f"{folder} is damaged and cannot be searched; make it again with plait index") from error
        if recipe is not None:
            check_same(self.folder, str(self.recipe), self._index.table.fingerprint, recipe)

    @property
    def recipe(self) -> Composite:
        """The recipe that made it."""
        return self._index.table.recipe

    def __len__(self) -> int:
        return len(self._index)

    def search(self, query: str, k: int, where: Where) -> list[Hit]:
        """The k texts nearest to a query that fit the filter, best first."""
        return self._index.search(query, k, where or None)

    def sample(self, number: int) -> Sample:
        """Records spread evenly over the table."""
        return Sample(*self._index.table.sample(number))

    def refresh(self) -> bool:
        """Take in what was written since it was last looked at, once nothing was written for two seconds.

        Returns:
            Whether there was anything.

        Raises:
            DataError: if the table is damaged; it is looked at again after the next write.
            RecipeError: if it was made anew by another recipe.
        """
        try:
            stamp = self._index.table.stamp
        except OSError:  # another one is just taking its place
            return False
        if stamp == self._stamp or time.time() - stamp[0] / 1e9 < SETTLED:
            return False
        self._stamp = stamp
        self._index = self._index.reopened()
        return True


def open_indexes(folders: Sequence[Path], recipe: Composite) -> list[TableIndex]:
    """Tables to search, each under a name of its own.

    Args:
        folders: where they lie.
        recipe: that the first has to be of; the others may be of any, to be compared with it.
    """
    found: list[TableIndex] = []
    for folder in folders:
        index = TableIndex(folder, None if found else recipe)
        index.name = unused_name(index.name, [other.name for other in found])
        found.append(index)
    return found


def unused_name(name: str, taken: Collection[str]) -> str:
    """The name, with a number behind it if it is taken.

    >>> unused_name("table", ["table"])
    'table-2'
    """
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    return next(name for name in names if name not in taken)
