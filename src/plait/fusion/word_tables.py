"""Word tables that are to be fused: reading them, making them alike, and which rows of two are the same word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np

from plait.step import unit_rows
from plait.transforms.principal import Pca
from plait.types import DataError, Floats, Ints, RecipeError


class KeyedVectorsLike(Protocol):
    """What is asked of a gensim table."""

    @property
    def index_to_key(self) -> Sequence[str]: ...
    @property
    def vectors(self) -> Floats: ...


WordTable: TypeAlias = "KeyedVectorsLike | tuple[Sequence[str], Floats]"
Dictionaries: TypeAlias = Mapping[tuple[int, int], Sequence[tuple[str, str]]]
"""Pairs of words that mean the same, by the numbers of the two tables that they stand in."""


@dataclass(frozen=True, eq=False)
class Source:
    """One table.

    Attributes:
        words: all different.
        vectors: ``[V, D]``.
    """

    words: Sequence[str]
    vectors: Floats

    @cached_property
    def row(self) -> dict[str, int]:
        """Row of each word."""
        return {word: number for number, word in enumerate(self.words)}


def read_source(table: WordTable, number: int) -> Source:
    """A table as words and rows; ``number`` is for the message.

    Raises:
        DataError: if words and rows do not fit each other, a word comes twice, or a row holds NaN or infinity.
    """
    words, vectors = table if isinstance(table, tuple) else (table.index_to_key, table.vectors)
    array = np.asarray(vectors, np.float32)
    where = f"word table {number}"
    if array.ndim != 2 or array.shape[1] == 0 or len(words) != len(array) or not len(words):
        raise DataError(f"{where} has {len(words)} words and vectors of shape {array.shape}; expected one row a word")
    if len(set(words)) < len(words):
        raise DataError(f"{where} has {len(words)} words, but only {len(set(words))} different ones; keep one row each")
    if not np.isfinite(array).all():
        raise DataError(f"{where} holds NaN or infinity; drop those rows")
    return Source(words, array)


def normalized(source: Source, normalize: str | None) -> Source:
    """Rows at length 1; "unit_center_unit" then takes the mean row off and brings them to length 1 again.

    Raises:
        RecipeError: for an unknown way.
    """
    if normalize is None:
        return source
    if normalize not in ("unit", "unit_center_unit"):
        raise RecipeError(f'normalize is {normalize!r}; expected "unit_center_unit", "unit" or None')
    rows = unit_rows(source.vectors)
    if normalize == "unit_center_unit":
        rows = unit_rows(rows - rows.mean(axis=0, dtype=np.float64))
    return Source(source.words, rows)


def of_width(source: Source, width: int) -> Source:
    """The table at ``width`` numbers a word: zeros are added, or the principal components kept. Cosines survive."""
    have = source.vectors.shape[1]
    if have > width:
        # The reduction must not move the origin: the rows were centred already, as far as that was asked for.
        axes = Pca(width).fit(source.vectors).axes_
        return Source(source.words, np.asarray(source.vectors @ axes.T, np.float32))
    return Source(source.words, np.pad(source.vectors, [(0, 0), (0, width - have)]))


def same_words(sources: Sequence[Source], one: int, other: int, dictionaries: Dictionaries) -> tuple[Ints, Ints]:
    """Rows of two tables that are the same word: equal strings, and pairs of a dictionary for these two tables."""
    left, right = sources[one].row, sources[other].row
    pairs = [(word, word) for word in left if word in right]
    pairs += [(a, b) for a, b in dictionaries.get((one, other), ()) if a in left and b in right]
    pairs += [(a, b) for b, a in dictionaries.get((other, one), ()) if a in left and b in right]
    unique = list(dict.fromkeys(pairs))
    return np.array([left[a] for a, _ in unique], np.int64), np.array([right[b] for _, b in unique], np.int64)
