"""Pairs of texts that belong together, whatever labels the data has, and how well cosines tell them from others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plait.analysis.augmentation import augment
from plait.data.tasks import Judgements, Labels, Pairs, Part, Task, join
from plait.step import unit_rows
from plait.types import Floats, Text

CLOSE = 0.75
"""Share of the range of gold scores above which a pair counts as one that belongs together."""


@dataclass(frozen=True, eq=False)
class TextPairs:
    """Pairs that belong together, and graded ones where there are gold scores.

    Attributes:
        source: what makes a pair, for people.
        left: ``P`` texts.
        right: ``P`` texts.
        graded: texts, texts and gold scores of pairs of all grades; None without gold scores.
        labelled: whether people said what belongs together.
    """

    source: str
    left: list[str]
    right: list[str]
    graded: tuple[list[str], list[str], NDArray[np.float64]] | None = None
    labelled: bool = True

    @property
    def texts(self) -> list[str]:
        """Every text of a pair."""
        graded = [] if self.graded is None else [*self.graded[0], *self.graded[1]]
        return [*self.left, *self.right, *graded]


def text_of(item: Text) -> str:
    """A text, or the words of a sentence with blanks between them."""
    return item if isinstance(item, str) else " ".join(item)


def pairs_of_task(task: Task, count: int, seed: int = 0) -> TextPairs:
    """Up to so many pairs of the task's texts that belong together.

    Of graded pairs those in the upper quarter of the scores are taken, of queries each with a document that answers it,
    of classes two texts with one label; where none of that is there, two misspelt copies of a text.
    """
    random = np.random.default_rng(seed)
    part: Part | None = None
    for one in task.parts.values():
        part = one if part is None else join(part, one)
    documents = [text_of(item) for item in task.documents]
    found: TextPairs | None = None
    if isinstance(part, Pairs):
        found = _scored(documents, part, count, random)
    elif isinstance(part, Judgements) and task.proxy is None:
        found = _answers(task, documents, part, count, random)
    elif isinstance(part, Labels):
        found = _classes(documents, part, count, random)
    if found is not None and len(found.left) > 1:
        return found
    chosen = [documents[n] for n in random.permutation(len(documents))[:count]]
    copies = augment(chosen, 2, seed)
    return TextPairs("two misspelt copies of a text", copies[::2], copies[1::2], labelled=False)


def _scored(documents: Sequence[str], part: Pairs, count: int, random: np.random.Generator) -> TextPairs:
    few = part.take(random.permutation(len(part))[:count])
    left, right = ([documents[row] for row in rows] for rows in (few.left, few.right))
    low, high = part.score.min(), part.score.max()
    close = np.flatnonzero(few.score >= low + CLOSE * (high - low))
    return TextPairs(
        "a pair with a gold score in the upper quarter of the range",
        [left[n] for n in close],
        [right[n] for n in close],
        (left, right, few.score),
    )


def _answers(
    task: Task, documents: Sequence[str], part: Judgements, count: int, random: np.random.Generator
) -> TextPairs:
    left, right = [], []
    for number in random.permutation(len(part))[:count]:
        best = max(part.relevant[number].items(), key=lambda item: item[1], default=None)
        if best is not None:
            left.append(text_of(task.queries[int(part.queries[number])]))
            right.append(documents[best[0] if task.corpus is None else int(task.corpus[best[0]])])
    return TextPairs("a query and a document that answers it", left, right)


def _classes(documents: Sequence[str], part: Labels, count: int, random: np.random.Generator) -> TextPairs:
    waiting: dict[object, str] = {}
    left, right = [], []
    for number in random.permutation(len(part)):
        label, text = part.labels[number], documents[part.rows[number]]
        before = waiting.pop(label, None)
        if before is None:
            waiting[label] = text
        else:
            left.append(before)
            right.append(text)
        if len(left) == count:
            break
    return TextPairs("two texts with the same label", left, right)


def labels_of_task(task: Task) -> dict[str, str]:
    """One label for each text that has one."""
    found: dict[str, str] = {}
    for part in task.parts.values():
        if isinstance(part, Labels) and not part.multi:
            found |= {
                text_of(task.documents[row]): str(label) for row, label in zip(part.rows, part.labels, strict=True)
            }
    return found


@dataclass(frozen=True, eq=False)
class Similarities:
    """Cosines at one layer.

    Attributes:
        together: ``[P]`` of pairs that belong together.
        apart: ``[P]`` of each left text with the right text of another pair.
    """

    together: NDArray[np.float64]
    apart: NDArray[np.float64]

    @property
    def separation(self) -> float:
        """Chance that a pair that belongs together has the higher cosine: 0.5 if cosines say nothing."""
        from sklearn.metrics import roc_auc_score

        labels = np.repeat([1, 0], [len(self.together), len(self.apart)])
        return float(roc_auc_score(labels, np.concatenate([self.together, self.apart])))


def similarities(left: Floats, right: Floats) -> Similarities:
    """Cosines of the rows, and of each left row with the next right one.

    Args:
        left: ``[P, D]``, two rows or more.
        right: ``[P, D]``.
    """
    first, second = unit_rows(left).astype(np.float64), unit_rows(right).astype(np.float64)
    return Similarities((first * second).sum(axis=1), (first * np.roll(second, 1, axis=0)).sum(axis=1))
