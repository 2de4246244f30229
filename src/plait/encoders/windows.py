"""From texts to token ids in windows of a model's length, and which of them each text or word pools."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from plait.types import Ints


class PlainTokenizer:
    """A tokenizer without truncation and padding, and the specials it puts around a text."""

    def __init__(self, tokenizer: Any) -> None:
        self.backend = copy.deepcopy(tokenizer.backend_tokenizer)
        self.backend.no_truncation()
        self.backend.no_padding()
        bare = self.backend.encode("a", add_special_tokens=False).ids
        full = self.backend.encode("a", add_special_tokens=True).ids
        start = next((i for i in range(len(full) - len(bare) + 1) if full[i : i + len(bare)] == bare), 0)
        self.prefix: list[int] = full[:start]
        self.suffix: list[int] = full[start + len(bare) :]
        self.specials = {"eos": tokenizer.eos_token or tokenizer.sep_token or "", "blank": _unused(tokenizer)}

    def window(self, limit: int) -> int:
        """Tokens of a full window, specials included."""
        return len(self.prefix) + limit + len(self.suffix)

    def windows(self, ids: list[int], limit: int) -> list[int]:
        """The ids in windows of at most ``limit``, one after the other, each between the specials."""
        starts = range(0, max(1, len(ids)), limit)
        return [i for start in starts for i in (*self.prefix, *ids[start : start + limit], *self.suffix)]

    def places(self, count: int, limit: int) -> Ints:
        """Where the first ``count`` ids of a text stand among its windows."""
        number = np.arange(count)
        return number // limit * self.window(limit) + len(self.prefix) + number % limit

    def encode(self, texts: Sequence[str], offsets: bool) -> list[Any]:
        """The tokenizer's own encodings, with character offsets or (faster) without."""
        clean = [text if text.isascii() else text.encode("utf-8", "replace").decode() for text in texts]
        encode = self.backend.encode_batch if offsets else self.backend.encode_batch_fast
        return encode(clean, add_special_tokens=False)  # type: ignore[no-any-return]


def _unused(tokenizer: Any) -> str:
    """A token that stands for itself in any text and was never trained on: one kept free, else the padding token."""
    added = [token.content for _, token in sorted(tokenizer.added_tokens_decoder.items())]
    return next((token for token in added if "unused" in token), tokenizer.pad_token or "")


def window_lengths(lengths: Ints, window: int) -> Ints:
    """Lengths of the windows of each item: full ones, then what is left."""
    full, rest = lengths // window, lengths % window
    sizes = np.column_stack([np.full_like(full, window), rest]).ravel()
    return np.repeat(sizes, np.column_stack([full, rest > 0]).ravel())


def text_units(offsets: Ints, window: int, skip: int) -> tuple[Ints, Ints, Ints]:
    """One unit a text: all its tokens but the first ``skip`` of every window."""
    place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))
    kept = place % window >= skip
    before = np.concatenate([[0], np.cumsum(kept)])
    return np.flatnonzero(kept), before[offsets], np.arange(len(offsets))


def word_units(
    items: Sequence[tuple[str, ...]],
    encodings: Sequence[Any],
    starts: Ints,
    cut: Ints,
    plain: PlainTokenizer,
    limit: int,
) -> tuple[Ints, Ints, Ints]:
    """One unit a word: the tokens whose last character lies in it."""
    index: list[Ints] = []
    sizes: list[Ints] = []
    for item, encoding, start, lost in zip(items, encodings, starts, cut, strict=True):
        spans = np.array(encoding.offsets[: len(encoding.ids) - lost], np.int64).reshape(-1, 2)
        real, word = words_of(spans, item)
        index.append(start + plain.places(len(spans), limit)[real])
        sizes.append(np.bincount(word, minlength=len(item)))
    return joined(index, np.concatenate([np.zeros(0, np.int64), *sizes]), [len(item) for item in items])


def words_of(spans: Ints, words: Sequence[str]) -> tuple[Ints, Ints]:
    """Which tokens lie in words that are joined by spaces, and in which word: ``[E]`` and ``[E]``, by word."""
    ends = np.cumsum([len(word) + 1 for word in words])
    real = np.flatnonzero((spans[:, 1] > spans[:, 0]) & (spans[:, 1] > 0) & (spans[:, 1] <= ends[-1:].sum()))
    return real, np.searchsorted(ends, spans[real, 1] - 1, side="right")


def joined(index: Sequence[Ints], sizes: Ints, units: Sequence[int]) -> tuple[Ints, Ints, Ints]:
    """Index, bounds and units of `Tokens`, from each item's tokens, each unit's number of them, each item's units."""
    flat = np.concatenate([np.zeros(0, np.int64), *index])
    return flat, np.concatenate([[0], np.cumsum(sizes)]), np.concatenate([[0], np.cumsum(units)])
