"""Examples to learn from: which row is to lie near which other, and far from which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plait.data.tasks import Judgements, Labels, Pairs, Part, Tags
from plait.types import DataError, Ints, ranges

SIMILAR = 0.8
"""Share of the highest score from which on a graded pair counts as a positive: 4 of 5, as in the literature."""


@dataclass(frozen=True, eq=False)
class Triples:
    """Row numbers of anchors, their positives, and hard negatives.

    Attributes:
        anchors: ``[P]``.
        positives: ``[P]``.
        negatives: ``[P, H]``; H may be 0.
        groups: ``[P]``; pairs of one group are right answers for each other, and no negatives. None: all differ.
    """

    anchors: Ints
    positives: Ints
    negatives: Ints
    groups: Ints | None = None

    def __len__(self) -> int:
        return len(self.anchors)

    def take(self, positions: Ints) -> Triples:
        """The examples at these positions."""
        groups = None if self.groups is None else self.groups[positions]
        return Triples(self.anchors[positions], self.positives[positions], self.negatives[positions], groups)

    def batches(self, size: int, seed: int) -> Iterator[Triples]:
        """All examples once, shuffled, ``size`` at a time; a single last one without a negative is left out."""
        order = np.random.default_rng(seed).permutation(len(self))
        for start in range(0, len(self), size):
            if len(self) - start > 1 or self.negatives.shape[1]:
                yield self.take(order[start : start + size])

    @property
    def same(self) -> NDArray[np.bool_] | None:
        """``[P, P]`` which positives are right for which anchors, for the batch that this is."""
        return None if self.groups is None else np.equal.outer(self.groups, self.groups)

    def split(self, share: float = 0.1, seed: int = 0) -> tuple[Triples, Triples]:
        """Most of the examples, and a random share held out for early stopping."""
        order = np.random.default_rng(seed).permutation(len(self))
        held = max(2, round(share * len(self)))
        return self.take(order[held:]), self.take(order[:held])


def triples(part: Part, offset: int = 0, seed: int = 0) -> Triples:
    """Examples from the labels of a task.

    Pairs give those that score high; classes give each text another of its class; judgements give query and
    document, where the query ``q`` has the row ``offset + q``.

    Args:
        part: labelled examples.
        offset: row of the first query, for judgements.
        seed: of the draws.

    Raises:
        DataError: if no two rows belong together, or the part holds tags.

    Example:
        >>> found = triples(Labels(np.array([3, 5, 8]), ("a", "b", "a")))
        >>> found.anchors.tolist(), found.positives.tolist()
        ([3, 8], [8, 3])
    """
    if isinstance(part, Pairs):
        near = np.flatnonzero(part.score >= SIMILAR * part.score.max(initial=0))
        found = _pairs(part.left[near], part.right[near])
    elif isinstance(part, Labels):
        found = _classes(part, np.random.default_rng(seed))
    elif isinstance(part, Judgements):
        queries = [offset + q for q, docs in zip(part.queries.tolist(), part.relevant, strict=True) for _ in docs]
        found = _pairs(np.array(queries, np.int64), np.array([d for docs in part.relevant for d in docs], np.int64))
    else:
        raise DataError("tags say nothing of which words belong together; train on pairs, classes or judgements")
    if len(found) < 2:
        raise DataError(f"{len(found)} positive pairs among {len(part)} examples; a contrast needs two at least")
    return found


def over_rows(part: Part, documents: int, units: Ints | None = None) -> Triples | Part:
    """The examples of a part, over the rows of one array of vectors.

    Args:
        part: examples; their documents are numbered as the rows are.
        documents: rows of the documents; those of the queries stand behind them.
        units: ``[N + 1]`` rows of each document's words, where items are words.
    """
    if isinstance(part, Judgements):
        return triples(part, offset=documents)
    if isinstance(part, Tags) and units is not None:
        place = ranges(units[part.rows], units[part.rows + 1])
        return Labels(place, tuple(tag for tags in part.tags for tag in tags))
    return part


def _pairs(anchors: Ints, positives: Ints) -> Triples:
    return Triples(anchors, positives, np.zeros((len(anchors), 0), np.int64))


def _classes(part: Labels, rng: np.random.Generator) -> Triples:
    if part.multi:
        raise DataError("texts with several labels have no single class to contrast; give one label a text")
    _, classes = np.unique(np.array(part.labels), return_inverse=True)
    anchors, positives, groups = [], [], []
    for number in range(classes.max(initial=-1) + 1):
        rows = part.rows[classes == number]
        if len(np.unique(rows)) > 1:
            mixed = rng.permutation(np.unique(rows))  # the next one in a random circle is never the text itself
            anchors.append(mixed)
            positives.append(np.roll(mixed, -1))
            groups.append(np.full(len(mixed), number))
    if not anchors:
        return _pairs(np.zeros(0, np.int64), np.zeros(0, np.int64))
    found = _pairs(np.concatenate(anchors), np.concatenate(positives))
    return Triples(found.anchors, found.positives, found.negatives, np.concatenate(groups))
