"""Classification by a simple head on frozen vectors; one label a text or several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.data.tasks import Labels, Part
from plait.evaluation.embedded import Embedded
from plait.evaluation.evaluators import Scorer, documents, one_by_one
from plait.evaluation.heads import Learner, logistic, mlp, scaled, scaled_logistic
from plait.evaluation.ridge import BlockLinear, held_out, indicators
from plait.evaluation.scores import Score
from plait.step import unit_rows
from plait.types import Codes, DataError, Floats

SCALED = ("scaled-logistic", "mlp")
"""Heads that see columns of unit variance in place of rows of unit length."""

NEIGHBOURS = 5


@dataclass(frozen=True)
class Classification:
    """A head learned on ``fit``, scored on ``on``. One unit is one text.

    The head sees L2-normalised rows. "logistic" chooses C from 1, 10 and 100 and "ridge" its penalty, and whether to
    be a ridge regression or a linear discriminant analysis, on a fifth of the fit part, then learns from all of it;
    "knn" asks the 5 nearest by cosine. "scaled-logistic" and "mlp" see columns scaled to unit variance in place of rows
    of unit length: what a vector's length says is theirs to use. A label that the fit part lacks cannot be predicted:
    it counts as an error.

    Args:
        head: "logistic", "ridge", "knn", "scaled-logistic" or "mlp". A search over concatenations uses ridge in place
            of all but knn.
        chosen: the metric; None is "accuracy", or "micro-f1" where texts have several labels.
    """

    head: str = "logistic"
    chosen: str | None = None

    @property
    def metric(self) -> str:
        """Name of the score, as far as it is known before the labels are seen."""
        return self.chosen or "accuracy"

    def evaluate(self, embedded: Embedded, fit: Part | None, on: Part, codes: Codes | None = None) -> Score:
        """Learn from ``fit``, score ``on``."""
        known, asked = _labels(fit), _labels(on)
        vectors = documents(embedded, codes)
        train, test = vectors.of(known.rows), vectors.of(asked.rows)
        if self.head in SCALED:
            train, test = scaled(train, test)
        else:
            train, test = unit_rows(train), unit_rows(test)
        classes, targets = _targets(known)
        said = _HEADS[self.head](train, targets, test, not known.multi)
        return self._score(classes, said, known, asked)

    def additive(self, blocks: Sequence[Embedded], fit: Part | None, on: Part) -> Scorer:
        """Ridge heads from one Gram matrix, with one penalty for all weights; the knn head is scored one by one."""
        if self.head == "knn":
            return one_by_one(self, blocks, fit, on)
        known, asked = _labels(fit), _labels(on)
        classes, targets = _targets(known)
        ridge = BlockLinear([b.of(known.rows) for b in blocks], targets, held_out(len(known)), not known.multi)
        features, penalty = [unit_rows(b.of(asked.rows)) for b in blocks], ridge.penalty(np.ones(len(blocks)))
        return lambda weights: self._score(
            classes, decide(ridge.solve(weights, penalty).scores(features), not known.multi), known, asked
        )

    def _score(self, classes: list[str], said: NDArray[np.bool_], known: Labels, asked: Labels) -> Score:
        if known.multi:
            return self._several(classes, said, asked)
        gold = np.array(asked.labels, dtype=str)
        predicted = np.array(classes, dtype=str)[said.argmax(axis=1)]
        if self.metric == "macro-f1":
            return Score.of(self.metric, "macro-f1", gold, predicted)
        if self.metric == "micro-f1":
            raise DataError("micro-f1 is for texts with several labels; with one it equals accuracy: ask for that")
        return Score.of(self.metric, "mean", (gold == predicted).astype(np.float64))

    def _several(self, classes: list[str], said: NDArray[np.bool_], asked: Labels) -> Score:
        gold = [set(labels) for labels in asked.labels]
        predicted = [{classes[number] for number in np.flatnonzero(row)} for row in said]
        pairs = list(zip(gold, predicted, strict=True))
        if self.chosen == "accuracy":
            return Score.of("accuracy", "mean", np.array([a == b for a, b in pairs], np.float64))
        if self.chosen == "macro-f1":
            raise DataError("macro-f1 is for one label a text; take micro-f1, or accuracy (all labels right)")
        shared = np.array([2 * len(a & b) for a, b in pairs], np.float64)
        return Score.of("micro-f1", "ratio", shared, np.array([len(a) + len(b) for a, b in pairs], np.float64))


def decide(scores: NDArray[np.float64], single: bool) -> NDArray[np.bool_]:
    """``[n, C]`` which classes a row gets: the one of the largest score, or each above ½."""
    if not single:
        return np.asarray(scores > 0.5)
    return _one_hot(scores.argmax(axis=1), scores.shape[1])


def _one_hot(numbers: NDArray[np.integer[Any]], classes: int) -> NDArray[np.bool_]:
    return np.asarray(numbers[:, None] == np.arange(classes))


def _ridge(train: Floats, targets: Floats, test: Floats, single: bool) -> NDArray[np.bool_]:
    fit = BlockLinear([train], targets, held_out(len(train)), single).solve(np.ones(1))
    return decide(fit.scores([test]), single)


def _knn(train: Floats, targets: Floats, test: Floats, single: bool) -> NDArray[np.bool_]:
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(min(NEIGHBOURS, len(train)), metric="cosine")
    if single:
        found = model.fit(train, targets.argmax(axis=1)).predict(test)
        return _one_hot(found, targets.shape[1])
    return np.asarray(model.fit(train, targets).predict(test)).reshape(len(test), -1) > 0.5


def _single(learn: Learner) -> Callable[[Floats, Floats, Floats, bool], NDArray[np.bool_]]:
    """A head that knows one label a text; several labels are that many yes-or-no questions."""

    def head(train: Floats, targets: Floats, test: Floats, single: bool) -> NDArray[np.bool_]:
        if single:
            return _one_hot(learn(train, targets.argmax(axis=1), test), targets.shape[1])
        columns = [
            np.full(len(test), bool(column[0]))
            if column.min() == column.max()
            else learn(train, column.astype(np.int64), test) > 0
            for column in targets.T
        ]
        return np.stack(columns, axis=1)

    return head


_HEADS = {
    "logistic": _single(logistic),
    "ridge": _ridge,
    "knn": _knn,
    "scaled-logistic": _single(scaled_logistic),
    "mlp": _single(mlp),
}


def _targets(known: Labels) -> tuple[list[str], Floats]:
    classes, targets = indicators(known.labels)
    if not known.multi and len(classes) < 2:
        raise DataError(f"the part to learn from has only the label {classes[0]!r}; a classification needs two or more")
    return classes, targets


def _labels(part: Part | None) -> Labels:
    if part is None:
        raise DataError("a classification head needs labelled examples to learn from; give the part to fit on")
    if not isinstance(part, Labels) or not len(part):
        raise DataError(f"classification is scored on labelled texts; got {type(part).__name__} of {len(part)}")
    return part
