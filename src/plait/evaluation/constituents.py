"""A probe that needs constituents: which phrases is a sentence made of at the top?"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from plait.data.files import lines_of, stem_of
from plait.data.sources import path_of
from plait.data.tasks import Labels, Task
from plait.types import DataError

PATTERNS = 19
"""Frequent patterns that are classes of their own; all others are one class more."""
_BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LCB-": "{", "-RCB-": "}"}
_EMPTY = "-NONE-"


@dataclass
class Phrase:
    """A phrase: its label without functions and indices, and what it is made of: phrases, or one word."""

    label: str
    parts: list[Phrase] = field(default_factory=list)
    word: str = ""

    def words(self) -> list[str]:
        """The words below it, without traces."""
        if self.label == _EMPTY:
            return []
        return [self.word] if self.word else [word for part in self.parts for word in part.words()]


def constituents_task(treebank: str | os.PathLike[str], patterns: int = PATTERNS) -> Task:
    """``TopConst``: which phrases stand directly below the sentence, in order, as a classification.

    Args:
        treebank: a file of bracketed trees, as the Penn Treebank has them, or ``data:PATH``; maybe ``.gz``.
        patterns: the most frequent patterns, each a class; all others are the class "other". SentEval has 19.

    Raises:
        DataError: if brackets do not match, or all sentences have one pattern.

    Source: What you can cram into a single vector: Probing sentence embeddings for linguistic properties,
    arXiv 1805.01070.
    """
    path = path_of(treebank)
    text = "\n".join(lines_of(path))
    found = [(tree.words(), _pattern(tree)) for tree in phrases(text, str(path))]
    found = [(words, pattern) for words, pattern in found if words and pattern]
    frequent = {pattern for pattern, _ in Counter(pattern for _, pattern in found).most_common(patterns)}
    labels = tuple(pattern if pattern in frequent else "other" for _, pattern in found)
    if len(set(labels)) < 2:
        raise DataError(f"{path} holds {len(found)} sentences of one pattern; expected two patterns or more")
    row: dict[str, int] = {}
    rows = [row.setdefault(" ".join(words), len(row)) for words, _ in found]
    part = Labels(np.array(rows, np.int64), labels)
    return Task("classification", f"{stem_of(path).removesuffix('.mrg')} TopConst", tuple(row), parts={"all": part})


def phrases(text: str, where: str = "the text") -> Iterator[Phrase]:
    """Bracketed trees, one after the other.

    Args:
        text: such as ``(S (NP (PRP It)) (VP (VBZ rains)))``.
        where: what messages call it.

    Example:
        >>> [part.label for part in next(phrases("( (S (NP-SBJ (PRP It)) (VP (VBZ rains)) (. .)) )")).parts[0].parts]
        ['NP', 'VP', '.']
    """
    open_phrases: list[Phrase] = []
    pieces = re.findall(r"[()]|[^()\s]+", text)
    for before, piece in zip(["", *pieces], pieces, strict=False):
        if piece == "(":
            open_phrases.append(Phrase(""))
        elif piece == ")":
            if not open_phrases:
                raise DataError(f"{where} closes a bracket that is not open; expected bracketed trees")
            closed = open_phrases.pop()
            if open_phrases:
                open_phrases[-1].parts.append(closed)
            else:
                yield closed
        elif not open_phrases:
            raise DataError(f"{where} has {piece!r} outside of brackets; expected bracketed trees")
        elif before == "(":
            open_phrases[-1].label = piece if piece.startswith("-") else re.split(r"[-=|]", piece)[0]
        else:
            open_phrases[-1].word = _BRACKETS.get(piece, piece)
    if open_phrases:
        raise DataError(f"{where} ends inside a tree; {len(open_phrases)} brackets are open")


def _pattern(tree: Phrase) -> str:
    """Labels below the sentence; the bracket without a label around a tree, and empty phrases, do not count."""
    while not tree.label and len(tree.parts) == 1:
        tree = tree.parts[0]
    return " ".join(part.label for part in tree.parts if part.words())
