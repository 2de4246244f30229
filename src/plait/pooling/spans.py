"""Chunks of a text pooled after the whole of it was read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from plait.chunks import Chunked
from plait.pooling.mean import MeanPool
from plait.types import DataError, Ints, Items, RecipeError, Tokens, ranges

Chunker: TypeAlias = Callable[[str], Sequence[tuple[int, int]]]
"""A text to the characters ``[start, end)`` of its chunks."""

_SENTENCE_START = re.compile(r"(?:(?<=[.!?…])[\"'”’)\]]*\s+|\n\s*)(?=\S)|(?<=[。！？])(?=\S)")
_WANTED = 'expected tokens a chunk (64), sentences a chunk ("sentences:5"), or a function from a text to its chunks'


class SpanPool(MeanPool):
    """The mean of each chunk's token states: late chunking. A document has one vector a chunk.

    The encoder reads the whole document, so that a chunk's vector knows what stands around it: what "it" or "the city"
    refers to. Needs an encoder whose texts are averaged; no training. Queries are never cut. In retrieval a document
    scores as high as its best chunk. All chunk sizes share the encoder's one pass. A document beyond the encoder's
    length is read whole with ``Transformer(..., on_overflow="chunk", overlap=64)``.

    A token belongs to the chunk that holds its last character. What stands before the text ([CLS], a prompt) goes to
    the chunk of its first token, what stands after it to that of its last one: a text in one chunk has the vector that
    `MeanPool` gives. Chunks of which no token was read, beyond the length limit, are dropped, and counted in
    `plait.plan.PassReport.chunked`.

    Args:
        chunks: tokens a chunk, "sentences:N" for N sentences a chunk, or a function from a text to the characters
            ``[(start, end), ...]`` of its chunks, which may overlap or leave parts out. A recipe with a function has no
            text form and cannot be saved.

    Raises:
        RecipeError: if ``chunks`` is none of these, or the encoder does not tell where its tokens stand.
        DataError: if items are words, a chunk lies outside its text, or a text is left without a chunk.

    Source: Late Chunking: Contextual Chunk Embeddings Using Long-Context Embedding Models, arXiv 2409.04701.

    Example:
        >>> from plait import Transformer
        >>> recipe = Transformer("all-MiniLM-L6-v2") | SpanPool("sentences:1")
        >>> found = recipe.encode(["Berlin is a city. It has many lakes.", "A short text."])
        >>> found.values.shape, found.units.tolist()
        ((3, 384), [0, 2, 3])
        >>> found.spans.tolist()
        [[0, 18], [18, 36], [0, 13]]
    """

    def __init__(self, chunks: int | str | Chunker = 64) -> None:
        self.chunks = chunks

    def chunked(self, tokens: Tokens, items: Items) -> Chunked:
        """The tokens with chunks as units.

        Args:
            tokens: of the items, one unit each, with their spans.
            items: texts.
        """
        cut = self._cutter()
        if len(items) and not isinstance(items[0], str):
            raise DataError(f"{self} cuts texts into chunks; got tuples of words: join the words first")
        if tokens.spans is None:
            raise DataError(f"{self} was given tokens without spans; ask the encoder for those of `spanned`")
        index, sizes, found, empty = [_NONE], [], [np.zeros((0, 2), np.int64)], 0
        for number, item in enumerate(items):
            entries = tokens.index[tokens.bounds[number] : tokens.bounds[number + 1]]
            spans, first, last, order = _places(
                str(item), tokens.spans[entries], bool(tokens.cut[number]), cut, f"{self}, text {number}"
            )
            kept = last > first
            kept[0] |= not kept.any()  # an empty text keeps its one vector
            index.append(entries[order][ranges(first[kept], last[kept])])
            sizes.append((last - first)[kept])
            found.append(spans[kept])
            empty += int((~kept).sum())
        bounds = np.concatenate([[0], np.cumsum(np.concatenate([_NONE, *sizes]))])
        units = np.concatenate([[0], np.cumsum([len(size) for size in sizes])]).astype(np.int64)
        return Chunked(
            replace(tokens, index=np.concatenate(index), bounds=bounds, units=units), np.concatenate(found), empty
        )

    def _cutter(self) -> _Cutter:
        """A function from a text, its tokens' spans and the characters that were read to the chunks."""
        chunks = self.chunks
        if callable(chunks):
            return lambda text, spans, read: _given(chunks(text))
        if isinstance(chunks, int) and not isinstance(chunks, bool) and chunks > 0:
            return lambda text, spans, read: by_tokens(spans, chunks, read)
        kind, _, count = str(chunks).partition(":")
        if isinstance(chunks, str) and kind == "sentences" and count.isdigit() and int(count) > 0:
            return lambda text, spans, read: by_sentences(text, int(count))
        raise RecipeError(f"{self}: chunks is {chunks!r}; {_WANTED}")


_Cutter: TypeAlias = Callable[[str, Ints, int], Ints]
_NONE = np.zeros(0, np.int64)


def by_tokens(spans: Ints, size: int, read: int) -> Ints:
    """``[C, 2]`` chunks of ``size`` tokens; together they are the first ``read`` characters.

    >>> by_tokens(np.array([[0, 3], [4, 7], [8, 13]]), 2, read=13).tolist()
    [[0, 8], [8, 13]]
    """
    return _between(spans[size::size, 0], read)


def by_sentences(text: str, count: int) -> Ints:
    """``[C, 2]`` chunks of ``count`` sentences; together they are the whole text.

    A sentence ends at ``. ! ? …`` before a space, at an ideographic full stop, or at a line's end.

    >>> [text[a:b] for text in ["Is it? Yes! So be it."] for a, b in by_sentences(text, 2).tolist()]
    ['Is it? Yes! ', 'So be it.']
    """
    starts = [match.end() for match in _SENTENCE_START.finditer(text) if match.end() > 0]
    return _between(np.array(starts[count - 1 :: count], np.int64), len(text))


def _given(chunks: Sequence[tuple[int, int]]) -> Ints:
    """What a user's function gave, as an array."""
    pairs = [tuple(chunk) for chunk in chunks]
    if not all(len(pair) == 2 and all(isinstance(edge, int | np.integer) for edge in pair) for pair in pairs):
        raise DataError(f"the function of chunks gave {str(pairs)[:80]}; expected (start, end) pairs of whole numbers")
    return np.array(pairs, np.int64).reshape(-1, 2)


def _between(starts: Ints, end: int) -> Ints:
    edges = np.concatenate([[0], starts, [end]])
    return np.column_stack([edges[:-1], edges[1:]])


def _places(text: str, spans: Ints, shortened: bool, cut: _Cutter, where: str) -> tuple[Ints, Ints, Ints, Ints]:
    """Chunks of one text, and which of its tokens are theirs: ``order[first:last]``."""
    last = spans[:, 1] - 1
    order = np.argsort(last, kind="stable")
    order = order[spans[order, 1] >= spans[order, 0]]  # the others stand for nothing in the text
    last = last[order]
    begin, end = np.searchsorted(last, [0, len(text)])
    read = int(last[end - 1]) + 1 if shortened and begin < end else len(text)
    chunks = cut(text, spans[order[begin:end]], read)
    _check(chunks, len(text), where)
    if begin == end:
        return np.array([[0, len(text)]]), np.zeros(1, np.int64), np.array([len(order)]), order
    first, stop = (np.clip(np.searchsorted(last, edge), begin, end) for edge in chunks.T)
    full = stop > first
    if not full.any():
        raise DataError(f"{where}: no token that was read lies in one of its chunks; raise max_length")
    return chunks, np.where(full & (first == begin), 0, first), np.where(full & (stop == end), len(last), stop), order


def _check(chunks: Ints, length: int, where: str) -> None:
    if not len(chunks):
        raise DataError(f"{where}: the function of chunks gave none; expected one (start, end) at least")
    wrong = chunks[(chunks[:, 0] < 0) | (chunks[:, 1] > length) | (chunks[:, 1] < chunks[:, 0])]
    if len(wrong):
        raise DataError(f"{where}: the chunk {tuple(wrong[0].tolist())} lies outside its {length} characters")
