"""One tokenisation and one vocabulary for all tables that are learned from a text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from plait.types import DataError, Floats, Ints, Tokens

Matrix: TypeAlias = Any
"""``[N, D]`` rows, as an array or as a sparse matrix of scipy."""
_WORD = re.compile(r"\w+(?:['’]\w+)*")


def words_of(text: str) -> list[str]:
    """Lower-cased words of a text; marks of punctuation are left out.

    >>> words_of("The owl's eyes, wide open.")
    ['the', "owl's", 'eyes', 'wide', 'open']
    """
    return _WORD.findall(text.lower().replace("’", "'"))


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The most frequent words of a text, most frequent first.

    Attributes:
        words: V of them.
        counts: ``[V]`` how often each comes.
        documents: ``[V]`` in how many documents each comes.
        total: documents that were read.

    Example:
        >>> vocabulary = Vocabulary.of([["an", "owl", "an"], ["an", "eye"]], min_count=1)
        >>> vocabulary.words, vocabulary.counts.tolist(), vocabulary.documents.tolist()
        (['an', 'eye', 'owl'], [3, 1, 1], [2, 1, 1])
    """

    words: list[str]
    counts: Ints
    documents: Ints
    total: int

    @classmethod
    def of(cls, corpus: Iterable[Sequence[str]], min_count: int = 5, size: int = 20_000) -> Vocabulary:
        """The vocabulary of a text.

        Args:
            corpus: documents as words.
            min_count: occurrences below which a word is left out: a vector learned from fewer says little.
            size: words at most.

        Raises:
            DataError: if no word comes often enough.
        """
        counts: Counter[str] = Counter()
        documents: Counter[str] = Counter()
        total = 0
        for words in corpus:
            counts.update(words)
            documents.update(set(words))
            total += 1
        kept = sorted((w for w, count in counts.items() if count >= min_count), key=lambda w: (-counts[w], w))[:size]
        if not kept:
            raise DataError(f"no word comes {min_count} times in the {total} documents; give more text or a lower bar")
        numbers = [np.array([found[word] for word in kept], np.int64) for found in (counts, documents)]
        return cls(kept, numbers[0], numbers[1], total)

    @cached_property
    def row(self) -> dict[str, int]:
        """Row of each word."""
        return {word: number for number, word in enumerate(self.words)}

    @cached_property
    def idf(self) -> Floats:
        """``[V]`` inverse document frequency, smoothed as in scikit-learn."""
        return (np.log((1 + self.total) / (1 + self.documents)) + 1).astype(np.float32)

    def ids(self, words: Iterable[str]) -> Ints:
        """Rows of the words that are known, in order."""
        return np.array([self.row[word] for word in words if word in self.row], np.int64)

    def tokens(self, corpus: Iterable[Sequence[str]]) -> Tokens:
        """The known words of each document, as what poolings read: one unit a document."""
        rows = [self.ids(words) for words in corpus]
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        flat = np.concatenate([np.zeros(0, np.int64), *rows])
        return Tokens(
            flat.astype(np.int32),
            offsets,
            np.arange(len(flat)),
            offsets,
            np.arange(len(offsets)),
            np.zeros(len(rows), np.int64),
        )

    def bags(self, corpus: Iterable[Sequence[str]]) -> Any:
        """``[N, V]`` sparse counts of the known words of each document."""
        from scipy.sparse import csr_matrix

        tokens = self.tokens(corpus)
        ones = np.ones(len(tokens.ids), np.float32)
        bags = csr_matrix((ones, tokens.ids, tokens.offsets), shape=(len(tokens), len(self.words)))
        bags.sum_duplicates()
        return bags
