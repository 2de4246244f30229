"""From texts to token ids in windows of a model's length, and which of them each text or word pools."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from plait.types import Ints, Tokens


class PlainTokenizer:
    """A tokenizer without truncation and padding, and the specials it puts around a text.

    Args:
        backend: of the ``tokenizers`` library; it is copied.
        specials: what the slots ``{eos}`` and ``{blank}`` of a prompt are to the model.
    """

    def __init__(self, backend: Any, specials: Mapping[str, str]) -> None:
        self.backend = copy.deepcopy(backend)
        self.backend.no_truncation()
        self.backend.no_padding()
        bare = self.backend.encode("a", add_special_tokens=False).ids
        full = self.backend.encode("a", add_special_tokens=True).ids
        start = next((i for i in range(len(full) - len(bare) + 1) if full[i : i + len(bare)] == bare), 0)
        self.prefix: list[int] = full[:start]
        self.suffix: list[int] = full[start + len(bare) :]
        self.specials = dict(specials)

    @cached_property
    def vocabulary(self) -> int:
        """V: ids are below it."""
        ids: dict[str, int] = self.backend.get_vocab(with_added_tokens=True)
        return 1 + max(ids.values())

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """Ids that stand for no word: padding, the unknown, what stands around a text."""
        added = self.backend.get_added_tokens_decoder()
        return frozenset(number for number, token in added.items() if token.special)

    def encode(self, texts: Sequence[str], offsets: bool) -> list[Any]:
        """The tokenizer's own encodings, with character offsets or (faster) without."""
        clean = [text if text.isascii() else text.encode("utf-8", "replace").decode() for text in texts]
        encode = self.backend.encode_batch if offsets else self.backend.encode_batch_fast
        return encode(clean, add_special_tokens=False)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Windows:
    """How a text of any length is split: one window after the other, each between the specials.

    Attributes:
        prefix: ids at the start of a window.
        suffix: ids at its end.
        limit: ids of the text in a full window.
        overlap: ids that every window but the first repeats from the one before it.
    """

    prefix: list[int]
    suffix: list[int]
    limit: int
    overlap: int = 0

    @property
    def size(self) -> int:
        """Tokens of a full window, specials included."""
        return len(self.prefix) + self.limit + len(self.suffix)

    def split(self, ids: list[int]) -> list[int]:
        """The ids with all that stands around and between them."""
        starts = range(0, max(1, len(ids) - self.overlap), self.limit - self.overlap)
        return [i for start in starts for i in (*self.prefix, *ids[start : start + self.limit], *self.suffix)]

    def places(self, count: int) -> Ints:
        """Where the first ``count`` ids of a text stand: of two places the one with more text before it."""
        number, stride = np.arange(count), self.limit - self.overlap
        window = np.maximum(number - self.overlap, 0) // stride
        places: Ints = window * self.size + len(self.prefix) + number - window * stride
        return places

    def lengths(self, tokens: Ints) -> Ints:
        """Lengths of the windows of items of so many tokens: full ones, then what is left."""
        full, rest = tokens // self.size, tokens % self.size
        sizes = np.column_stack([np.full_like(full, self.size), rest]).ravel()
        return np.repeat(sizes, np.column_stack([full, rest > 0]).ravel())

    def units(self, offsets: Ints, skip: int) -> tuple[Ints, Ints, Ints]:
        """One unit a text: all its tokens but the first ``skip`` of every window and those that are repeated."""
        place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))
        inside = place % self.size - len(self.prefix)
        repeated = (place >= self.size) & (inside >= 0) & (inside < self.overlap)
        kept = (inside >= skip - len(self.prefix)) & ~repeated
        before = np.concatenate([[0], np.cumsum(kept)])
        return np.flatnonzero(kept), before[offsets], np.arange(len(offsets))

    def spans(self, text: str, offsets: Ints, size: int) -> Ints:
        """``[size, 2]`` `Tokens.spans` of one text.

        Args:
            text: without the prompt in front.
            offsets: ``[T, 2]`` characters of its ids, those of the prompt at negative numbers.
            size: tokens that the text was split to.
        """
        spans = np.tile(np.array(NOWHERE), (size, 1))
        spans[: len(self.prefix)] = -1, 0
        spans[size - len(self.suffix) :] = len(text), len(text) + 1
        spans[self.places(len(offsets))] = offsets
        return spans


NOWHERE = (0, -1)
"""The span of a token that stands for nothing in the text: a special between two windows, a repeated token."""


def word_units(
    items: Sequence[tuple[str, ...]],
    encodings: Sequence[Any],
    starts: Ints,
    cut: Ints,
    windows: Windows,
) -> tuple[Ints, Ints, Ints]:
    """One unit a word: the tokens whose last character lies in it."""
    index: list[Ints] = []
    sizes: list[Ints] = []
    for item, encoding, start, lost in zip(items, encodings, starts, cut, strict=True):
        spans = np.array(encoding.offsets[: len(encoding.ids) - lost], np.int64).reshape(-1, 2)
        real, word = words_of(spans, item)
        index.append(start + windows.places(len(spans))[real])
        sizes.append(np.bincount(word, minlength=len(item)))
    return joined(index, np.concatenate([np.zeros(0, np.int64), *sizes]), [len(item) for item in items])


def text_spans(
    texts: Sequence[str], encodings: Sequence[Any], cut: Ints, windows: Windows, sizes: Ints, before: int
) -> Ints:
    """`Tokens.spans` of texts that stand behind ``before`` characters of a prompt."""
    rows = [np.zeros((0, 2), np.int64)]
    for text, encoding, lost, size in zip(texts, encodings, cut.tolist(), sizes.tolist(), strict=True):
        offsets = np.array(encoding.offsets[: len(encoding.ids) - lost], np.int64).reshape(-1, 2)
        rows.append(windows.spans(text, offsets - before, size))
    return np.concatenate(rows)


def words_of(spans: Ints, words: Sequence[str]) -> tuple[Ints, Ints]:
    """Which tokens lie in words that are joined by spaces, and in which word: ``[E]`` and ``[E]``, by word."""
    ends = np.cumsum([len(word) + 1 for word in words])
    real = np.flatnonzero((spans[:, 1] > spans[:, 0]) & (spans[:, 1] > 0) & (spans[:, 1] < ends[-1:].sum()))
    return real, np.searchsorted(ends, spans[real, 1] - 1, side="right")


def joined(index: Sequence[Ints], sizes: Ints, units: Sequence[int]) -> tuple[Ints, Ints, Ints]:
    """Index, bounds and units of `Tokens`, from each item's tokens, each unit's number of them, each item's units."""
    flat = np.concatenate([np.zeros(0, np.int64), *index])
    return flat, np.concatenate([[0], np.cumsum(sizes)]), np.concatenate([[0], np.cumsum(units)])


def common_prefix(tokens: Tokens) -> int:
    """How many ids all items begin with, one left to each at least; 0 for fewer than two items."""
    shortest = int(tokens.lengths.min(initial=len(tokens.ids)))
    if len(tokens) > 1:
        for place in range(shortest - 1):
            if np.ptp(tokens.ids[tokens.offsets[:-1] + place]):
                return place
        return max(0, shortest - 1)
    return 0
