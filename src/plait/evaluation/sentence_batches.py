"""Sentences as a tagger reads them: flat rows with offsets, in padded batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from plait.types import DataError, Floats, Ints

if TYPE_CHECKING:
    from plait.evaluation.token_parts import TokenReader


@dataclass(frozen=True, eq=False)
class WordInputs:
    """Sentences given as words, which trainable parts read, with frozen vectors of the words where there are any.

    Args:
        words: of each sentence.
        vectors: ``[W, D]``, one row a word, sentence after sentence; None for no frozen vectors.

    Raises:
        DataError: if there are more or fewer rows than words.

    Example:
        >>> len(WordInputs([("two", "words"), ("one",)], np.zeros((3, 4), np.float32)).words)
        2
    """

    words: Sequence[Sequence[str]]
    vectors: Floats | None = None

    def __post_init__(self) -> None:
        count = sum(map(len, self.words))
        if self.vectors is not None and (self.vectors.ndim != 2 or len(self.vectors) != count):
            raise DataError(f"{count} words have vectors of shape {self.vectors.shape}; expected one row a word")


Sentences: TypeAlias = "Sequence[Floats] | tuple[Floats, Ints] | WordInputs"


@dataclass(frozen=True, eq=False)
class Rows:
    """All words of all sentences.

    Attributes:
        values: ``[W, D]`` frozen vectors; D is 0 where there are none.
        units: ``[N + 1]``; sentence ``n`` owns rows ``units[n]:units[n + 1]``.
        words: the W words; None where only vectors are known.
    """

    values: Floats
    units: Ints
    words: list[str] | None = None

    @classmethod
    def of(cls, X: Sentences) -> Rows:
        """Whatever form the sentences were given in.

        Raises:
            DataError: if there are no sentences.
        """
        if isinstance(X, WordInputs):
            if not len(X.words):
                raise DataError("no sentences")
            words = [word for sentence in X.words for word in sentence]
            values = np.zeros((len(words), 0), np.float32) if X.vectors is None else X.vectors
            return cls(np.asarray(values, np.float32), _offsets(X.words), words)
        if isinstance(X, tuple) and len(X) == 2 and X[0].ndim == 2 and X[1].ndim == 1:
            return cls(np.asarray(X[0], np.float32), np.asarray(X[1], np.int64))
        if not len(X):
            raise DataError("no sentences")
        return cls(np.concatenate([np.asarray(s, np.float32) for s in X]), _offsets(X))  # type: ignore[arg-type]


def _offsets(sentences: Sequence[Sequence[object] | Floats]) -> Ints:
    return np.concatenate([[0], np.cumsum([len(sentence) for sentence in sentences])])


@dataclass(frozen=True, eq=False)
class Corpus:
    """Sentences as tensors, tags as numbers beside them.

    Attributes:
        values: ``[W, D]`` frozen vectors.
        units: ``[N + 1]`` offsets of the sentences.
        tags: ``[W]`` numbers.
        numbers: ``[W]`` which of the different words each is.
        spelled: for each trainable part the ids of each different word's pieces.
        reader: the trainable parts; None without.
    """

    values: Tensor
    units: list[int]
    tags: Tensor
    numbers: Tensor
    spelled: list[list[Tensor]]
    reader: TokenReader | None

    @classmethod
    def of(cls, rows: Rows, values: Tensor, tags: Tensor, reader: TokenReader | None) -> Corpus:
        """Sentences as a network reads them; the different words are split into pieces once."""
        if reader is None:
            return cls(values, rows.units.tolist(), tags, torch.zeros(0, dtype=torch.long), [], None)
        if rows.words is None:
            raise DataError("trainable parts read words, but only vectors came: give WordInputs(words, vectors)")
        place = {word: number for number, word in enumerate(dict.fromkeys(rows.words))}
        numbers = torch.tensor([place[word] for word in rows.words], dtype=torch.long)
        return cls(values, rows.units.tolist(), tags, numbers, reader.spell(list(place)), reader)

    def inputs(self, rows: Tensor) -> Tensor:
        """``[n, D']`` vectors of these words: the frozen ones, then those that the trainable parts give."""
        frozen = self.values[rows]
        if self.reader is None:
            return frozen
        return torch.cat([frozen, self.reader(self.spelled, self.numbers[rows])], dim=1)

    def batches(self, order: Sequence[int], size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Padded (values, lengths, tags) of ``size`` sentences each."""
        for start in range(0, len(order), size):
            slices = [torch.arange(self.units[n], self.units[n + 1]) for n in order[start : start + size]]
            lengths = torch.tensor([len(part) for part in slices])
            values = self.inputs(torch.cat(slices)).split(lengths.tolist())
            tags = [self.tags[part] for part in slices]
            yield pad_sequence(list(values), batch_first=True), lengths, pad_sequence(tags, batch_first=True)
