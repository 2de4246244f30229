"""Heads that learn from what two vectors have in common: classes of pairs, and graded similarity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plait.data.tasks import Pairs, Part
from plait.evaluation.embedded import Embedded
from plait.evaluation.evaluators import Scorer, documents, one_by_one
from plait.evaluation.heads import SCALED_COSTS, best_logistic, mlp, scaled, scaled_logistic
from plait.evaluation.resampling import Reals
from plait.evaluation.scores import Score
from plait.step import unit_rows
from plait.types import Codes, DataError, Floats

_LEARNERS = {"logistic": scaled_logistic, "mlp": mlp}


def pair_features(u: Floats, v: Floats) -> Floats:
    """What a head on top of two vectors sees: ``|u − v|`` and ``u · v``, element by element.

    Args:
        u: ``[n, D]``.
        v: ``[n, D]``.

    Returns:
        ``[n, 2 D]``; the order of the two vectors does not matter.

    Raises:
        DataError: if the two differ in shape.

    Source: SentEval: An Evaluation Toolkit for Universal Sentence Representations, arXiv 1803.05449.

    Example:
        >>> pair_features(np.array([[1, 2]], np.float32), np.array([[3, 1]], np.float32)).tolist()
        [[2.0, 1.0, 3.0, 2.0]]
    """
    if u.shape != v.shape:
        raise DataError(f"the two sides have the shapes {u.shape} and {v.shape}; expected one vector a side and pair")
    return np.hstack([np.abs(u - v), u * v])


@dataclass(frozen=True)
class PairHead:
    """Classes of pairs, learned on `pair_features` of L2-normalised rows. One unit is one pair.

    Args:
        head: "logistic" or "mlp".
        metric: "accuracy", "f1" (of class 1, where there are two) or "macro-f1".
    """

    head: str = "logistic"
    metric: str = "accuracy"

    def evaluate(self, embedded: Embedded, fit: Part | None, on: Part, codes: Codes | None = None) -> Score:
        """Learn from ``fit``, score ``on``."""
        known, asked = _pairs(fit), _pairs(on)
        train, test = _features(documents(embedded, codes), known, asked)
        classes = known.score.astype(np.int64)
        if len(np.unique(classes)) < 2:
            raise DataError(f"all pairs to learn from are of class {classes[0]}; expected two classes or more")
        said = np.asarray(_LEARNERS[self.head](train, classes, test), np.float64)
        if self.metric == "macro-f1":
            return Score.of(self.metric, "macro-f1", asked.score.astype(str), said.astype(str))
        if self.metric == "f1":
            right = ((said == 1) & (asked.score == 1)).astype(np.float64)
            return Score.of(self.metric, "ratio", 2 * right, (said == 1).astype(np.float64) + (asked.score == 1))
        if self.metric == "ap":
            raise DataError("ap is for the head cosine; a learned head gives accuracy, f1 or macro-f1")
        return Score.of(self.metric, "mean", (said == asked.score).astype(np.float64))

    def additive(self, blocks: Sequence[Embedded], fit: Part | None, on: Part) -> Scorer:
        """Every concatenation is learned anew."""
        return one_by_one(self, blocks, fit, on)


@dataclass(frozen=True)
class Relatedness:
    """Graded similarity as a distribution over whole grades, learned on `pair_features`. One unit is one pair.

    A score between two grades is shared between them in proportion; the head is a softmax regression under that target
    (the cross-entropy, which differs from the Kullback–Leibler divergence by a constant), its answer the mean grade.

    Args:
        metric: "spearman" or "pearson".

    Source: Improved Semantic Representations From Tree-Structured Long Short-Term Memory Networks, arXiv 1503.00075.
    """

    metric: str = "spearman"

    def evaluate(self, embedded: Embedded, fit: Part | None, on: Part, codes: Codes | None = None) -> Score:
        """Learn from ``fit``, score ``on``."""
        known, asked = _pairs(fit), _pairs(on)
        train, test = _features(documents(embedded, codes), known, asked)
        grades, shares = soft_grades(known.score)
        rows, columns = np.nonzero(shares)
        if len(np.unique(columns)) < 2:
            raise DataError(f"all pairs to learn from have the score {known.score[0]}; expected two grades or more")
        model = best_logistic(train[rows], columns, SCALED_COSTS, shares[rows, columns].astype(np.float32))
        expected = model.predict_proba(test) @ grades[model.classes_]
        return Score.of(self.metric, self.metric, np.asarray(expected, np.float64), asked.score)

    def additive(self, blocks: Sequence[Embedded], fit: Part | None, on: Part) -> Scorer:
        """Every concatenation is learned anew."""
        return one_by_one(self, blocks, fit, on)


def soft_grades(scores: Reals) -> tuple[Reals, Reals]:
    """The whole grades that scores lie between, and ``[n, G]`` how each score is shared among them.

    >>> soft_grades(np.array([1.0, 2.25]))[1].tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.75, 0.25]]
    """
    grades = np.arange(np.floor(scores.min()), np.ceil(scores.max()) + 1)
    return grades, np.clip(1 - np.abs(scores[:, None] - grades), 0, None)


def _features(embedded: Embedded, *parts: Pairs) -> list[Floats]:
    rows = [pair_features(*(unit_rows(embedded.of(side)) for side in (part.left, part.right))) for part in parts]
    return scaled(*rows)


def _pairs(part: Part | None) -> Pairs:
    if not isinstance(part, Pairs) or not len(part):
        raise DataError(
            "a head on pairs learns from labelled pairs and is scored on others; "
            f"got {type(part).__name__} of {0 if part is None else len(part)}"
        )
    return part
