"""Sentences of a dependency treebank (CoNLL-U), and what can be read off their trees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from plait.data.files import lines_of
from plait.types import DataError


@dataclass(frozen=True)
class Word:
    """One word of a tree: columns of CoNLL-U; ``head`` is the number of another word from 1, or 0 for the root."""

    form: str
    upos: str
    features: Mapping[str, str]
    head: int
    relation: str


@dataclass(frozen=True, eq=False)
class Tree:
    """A sentence with its dependency tree.

    Attributes:
        text: as it was written.
        words: in order; word ``n`` is called ``n + 1`` by ``head``.
    """

    text: str
    words: tuple[Word, ...]

    @cached_property
    def root(self) -> int:
        """Place of the word that hangs on nothing.

        Raises:
            DataError: if there is none.
        """
        for place, word in enumerate(self.words):
            if word.relation.split(":")[0] == "root":
                return place
        raise DataError(f"the sentence {self.text[:60]!r} has no word with the relation root")

    @cached_property
    def depth(self) -> int:
        """Words on the longest way from the root to a leaf, both counted."""
        return max(self._depth(place + 1) for place in range(len(self.words)))

    def child(self, place: int, relation: str) -> Word | None:
        """The first word of this relation that hangs on another one."""
        found = (word for word in self.words if word.head == place + 1 and word.relation == relation)
        return next(found, None)

    def _depth(self, number: int) -> int:
        steps = 0
        while number:
            number, steps = self.words[number - 1].head, steps + 1
            if steps > len(self.words):
                raise DataError(f"the tree of {self.text[:60]!r} has a circle")
        return steps


def trees(path: Path) -> list[Tree]:
    """All sentences of a CoNLL-U file; multi-word tokens and empty nodes are passed over.

    Args:
        path: ends in ``.conllu``, or that with ``.gz``.

    Raises:
        DataError: if a line has no ten columns, or its head is no number.
    """
    return [tree for block, line in _blocks(path) if (tree := _tree(block, path, line))]


def _blocks(path: Path) -> Iterator[tuple[list[str], int]]:
    block: list[str] = []
    number = 0
    for number, line in enumerate(lines_of(path), 1):
        if line.strip():
            block.append(line)
        elif block:
            yield block, number - len(block)
            block = []
    if block:
        yield block, number - len(block) + 1


def _tree(block: list[str], path: Path, start: int) -> Tree | None:
    text = next((line[9:] for line in block if line.startswith("# text = ")), None)
    words = []
    for offset, line in enumerate(block):
        fields = line.split("\t")
        if not fields[0].isdigit():
            continue
        if len(fields) != 10 or not fields[6].isdigit():
            raise DataError(f"{path}, line {start + offset}: {line[:60]!r}; expected ten columns, the seventh a head")
        pairs = (part.split("=", 1) for part in fields[5].split("|") if "=" in part)
        words.append(Word(fields[1], fields[3], dict(pairs), int(fields[6]), fields[7]))
    if not words:
        return None
    return Tree(" ".join(word.form for word in words) if text is None else text, tuple(words))
