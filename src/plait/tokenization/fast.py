"""Texts to flat token ids, with the ids of words remembered.

Tokenising is nearly all the work of a static model. Words repeat; so a text is split at its spaces, each word is looked
up, and only new words go through the tokenizer. This is done only where it is sound (see
`plait.tokenization.splitting`), and only after both ways agreed on a set of awkward texts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plait.tokenization.splitting import SplitRule, split_rule
from plait.types import Ints, ranges

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Encode = Callable[[Sequence[str]], Sequence[Sequence[int]]]
"""Ids of each text."""

FlatIds = tuple[NDArray[np.int32], Ints]
"""``[T]`` ids of all texts and ``[N + 1]`` offsets."""

BLOCK_TEXTS = 4096
BLOCK_CHARACTERS = 1 << 20
CACHE_WORDS = 1 << 18
CACHE_CHARACTERS = 1 << 24

SAMPLE = (
    "",
    " ",
    "  two  spaces ",
    "A plain sentence, with punctuation: isn't it?",
    "UPPER lower MiXeD naïve café Ærøskøbing",
    "tabs\tand\nlines\r\n and \u00a0no-break\u2003spaces",
    "e\u0301 \u0301x a \u200db zero\u200bwidth \ufeffbom",
    "Straße ΣΊΣΥΦΟΣ ΟΔΟΣ ﬁne İstanbul ǅ",
    "漢字かな交じり文 中文 词语 한국어 문장",
    "किताब நூல் หนังสือ كتاب ספר",
    "emoji 👩‍👩‍👧 🇫🇷 ☝🏽 ✨",
    "3.14 -1e-7 $5 50% #tag @name a_b a-b a/b x=y",
    "http://example.org/a?b=c&d=e user@example.org",
    "´acute ¨diaeresis ½ ² № ™ …",
    "▁mark a▁b a ▁b a▁ b",
    "[CLS] [MASK][SEP] <s> </s><unk> <pad> a<s>b [UNK]",
    "\u0600 1 \u0600\u0661 ؀ a",
    "control\x00\x01\x7f chars \ufffd \U0010ffff",
    "pneumonoultramicroscopicsilicovolcanoconiosis " + "x" * 120,
    "wordsthatdonotexist qzxv kjhgf ÿþ",
)


class FlatTokenizer:
    """Texts to flat ids. Safe to share between threads.

    Args:
        encode: the reference: ids of each text.
        rule: how to split texts into words that can be remembered; None encodes whole texts.

    Example:
        >>> letters = FlatTokenizer(lambda texts: [[ord(c) for c in text] for text in texts], SplitRule())
        >>> ids, offsets = letters(["ab c", "", "ab"])
        >>> ids.tolist(), offsets.tolist()
        ([97, 98, 99, 97, 98], [0, 3, 3, 5])
    """

    def __init__(self, encode: Encode, rule: SplitRule | None) -> None:
        self.encode, self.rule = encode, rule
        self._lock = threading.Lock()
        self._cache = _Cache()

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> FlatTokenizer:
        """For a tokenizer of the ``tokenizers`` library: no special tokens, no truncation, no padding.

        Words are remembered where its description allows it and both ways agree on `SAMPLE`.
        """
        encode, rule = reference(tokenizer), split_rule(tokenizer)
        if rule is not None:
            fast = cls(encode, rule)
            expected = encode(SAMPLE)
            if not _equal(fast(SAMPLE), expected):
                rule = None
        return cls(encode, rule)

    def __call__(self, texts: Sequence[str]) -> FlatIds:
        """``[T]`` ids of all texts and ``[N + 1]`` offsets."""
        with self._lock:
            blocks = [self._block(block) for block in _blocks(texts)]
        ids = np.concatenate([np.zeros(0, np.int32), *(ids for ids, _ in blocks)])
        lengths = np.concatenate([np.zeros(0, np.int64), *(lengths for _, lengths in blocks)])
        return ids, np.concatenate([[0], np.cumsum(lengths)])

    def _block(self, texts: Sequence[str]) -> FlatIds:
        """Flat ids and the length of each text."""
        if self.rule is None:
            return _flatten(self.encode(texts))
        if self._cache.full:
            self._cache = _Cache()
        words, counts = self.rule.split(texts)
        try:
            starts, ends = self._cache.places(words, self.encode)
        except BaseException:  # an interrupt in between would leave words without ids
            self._cache = _Cache()
            raise
        before = np.concatenate([[0], np.cumsum(ends - starts)])
        return self._cache.ids[ranges(starts, ends)], np.diff(before[np.cumsum([0, *counts])])


def flat_ids(tokenizer: Tokenizer | FlatTokenizer, texts: Sequence[str]) -> FlatIds:
    """Ids of all texts in one array, without special tokens.

    Args:
        tokenizer: a `FlatTokenizer`, which remembers words between calls, or a plain one, which is used as it is.
        texts: N texts.

    Returns:
        ``[T]`` ids and ``[N + 1]`` offsets.

    Example:
        >>> from tokenizers import Tokenizer, models, pre_tokenizers
        >>> tokenizer = Tokenizer(models.WordLevel({"a": 0, "text": 1, "?": 2}, unk_token="?"))
        >>> tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        >>> ids, offsets = flat_ids(tokenizer, ["a text", "a new text"])
        >>> ids.tolist(), offsets.tolist()
        ([0, 1, 0, 2, 1], [0, 2, 5])
    """
    flat = tokenizer if isinstance(tokenizer, FlatTokenizer) else FlatTokenizer(reference(tokenizer), None)
    return flat(texts)


def reference(tokenizer: Tokenizer) -> Encode:
    """The tokenizer's own ids: a copy of it without truncation and padding, no special tokens added."""
    from tokenizers import Tokenizer

    plain = Tokenizer.from_str(tokenizer.to_str())
    plain.no_truncation()
    plain.no_padding()

    def encode(texts: Sequence[str]) -> Sequence[Sequence[int]]:
        return [encoding.ids for encoding in plain.encode_batch_fast(list(map(clean, texts)), add_special_tokens=False)]

    return encode


def clean(text: str) -> str:
    """The text with half surrogate pairs replaced, which no tokenizer can read."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


class _Cache:
    """The ids of words, one after the other in one array."""

    def __init__(self) -> None:
        self.ids: NDArray[np.int32] = np.zeros(0, np.int32)
        self._bounds: Ints = np.zeros(1, np.int64)
        self._numbers = _Numbers()
        self._characters = 0

    @property
    def full(self) -> bool:
        return len(self._numbers) > CACHE_WORDS or self._characters > CACHE_CHARACTERS

    def places(self, words: Sequence[str], encode: Encode) -> tuple[Ints, Ints]:
        """Where in `ids` each word's begin and end; new words are encoded first."""
        numbers = np.fromiter(map(self._numbers.__getitem__, words), np.int64, len(words))
        fresh = self._numbers.fresh
        if fresh:
            ids, lengths = _flatten(encode(fresh))
            self.ids = np.concatenate([self.ids, ids])
            self._bounds = np.concatenate([self._bounds, self._bounds[-1] + np.cumsum(lengths)])
            self._characters += sum(map(len, fresh))
            fresh.clear()
        return self._bounds[numbers], self._bounds[numbers + 1]


class _Numbers(dict[str, int]):
    """Numbers words in the order in which they are first looked up."""

    def __init__(self) -> None:
        super().__init__()
        self.fresh: list[str] = []

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        self.fresh.append(word)
        return number


def _blocks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Runs of texts that are short enough for their words to be held at once."""
    start, characters = 0, 0
    for number, text in enumerate(texts):
        characters += len(text)
        if number + 1 - start == BLOCK_TEXTS or characters >= BLOCK_CHARACTERS:
            yield texts[start : number + 1]
            start, characters = number + 1, 0
    if start < len(texts):
        yield texts[start:]


def _flatten(rows: Sequence[Sequence[int]]) -> FlatIds:
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    return np.fromiter(chain.from_iterable(rows), np.int32, int(lengths.sum())), lengths


def _equal(flat: FlatIds, rows: Sequence[Sequence[int]]) -> bool:
    ids, lengths = _flatten(rows)
    return np.array_equal(flat[0], ids) and np.array_equal(np.diff(flat[1]), lengths)
