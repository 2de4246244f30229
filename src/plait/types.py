"""What flows through a recipe, and the errors that stop it.

``Items ──tokenise──▶ Tokens ──encode──▶ States ──layers, pool──▶ Vectors ──compress──▶ Codes``

Ragged data is always a flat array with offsets, never padded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Ints: TypeAlias = NDArray[np.int64]
Text: TypeAlias = "str | tuple[str, ...]"
ROUTER_PROBS, ROUTER_LOGITS = -1, -2
"""Numbers that stand for the routers' weights where a layer's number stands: probabilities, and their logits."""
Items: TypeAlias = Sequence[Text]
"""Inputs: texts, or sentences already split into words (a tuple of str). One kind in one call."""


class PlaitError(ValueError):
    """A mistake that the caller can mend: the message says what came, what was expected and what to do."""


class RecipeError(PlaitError):
    """A recipe that cannot be composed, parsed, fitted or run."""


class DataError(PlaitError):
    """Input data that cannot be read or used."""


class ModelError(PlaitError):
    """A model that is not there, is damaged, or cannot give what was asked of it."""


class MissingExtra(PlaitError, ImportError):
    """An optional dependency that is not installed; the message names the extra."""


def ranges(starts: Ints, ends: Ints) -> Ints:
    """Join the integer ranges ``[start, end)`` into one flat array.

    >>> ranges(np.array([3, 10]), np.array([5, 11])).tolist()
    [3, 4, 10]
    """
    lengths = ends - starts
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])


@dataclass(frozen=True, eq=False)
class Tokens:
    """Token ids of N items, and which of them each of U units pools.

    A *unit* is what gets one vector: the whole text, or each word of a sentence given as words. Unit ``u`` pools the
    tokens ``index[bounds[u]:bounds[u + 1]]``; a token that no unit names (the first token of a decoder, the
    specials around words) is never pooled.

    Attributes:
        ids: ``[T]`` token ids of all items, one after the other.
        offsets: ``[N + 1]``; item ``n`` owns ``ids[offsets[n]:offsets[n + 1]]``.
        index: ``[E]`` positions in ``ids``.
        bounds: ``[U + 1]`` positions in ``index``.
        units: ``[N + 1]``; item ``n`` owns units ``units[n]:units[n + 1]``.
        cut: ``[N]`` how many tokens of each item the length limit dropped.
        spans: ``[T, 2]`` first character and the one after the last of each token, in the item's own text; None unless
            asked for. What stands before the text ends at 0 or below, what stands after it begins at its length or
            above; a token whose span ends before it begins stands for nothing in it.
    """

    ids: NDArray[np.int32]
    offsets: Ints
    index: Ints
    bounds: Ints
    units: Ints
    cut: Ints
    spans: Ints | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Ints:
        """``[N]`` tokens of each item."""
        return np.diff(self.offsets)

    def take(self, rows: Ints) -> Tokens:
        """The items ``rows``, in that order."""
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        kept = ranges(self.offsets[rows], self.offsets[rows + 1])
        units = ranges(self.units[rows], self.units[rows + 1])
        entries = ranges(self.bounds[units], self.bounds[units + 1])
        per_unit = self.bounds[units + 1] - self.bounds[units]
        per_item = self.units[rows + 1] - self.units[rows]
        item_of_entry = np.repeat(np.repeat(np.arange(len(rows)), per_item), per_unit)
        shift = offsets[:-1] - self.offsets[rows]
        return Tokens(
            ids=self.ids[kept],
            offsets=offsets,
            index=self.index[entries] + shift[item_of_entry],
            bounds=np.concatenate([[0], np.cumsum(per_unit)]),
            units=np.concatenate([[0], np.cumsum(per_item)]),
            cut=self.cut[rows],
            spans=None if self.spans is None else self.spans[kept],
        )


class States:
    """Hidden states of chosen layers for every token, packed without padding.

    Args:
        values: ``[L, T, D]`` float32.
        layers: which layer each of the L planes is; 0 is the embedding output, ``depth`` the last.
        tokens: the tokens that the states belong to.
        extra: ``[T, W]`` planes of another width than the states, by their reserved number, such as `ROUTER_PROBS`.
    """

    extra: Mapping[int, Floats] = MappingProxyType({})

    def __init__(
        self, values: Floats, layers: tuple[int, ...], tokens: Tokens, extra: Mapping[int, Floats] | None = None
    ) -> None:
        self._values, self.layers, self.tokens = values, layers, tokens
        self.extra = extra or {}

    @property
    def values(self) -> Floats:
        """``[L, T, D]`` states."""
        return self._values

    def layer(self, number: int) -> Floats:
        """``[T, D]`` states of one layer, or an extra plane."""
        if number < 0:
            if number not in self.extra:
                raise ModelError("these states came without the routers' weights; encode with a recipe to get them")
            return self.extra[number]
        plane: Floats = self.values[self.layers.index(number)]
        return plane

    def over(self, tokens: Tokens) -> States:
        """The same states, with other units over the same ids."""
        return States(self._values, self.layers, tokens, self.extra)

    def weighted(self, weights: Floats) -> Floats:
        """Weighted sums of each unit's token states: ``[K, E]`` weights to ``[L, K, U, D]`` vectors."""
        from scipy.sparse import csr_matrix

        tokens, (kinds, entries) = self.tokens, weights.shape
        units = len(tokens.bounds) - 1
        bounds = (tokens.bounds[:-1] + entries * np.arange(kinds)[:, None]).ravel()
        matrix = csr_matrix(
            (weights.ravel(), np.tile(tokens.index, kinds), np.append(bounds, kinds * entries)),
            shape=(kinds * units, len(tokens.ids)),
        )
        sums: Floats = np.stack([matrix @ plane for plane in self.values])
        return sums.reshape(len(sums), kinds, units, self.values.shape[-1])


class TableStates(States):
    """States of a static table, as a look-up that is not carried out until somebody needs the token vectors.

    ``weighted`` multiplies a sparse unit × vocabulary matrix with the table, so that no token vector is ever copied.

    Args:
        table: ``[V, D]`` vectors of the vocabulary.
        tokens: what to look up.
    """

    def __init__(self, table: Floats, tokens: Tokens) -> None:
        self.table, self.layers, self.tokens = table, (0,), tokens

    @property
    def values(self) -> Floats:
        return self.table[self.tokens.ids][None]

    def over(self, tokens: Tokens) -> TableStates:
        return TableStates(self.table, tokens)

    def weighted(self, weights: Floats) -> Floats:
        from scipy.sparse import csr_matrix

        ids, units = self.tokens.ids[self.tokens.index], len(self.tokens.bounds) - 1
        shape = (units, len(self.table))
        sums = [csr_matrix((row, ids, self.tokens.bounds), shape=shape) @ self.table for row in weights]
        return np.stack(sums)[None]


@dataclass(frozen=True, eq=False)
class Vectors:
    """One vector a unit, float32.

    Attributes:
        values: ``[U, D]``.
        units: ``[N + 1]``; item ``n`` owns rows ``units[n]:units[n + 1]``. None when each item has one row.
        fingerprint: of the recipe that made them; stores refuse a query from another one.
        spans: ``[U, 2]`` which characters of its item each row stands for, where texts were cut into chunks.
    """

    values: Floats
    units: Ints | None = None
    fingerprint: str = ""
    spans: Ints | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def nbytes(self) -> int:
        """Bytes of one vector."""
        return int(self.values.shape[1] * self.values.itemsize)


@dataclass(frozen=True, eq=False)
class Codes:
    """Compressed vectors.

    Attributes:
        values: ``[U, B]`` int8 numbers, or packed bits as uint8.
        quantiser: the fitted step that made them; its ``inverse_transform`` gives ``[U, D]`` floats back.
        units: as in `Vectors`.
        fingerprint: as in `Vectors`.
        spans: as in `Vectors`.
    """

    values: NDArray[np.int8] | NDArray[np.uint8]
    quantiser: object
    units: Ints | None = None
    fingerprint: str = ""
    spans: Ints | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def nbytes(self) -> int:
        """Bytes of one code."""
        return int(self.values.shape[1] * self.values.itemsize)
