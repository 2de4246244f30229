"""Words of a vocabulary in running text, for tables that have a row a word and no tokenizer of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from plait.tokenization.fast import FlatTokenizer
from plait.tokenization.splitting import SplitRule

_WORD = re.compile(r"\w+(?:[-'’.]\w+)*|['’]\w+|[^\w\s]")
_PART = re.compile(r"['’]\w+|\w+|[^\w\s]")


class WordVocabulary:
    """Finds the words of a vocabulary in texts.

    A piece between spaces is looked up whole, then as words and punctuation marks, and a compound that is unknown then
    in its parts ("well-known" as "well", "-", "known").

    Args:
        words: the vocabulary; a word's number is its id. Of equal words the first counts.
        lowercase: None looks a word up as it is written, then in lower case, which suits cased and uncased tables
            alike; True looks up the lower-cased word only; False never changes case.

    Example:
        >>> vocabulary = WordVocabulary(["the", "cat", ",", "well", "-", "known"])
        >>> vocabulary.encode(["The cat, well-known."])
        [[0, 1, 2, 3, 4, 5, 6]]
        >>> vocabulary.unknown
        6
    """

    def __init__(self, words: Sequence[str], lowercase: bool | None = None) -> None:
        self.words = words
        self.lowercase = lowercase
        self.unknown = len(words)
        self._ids = {word: number for number, word in reversed(list(enumerate(words)))}

    def __len__(self) -> int:
        return self.unknown

    def flat(self) -> FlatTokenizer:
        """A tokenizer that remembers what it found."""
        return FlatTokenizer(self.encode, SplitRule())

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of the words of each text; an unknown one has the id `unknown`."""
        return [list(self._text(text)) for text in texts]

    def _text(self, text: str) -> Iterator[int]:
        for piece in text.split():
            number = self._find(piece)
            if number is not None:
                yield number
                continue
            for word in _WORD.findall(piece):
                yield from self._word(word)

    def _word(self, word: str) -> Iterator[int]:
        number = self._find(word)
        if number is not None:
            yield number
            return
        parts = _PART.findall(word)
        if len(parts) == 1:
            yield self.unknown
            return
        for part in parts:
            number = self._find(part)
            yield self.unknown if number is None else number

    def _find(self, word: str) -> int | None:
        if self.lowercase:
            return self._ids.get(word.lower())
        number = self._ids.get(word)
        return self._ids.get(word.lower()) if number is None and self.lowercase is None else number
