"""What an evaluation stands on: a task, made of unique items and of parts that index them.

Texts are kept once. Everything else is row numbers, so that an evaluation is fancy indexing into an array of vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, Self, TypeAlias, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from plait.types import DataError, Ints, Items

Kind: TypeAlias = Literal["retrieval", "sts", "pair-classification", "classification", "clustering", "tagging"]
KINDS: tuple[Kind, ...] = get_args(Kind)
PARTS = ("train", "dev", "test", "all")
"""Names that parts may have; "all" stands alone, for data without a split."""


@dataclass(frozen=True, eq=False)
class Judgements:
    """Which documents answer which queries; one example is one query.

    Attributes:
        queries: ``[n]`` rows of ``task.queries``.
        relevant: for each of the n queries, document number (0 … M − 1) to grade; grades are above 0.
    """

    queries: Ints
    relevant: tuple[dict[int, int], ...]

    def __len__(self) -> int:
        return len(self.queries)

    def take(self, positions: Ints) -> Self:
        """The examples at these positions, in that order."""
        return type(self)(self.queries[positions], tuple(self.relevant[p] for p in positions))

    def join(self, other: Self) -> Self:
        """These examples, then the other's."""
        return type(self)(np.concatenate([self.queries, other.queries]), self.relevant + other.relevant)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of texts with a gold score; one example is one pair.

    Attributes:
        left: ``[n]`` rows of ``task.documents``.
        right: ``[n]`` rows of ``task.documents``.
        score: ``[n]`` graded similarity, or 0 and 1 in a pair classification.
    """

    left: Ints
    right: Ints
    score: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.left)

    def take(self, positions: Ints) -> Self:
        """The examples at these positions, in that order."""
        return type(self)(self.left[positions], self.right[positions], self.score[positions])

    def join(self, other: Self) -> Self:
        """These examples, then the other's."""
        return type(self)(
            np.concatenate([self.left, other.left]),
            np.concatenate([self.right, other.right]),
            np.concatenate([self.score, other.score]),
        )


@dataclass(frozen=True, eq=False)
class Labels:
    """Texts with their class; one example is one text.

    Attributes:
        rows: ``[n]`` rows of ``task.documents``.
        labels: one label each, or (multi-label) a tuple of labels each.
    """

    rows: Ints
    labels: tuple[str, ...] | tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, positions: Ints) -> Self:
        """The examples at these positions, in that order."""
        return type(self)(self.rows[positions], tuple(self.labels[p] for p in positions))

    def join(self, other: Self) -> Self:
        """These examples, then the other's."""
        return type(self)(np.concatenate([self.rows, other.rows]), self.labels + other.labels)  # type: ignore[operator]

    @property
    def multi(self) -> bool:
        """Whether a text may have several labels, or none."""
        return len(self.labels) > 0 and not isinstance(self.labels[0], str)


@dataclass(frozen=True, eq=False)
class Tags:
    """Sentences with a tag for every word; one example is one sentence.

    Attributes:
        rows: ``[n]`` rows of ``task.documents``.
        tags: for each sentence as many tags as it has words.
    """

    rows: Ints
    tags: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, positions: Ints) -> Self:
        """The examples at these positions, in that order."""
        return type(self)(self.rows[positions], tuple(self.tags[p] for p in positions))

    def join(self, other: Self) -> Self:
        """These examples, then the other's."""
        return type(self)(np.concatenate([self.rows, other.rows]), self.tags + other.tags)


Part: TypeAlias = Judgements | Pairs | Labels | Tags


class _Selectable(Protocol):
    def take(self, positions: Ints) -> Self: ...


AnyPart = TypeVar("AnyPart", bound=_Selectable)


def select(part: AnyPart, positions: Ints) -> AnyPart:
    """The examples at these positions, in that order.

    Args:
        part: what to choose from.
        positions: numbers of examples, 0 … ``len(part)`` − 1.

    Example:
        >>> select(Labels(np.array([4, 5, 4]), ("a", "b", "a")), np.array([2, 1])).labels
        ('a', 'b')
    """
    return part.take(positions)


def join(a: Part, b: Part) -> Part:
    """The examples of two parts of one kind; one of them if they are the same."""
    if a is b:
        return a
    if type(a) is not type(b):
        raise DataError(f"a part of {type(a).__name__} cannot be joined with one of {type(b).__name__}")
    return a.join(b)  # type: ignore[arg-type]


def renumber(part: Part, rows: Ints) -> Part:
    """The part over some of the documents: ``rows``, ascending, are those that are left.

    >>> renumber(Labels(np.array([4, 9]), ("a", "b")), np.array([4, 7, 9])).rows.tolist()
    [0, 2]
    """
    if isinstance(part, Pairs):
        return replace(part, left=np.searchsorted(rows, part.left), right=np.searchsorted(rows, part.right))
    if isinstance(part, Labels | Tags):
        return replace(part, rows=np.searchsorted(rows, part.rows))
    return part


@dataclass(frozen=True, eq=False)
class Task:
    """Data that a recipe can be judged by.

    Attributes:
        kind: what is asked of the vectors.
        name: what reports call it.
        documents: unique texts; in tagging, unique tuples of words.
        queries: unique texts; only in retrieval.
        parts: examples, under "train", "dev" and "test" as far as they are given, or under "all".
        corpus: ``[M]`` retrieval only: the row of each document. Equal texts share a row, yet stay M documents.
        doc_ids: ``[M]`` retrieval only: the documents' own ids.
        notes: what reading the data met, with counts ("3 rows without text dropped").
        proxy: how the labels were made up, when the data has none; None for real labels.

    Raises:
        DataError: if the kind or the name of a part is not known.

    Example:
        >>> task = Task("classification", "two", ("good", "bad"), parts={"all": Labels(np.array([0, 1]), ("+", "-"))})
        >>> len(task.parts["all"])
        2
    """

    kind: Kind
    name: str
    documents: Items
    queries: Items = ()
    parts: Mapping[str, Part] = field(default_factory=dict)
    corpus: Ints | None = None
    doc_ids: Sequence[str] = ()
    notes: tuple[str, ...] = ()
    proxy: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"task is {self.kind!r}; expected one of {', '.join(KINDS)}")
        unknown = sorted(set(self.parts) - set(PARTS))
        if unknown or ("all" in self.parts and len(self.parts) > 1):
            raise DataError(f"parts are {', '.join(self.parts)}; expected some of train, dev, test, or only all")
