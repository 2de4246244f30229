"""Which examples a recipe learns from, is chosen by, and is judged by: never the same twice.

A given split is kept. What is missing is carved out by groups of equal texts, so that no text stands on both sides.
Data without a split is judged by nested cross-validation: every example is in the test part of exactly one fold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plait.data.tasks import Judgements, Kind, Labels, Pairs, Part, Tags, Task, select
from plait.types import DataError, Ints

FOLDS = 5
"""Outer folds of data without a split; a fifth is also what a missing dev part takes of train."""
MOST_DEV = 2000
"""Examples in a carved dev part at most: more would make the choice slower, and hardly surer."""
LEARNED: tuple[Kind, ...] = ("classification", "pair-classification", "tagging")
"""Tasks whose examples train something (a head, a threshold); in the others train and dev may be the same."""


@dataclass(frozen=True, eq=False)
class Fold:
    """One way through the data: learn from ``train``, choose on ``dev``, judge on ``test``."""

    train: Part
    dev: Part
    test: Part


@dataclass(frozen=True, eq=False)
class Protocol:
    """All folds of a task: one when the data has a split, several when it has none.

    Attributes:
        task: what was split.
        folds: the ways through it; the test parts of all folds do not overlap.
        notes: what was carved, and how many texts of test stand in train or dev too.
    """

    task: Task
    folds: tuple[Fold, ...]
    notes: tuple[str, ...] = ()

    @property
    def nested(self) -> bool:
        """Whether the data has no split of its own."""
        return len(self.folds) > 1


def split(task: Task, seed: int = 0, folds: int = FOLDS) -> Protocol:
    """Settle which examples are for learning, choosing and judging.

    Args:
        task: any task.
        seed: of what is carved and of the folds.
        folds: outer folds of data without a split, 2 or more; as many as there are different texts at most.

    Returns:
        The protocol. Given parts are kept as they are; a missing dev part is a fifth of train (at most 2,000 examples,
        stratified by label) or, where nothing is learned, train itself; data without a split gets outer folds.

    Raises:
        DataError: if there are not two different examples.

    Example:
        >>> task = Task("classification", "t", ("a", "b", "c", "d"), parts={"all": Labels(np.arange(4), tuple("xyxy"))})
        >>> protocol = split(task)
        >>> [len(fold.test) for fold in protocol.folds]
        [1, 1, 1, 1]
    """
    rng = np.random.default_rng(seed)
    if len(task.parts) == 1:
        ((name, whole),) = task.parts.items()
        why = "the data has no split" if name == "all" else f"the data has only a {name} part"
        return _nested(task, whole, why, rng, folds)
    train, dev, test, notes = _given(task, rng)
    return Protocol(task, (Fold(train, dev, test),), (*notes, *_overlap(train, dev, test)))


def _given(task: Task, rng: np.random.Generator) -> tuple[Part, Part, Part, list[str]]:
    """Train, dev and test of data that has at least two of them."""
    parts, learned = task.parts, task.kind in LEARNED
    if len(parts) == 3:
        return parts["train"], parts["dev"], parts["test"], []
    if "train" not in parts:
        return parts["dev"], parts["dev"], parts["test"], ["train is dev: the data has no train part"]
    notes = [] if "test" in parts else ["test is the data's dev part: it has no test part"]
    test = parts.get("test", parts.get("dev"))
    assert test is not None
    train = parts["train"]
    if not learned:
        return train, train, test, [*notes, "dev is train: nothing is learned from it but the choice"]
    train, dev, carved = _carve(train, task.kind, rng)
    return train, dev, test, [*notes, carved]


def _nested(task: Task, whole: Part, why: str, rng: np.random.Generator, most: int) -> Protocol:
    groups, strata = _groups(whole), _strata(whole)
    folds = min(most, len(set(groups.tolist())))
    if folds < 2:
        raise DataError(
            f"{task.name} has {len(whole)} example{'s' * (len(whole) != 1)} of one text; "
            "expected two different ones at least, to choose on one and judge on the other"
        )
    dealt = _deal(groups, strata, folds, rng)
    made = []
    for number in range(folds):
        rest, test = select(whole, np.flatnonzero(dealt != number)), select(whole, np.flatnonzero(dealt == number))
        train, dev = rest, rest
        if task.kind in LEARNED and len(set(_groups(rest).tolist())) > 1:
            train, dev, _ = _carve(rest, task.kind, rng)
        made.append(Fold(train, dev, test))
    return Protocol(task, tuple(made), (f"{why}: {folds} folds, each judged by what was chosen on the others",))


def _carve(train: Part, kind: Kind, rng: np.random.Generator) -> tuple[Part, Part, str]:
    """Train without dev, dev, and what was done. A label that only one text has stays in train."""
    groups, strata = _groups(train), _strata(train)
    number = max(FOLDS, -(-len(train) // MOST_DEV))
    number = min(number, len(set(groups.tolist())))
    if number < 2:
        return train, train, "dev is train: it has a single text"
    dealt = _deal(groups, strata, number, rng)
    holders: Counter[Hashable] = Counter(stratum for stratum, _ in set(zip(strata, groups.tolist(), strict=True)))
    alone = np.array([holders[stratum] < 2 for stratum in strata])
    chosen = (dealt == number - 1) & ~np.isin(groups, groups[alone] if kind == "classification" else groups[:0])
    if not chosen.any():
        return train, train, "dev is train: no label has two texts"
    dev, rest = select(train, np.flatnonzero(chosen)), select(train, np.flatnonzero(~chosen))
    return rest, dev, f"dev is {len(dev):,} of the {len(train):,} examples of train"


def _deal(groups: Ints, strata: Sequence[Hashable], hands: int, rng: np.random.Generator) -> Ints:
    """Deal whole groups out like cards, so that every hand gets its share of each stratum.

    Returns:
        ``[n]`` the hand of each example.
    """
    _, first, inverse, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    stratum_of = [strata[position] for position in first]
    weight = Counter(strata)
    order = rng.permutation(len(first)).tolist()
    order.sort(key=lambda group: (-sizes[group], weight[stratum_of[group]]))
    total = [0] * hands
    load: dict[Hashable, list[int]] = {}
    hand = np.zeros(len(first), np.int64)
    for group in order:
        own = load.setdefault(stratum_of[group], [0] * hands)
        best = min(range(hands), key=lambda h: (own[h], total[h]))
        hand[group] = best
        own[best] += int(sizes[group])
        total[best] += int(sizes[group])
    return hand[inverse]


def _groups(part: Part) -> Ints:
    """``[n]`` a number for each example; examples that share a text share it."""
    match part:
        case Judgements():
            return part.queries
        case Labels() | Tags():
            return part.rows
        case Pairs():
            return _pair_groups(part)


def _pair_groups(part: Pairs) -> Ints:
    """Pairs linked through their texts belong together; where that ties up half of them, only equal pairs do."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    size = int(max(part.left.max(), part.right.max())) + 1
    links = coo_matrix((np.ones(len(part)), (part.left, part.right)), shape=(size, size))
    component: Ints = np.asarray(connected_components(links, directed=False)[1], np.int64)[part.left]
    if np.bincount(component).max() * 2 <= len(part) or len(part) < FOLDS:
        return component
    low, high = np.minimum(part.left, part.right), np.maximum(part.left, part.right)
    return np.unique(low * size + high, return_inverse=True)[1].astype(np.int64)


def _strata(part: Part) -> Sequence[Hashable]:
    """What should be spread evenly: labels (of several, the first), classes of pairs, thirds of the scores."""
    match part:
        case Labels():
            return [label if isinstance(label, str) else label[:1] for label in part.labels]
        case Pairs():
            cuts = np.quantile(part.score, [1 / 3, 2 / 3])
            thirds: list[int] = np.searchsorted(cuts, part.score).tolist()
            return thirds
        case Judgements() | Tags():
            return [0] * len(part)


def _overlap(train: Part, dev: Part, test: Part) -> list[str]:
    """How many examples of test hold a text that train or dev holds too."""
    used: Mapping[str, Part] = {"train": train} if train is dev else {"train": train, "dev": dev}
    notes = []
    for name, part in used.items():
        common = int(_shared(part, test).sum())
        if common:
            notes.append(f"{common:,} of {len(test):,} test examples have a text that stands in {name} too")
    return notes


def _shared(part: Part, test: Part) -> NDArray[np.bool_]:
    """``[n]`` which examples of test have a text of the other part."""
    shared = np.zeros(len(test), np.bool_)
    for rows in _texts(test):
        shared |= np.isin(rows, np.concatenate(_texts(part)))
    return shared


def _texts(part: Part) -> list[Ints]:
    return [part.left, part.right] if isinstance(part, Pairs) else [_groups(part)]
