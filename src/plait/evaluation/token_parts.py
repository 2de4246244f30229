"""Trainable parts of a tagger's input: pieces, characters or the shape of each word, learned together with the tags."""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from plait.types import DataError, Floats

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Split = Callable[[str], Sequence[str]]
NOTHING = 0
"""Id of padding and of what training never saw: the vector of zeros."""


class PieceReader(nn.Module):
    """Words, given as ids of their pieces, to one vector each.

    Args:
        split: word to pieces.
        pieces: that have a vector; others count as nothing.
        dim: numbers in the vector of a piece.
        rnn: (units in each direction, layers) of the LSTM that reads the pieces; None takes the first piece's vector.
        state: "final" or "last"; see `CharacterLSTM`.
        vectors: ``[len(pieces), dim]`` where the pieces' vectors begin; None draws them.
    """

    def __init__(
        self,
        split: Split,
        pieces: Iterable[str],
        dim: int,
        rnn: tuple[int, int] | None,
        state: str = "final",
        vectors: Floats | None = None,
    ) -> None:
        super().__init__()
        if state not in ("final", "last"):
            raise DataError(f"state is {state!r}; expected 'final' or 'last'")
        self.split, self.state = split, state
        self.known = {piece: number for number, piece in enumerate(dict.fromkeys(pieces), NOTHING + 1)}
        self.table = nn.Embedding(len(self.known) + 1, dim, padding_idx=NOTHING)
        if vectors is not None:
            self.table.weight.data[1:] = torch.from_numpy(vectors)
        self.rnn = nn.LSTM(dim, rnn[0], rnn[1], batch_first=True, bidirectional=True) if rnn else None
        self.width = 2 * rnn[0] if rnn else dim

    def ids(self, word: str) -> Tensor:
        """``[P]`` ids of a word's pieces, one at least."""
        return torch.tensor([self.known.get(piece, NOTHING) for piece in self.split(word)] or [NOTHING])

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """``[n, P]`` padded ids and ``[n]`` lengths to ``[n, width]`` vectors; padding changes nothing."""
        vectors: Tensor = self.table(ids)
        if self.rnn is None:
            return vectors[:, 0]
        packed = pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False)
        outputs, (hidden, _) = self.rnn(packed)
        if self.state == "final":
            return torch.cat([hidden[-2], hidden[-1]], dim=1)
        padded, _ = pad_packed_sequence(outputs, batch_first=True)
        last: Tensor = padded[torch.arange(len(padded)), lengths - 1]
        return last


class TokenPart(ABC):
    """How to make a part of the input vectors out of the words themselves."""

    @abstractmethod
    def build(self, words: Sequence[str]) -> PieceReader:
        """The untrained module, with the vocabulary of these words."""


@dataclass(frozen=True, eq=False)
class CharacterLSTM(TokenPart):
    """The characters of a word, read by a bidirectional LSTM.

    Args:
        dim: numbers in a character's vector.
        hidden: units of the LSTM in each direction.
        layers: of the LSTM.
        state: what stands for the word. "final" takes the state of each direction once it has read the whole word;
            "last" takes both at the last character, where the backward direction has read that one only: the published
            code does so.

    Source: Sequence Tagging with Contextual and Non-Contextual Subword Representations: A Multilingual Evaluation,
    arXiv 1906.01569.

    Example:
        >>> reader = CharacterLSTM(dim=8, hidden=5, layers=1).build(["ab", "b"])
        >>> reader(torch.stack([reader.ids("ab"), reader.ids("ba")]), torch.tensor([2, 2])).shape
        torch.Size([2, 10])
    """

    dim: int = 50
    hidden: int = 256
    layers: int = 2
    state: Literal["final", "last"] = "final"

    def build(self, words: Sequence[str]) -> PieceReader:
        letters = sorted({letter for word in words for letter in word})
        return PieceReader(list, letters, self.dim, (self.hidden, self.layers), self.state)


@dataclass(frozen=True, eq=False)
class SubwordLSTM(TokenPart):
    """The byte-pair pieces of a word, read by a bidirectional LSTM.

    Args:
        vocabulary: pieces that are learned from the training words, at most; more suits more data.
        dim: numbers in a piece's vector.
        hidden: units of the LSTM in each direction.
        layers: of the LSTM.
        state: as in `CharacterLSTM`.
        tokenizer: pieces learned elsewhere, on text without tags for example; ``vocabulary`` then means nothing.
        vectors: ``[V, dim]`` where the vectors of the tokenizer's pieces begin, by id.

    Raises:
        DataError: if ``vectors`` do not fit the tokenizer.

    Source: BPEmb: Tokenization-free Pre-trained Subword Embeddings in 275 Languages, arXiv 1710.02187.

    Example:
        >>> reader = SubwordLSTM(vocabulary=20, dim=8, hidden=5, layers=1).build(["lower", "low", "lower"])
        >>> reader.split("lower")
        ['lower']
    """

    vocabulary: int = 2000
    dim: int = 100
    hidden: int = 256
    layers: int = 2
    state: Literal["final", "last"] = "final"
    tokenizer: Tokenizer | None = None
    vectors: Floats | None = None

    def build(self, words: Sequence[str]) -> PieceReader:
        tokenizer = train_pieces(words, self.vocabulary) if self.tokenizer is None else self.tokenizer
        pieces = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        if self.vectors is not None and (self.tokenizer is None or self.vectors.shape != (len(pieces), self.dim)):
            have = "no tokenizer" if self.tokenizer is None else f"a tokenizer of {len(pieces)} pieces"
            raise DataError(f"vectors of pieces are {self.vectors.shape} beside {have}; expected [pieces, {self.dim}]")
        return PieceReader(
            lambda word: tokenizer.encode(word).tokens,
            [piece for piece, _ in pieces],
            self.dim,
            (self.hidden, self.layers),
            self.state,
            self.vectors,
        )


@dataclass(frozen=True, eq=False)
class ShapeEmbedding(TokenPart):
    """A vector for the shape of a word, such as "Xx" or "9-9".

    Args:
        dim: numbers in a shape's vector.

    Example:
        >>> ShapeEmbedding(dim=4).build(["Ankara", "2-3"]).known
        {'9-9': 1, 'Xx': 2}
    """

    dim: int = 100

    def build(self, words: Sequence[str]) -> PieceReader:
        return PieceReader(lambda word: [shape(word)], sorted(set(map(shape, words))), self.dim, None)


def shape(word: str) -> str:
    """The classes of a word's characters: upper-case X, other letters and marks x, digits 9, the rest -; runs once.

    >>> shape("McDonald's"), shape("1,000"), shape("तक")
    ('XxXx-x', '9-9', 'x')
    """
    return "".join(kind for kind, _ in groupby(map(_kind, word)))


def _kind(letter: str) -> str:
    if letter.isupper():
        return "X"
    if letter.isdigit():
        return "9"
    return "x" if unicodedata.category(letter)[0] in "LM" else "-"


def train_pieces(words: Iterable[str], vocabulary: int) -> Tokenizer:
    """Byte-pair pieces of words; a piece that is unknown is left out.

    Args:
        words: a word as often as it comes.
        vocabulary: pieces, at most.
    """
    from tokenizers import Tokenizer, models, trainers

    tokenizer = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, show_progress=False)
    tokenizer.train_from_iterator(words, trainer)
    return tokenizer


class TokenReader(nn.Module):
    """All trainable parts of a tagger, side by side.

    Args:
        parts: what to build.
        words: of the training sentences, as often as they come.
    """

    def __init__(self, parts: Sequence[TokenPart], words: Sequence[str]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(part.build(words) for part in parts)

    @property
    def width(self) -> int:
        """Numbers in a word's vector."""
        return sum(int(part.width) for part in self.parts)  # type: ignore[arg-type,misc]

    def spell(self, words: Sequence[str]) -> list[list[Tensor]]:
        """For each part the ids of each word's pieces."""
        return [[part.ids(word) for word in words] for part in self.parts]  # type: ignore[operator]

    def forward(self, spelled: Sequence[Sequence[Tensor]], numbers: Tensor) -> Tensor:
        """``[W, width]`` vectors of the words with these numbers; each different word is read once."""
        unique, place = numbers.unique(return_inverse=True)
        read = []
        for part, ids in zip(self.parts, spelled, strict=True):
            rows = [ids[number] for number in unique.tolist()]
            read.append(part(pad_sequence(rows, batch_first=True), torch.tensor(list(map(len, rows)))))
        return torch.cat(read, dim=1)[place]
