"""`StaticTable`: one vector a token, without context, as the first step of a recipe."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from plait.bank import digest
from plait.encoders.tables import Table, load_table
from plait.roles import Encoder
from plait.tokenization.fast import FlatTokenizer
from plait.types import DataError, Ints, Items, ModelError, RecipeError, States, TableStates, Tokens

_ENOUGH = 100
"""Tokens below which a share of unknown words says little."""


class StaticTable(Encoder):
    """A static table: text to one vector a token, looked up.

    Its only layer is 0. Tokens that the table's own library leaves out (words that it does not know) are never pooled.

    Args:
        model: name of weights inside an installed package ("wordllama"), a model2vec or sentence-transformers folder,
            a safetensors file with a ``tokenizer.json`` beside it, a file of word vectors (word2vec text or binary,
            GloVe, fastText ``.vec``), or a Hugging Face id.
        lowercase: lower-case the text first. None does what the table's tokenizer does; for word vectors, which have
            none, it looks a word up as it is written and then in lower case.
        max_length: tokens of a text that are read; None reads all, since a look-up has no positions to run out of.
        tensor: name of the two-dimensional tensor, for files that hold several.

    Raises:
        ModelError: if the table is not there, is damaged, or cannot be told from the file's other tensors.
        DataError: if a file of word vectors does not keep to its format, or an item is no text.

    Example:
        >>> table = StaticTable("wordllama")
        >>> tokens = table.tokenize(["a first text", ""])
        >>> tokens.lengths.tolist(), table.states(tokens, (0,)).layer(0).shape
        ([3, 0], (3, 256))
    """

    budget = 1 << 16

    def __init__(
        self, model: str, lowercase: bool | None = None, max_length: int | None = None, tensor: str | None = None
    ) -> None:
        self.model = model
        self.lowercase = lowercase
        self.max_length = max_length
        self.tensor = tensor

    @property
    def table(self) -> Table:
        """The loaded table; loaded at first use and shared by equal steps."""
        return load_table(self.model, self.tensor, self.lowercase)

    @property
    def width(self) -> int:
        return int(self.table.vectors.shape[1])

    @property
    def depth(self) -> int:
        return 0

    @property
    def nbytes(self) -> int:
        return int(self.table.vectors.nbytes)

    @property
    def fingerprint(self) -> str:
        return digest(str(self), str(self.version), self.table.key)

    @property
    def reader(self) -> TableReader:
        """How it reads texts; needs the tokenizer alone."""
        if self.max_length is not None and self.max_length < 1:
            raise RecipeError(f"{self}: max_length is {self.max_length}; expected 1 or more, or None")
        table = self.table
        return TableReader(
            table.flat, table.ignored, bool(self.lowercase) and not table.counts_unknown, self.max_length
        )

    def tokenize(self, items: Items) -> Tokens:
        tokens = self.reader(items)
        if self.table.counts_unknown:
            self._warn(len(tokens.ids) - len(tokens.index), len(tokens.ids))
        return tokens

    def states(self, tokens: Tokens, layers: tuple[int, ...]) -> States:
        if layers != (0,):
            raise ModelError(f"{self} has layer 0 only, not {', '.join(map(str, layers))}")
        return TableStates(self.table.vectors, tokens)

    def unknown(self, items: Items) -> tuple[int, int]:
        """How many tokens of the items are left out as unknown, and how many there are.

        Example:
            >>> StaticTable("wordllama").unknown(["everything is known"])
            (0, 3)
        """
        tokens = self.tokenize(items)
        return len(tokens.ids) - len(tokens.index), len(tokens.ids)

    def _warn(self, unknown: int, total: int) -> None:
        if total >= _ENOUGH and 2 * unknown > total:
            hint = "" if self.lowercase is None else "; lowercase=None tries both cases"
            known = f"{total - unknown:,} of {total:,} words"
            warnings.warn(f"{self} knows {known}; the others are left out{hint}", stacklevel=3)


@dataclass(frozen=True)
class TableReader:
    """What decides the tokens of a text in a static table.

    Attributes:
        flat: the tokenizer.
        ignored: id of the token that is never pooled; None when all are.
        lowercase: lower-case the text first.
        max_length: tokens of a text that are read; None reads all.
    """

    flat: FlatTokenizer
    ignored: int | None = None
    lowercase: bool = False
    max_length: int | None = None

    def __call__(self, items: Items) -> Tokens:
        """Tokens of the items; they tell how much was cut."""
        texts, units = _texts(items)
        ids, bounds = self.flat([text.lower() for text in texts] if self.lowercase else texts)
        offsets = bounds[units]
        lengths = np.diff(offsets)
        cut = np.zeros(len(items), np.int64)
        if self.max_length is not None and lengths.max(initial=0) > self.max_length:
            place = np.arange(len(ids)) - np.repeat(offsets[:-1], lengths)
            ids, bounds = _only(place < self.max_length, ids, bounds)
            cut = np.maximum(lengths - self.max_length, 0)
            offsets = bounds[units]
        index = np.arange(len(ids))
        if self.ignored is not None:
            index, bounds = _only(ids != self.ignored, index, bounds)
        return Tokens(ids, offsets, index, bounds, units, cut)


def _texts(items: Items) -> tuple[list[str], Ints]:
    """One text a unit, and ``[N + 1]`` units of each item."""
    texts = [item for item in items if isinstance(item, str)]
    if len(texts) == len(items):
        return texts, np.arange(len(items) + 1)
    expected = str if isinstance(items[0], str) else tuple
    for number, item in enumerate(items):
        if not isinstance(item, expected):
            raise DataError(f"item {number} is {type(item).__name__}; expected texts only, or tuples of words only")
        if wrong := [type(word).__name__ for word in item if not isinstance(word, str)]:
            raise DataError(f"item {number} holds {wrong[0]}; expected words")
    return [word for item in items for word in item], np.concatenate([[0], np.cumsum([len(item) for item in items])])


def _only(keep: np.ndarray, values: np.ndarray, bounds: Ints) -> tuple[np.ndarray, Ints]:
    """The kept values, and where each unit's lie now."""
    before = np.concatenate([[0], np.cumsum(keep)])
    return values[keep], before[bounds]
