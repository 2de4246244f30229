"""Pairs of texts: graded similarity, and same-or-not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plait.data.tasks import Pairs, Part
from plait.evaluation.embedded import Embedded
from plait.evaluation.evaluators import Scorer, Weights, quantiser, squared
from plait.evaluation.resampling import Reals
from plait.evaluation.scores import Score
from plait.step import unit_rows
from plait.types import Codes, DataError


@dataclass(frozen=True)
class Similarity:
    """Correlation of cosine and gold. One unit is one pair; nothing is learned.

    Args:
        metric: "spearman" (of ranks) or "pearson".
    """

    metric: str = "spearman"

    def evaluate(self, embedded: Embedded, fit: Part | None, on: Part, codes: Codes | None = None) -> Score:
        """Score the pairs of ``on``."""
        return self._judge(_pairs(on), cosine(embedded, _pairs(on), codes))

    def additive(self, blocks: Sequence[Embedded], fit: Part | None, on: Part) -> Scorer:
        """Weighted means of cached cosines."""
        pairs, similarity = _pairs(on), SummedCosine(blocks, _pairs(on))
        return lambda weights: self._judge(pairs, similarity(weights))

    def _judge(self, pairs: Pairs, similarity: Reals) -> Score:
        return Score.of(self.metric, self.metric, similarity, pairs.score)


@dataclass(frozen=True)
class PairClassification:
    """Whether cosine tells pairs that belong together from those that do not. One unit is one pair.

    Args:
        metric: "ap" needs no threshold; that of "accuracy" and "f1" is learned on the ``fit`` part.
    """

    metric: str = "ap"

    def evaluate(self, embedded: Embedded, fit: Part | None, on: Part, codes: Codes | None = None) -> Score:
        """Score the pairs of ``on``."""
        pairs, known = _pairs(on), self._known(fit)
        learned = None if known is None else cosine(embedded, known, codes)
        return self._judge(pairs, cosine(embedded, pairs, codes), known, learned)

    def additive(self, blocks: Sequence[Embedded], fit: Part | None, on: Part) -> Scorer:
        """Weighted means of cached cosines."""
        pairs, known = _pairs(on), self._known(fit)
        similarity = SummedCosine(blocks, pairs)
        learned = None if known is None else SummedCosine(blocks, known)
        return lambda weights: self._judge(
            pairs, similarity(weights), known, None if learned is None else learned(weights)
        )

    def _known(self, fit: Part | None) -> Pairs | None:
        if self.metric == "ap":
            return None
        if fit is None or not len(fit):
            raise DataError(f"{self.metric} needs a threshold, and no labelled pairs were given to learn it; use ap")
        return _pairs(fit)

    def _judge(self, pairs: Pairs, similarity: Reals, known: Pairs | None, learned: Reals | None) -> Score:
        if known is None or learned is None:
            return Score.of(self.metric, "average-precision", similarity, pairs.score)
        positive = pairs.score > 0
        said = similarity >= threshold(learned, known.score > 0, self.metric)
        if self.metric == "accuracy":
            return Score.of(self.metric, "mean", (said == positive).astype(np.float64))
        right = (said & positive).astype(np.float64)
        return Score.of(self.metric, "ratio", 2 * right, said.astype(np.float64) + positive)


def cosine(embedded: Embedded, pairs: Pairs, codes: Codes | None = None) -> Reals:
    """``[n]`` similarity of each pair; with codes, as their quantiser defines it."""
    if codes is not None:
        from plait.compression.search import pair_similarity

        values = pair_similarity(codes.values[pairs.left], codes.values[pairs.right], quantiser(codes))
        return np.asarray(values, np.float64)
    left, right = unit_rows(embedded.documents[pairs.left]), unit_rows(embedded.documents[pairs.right])
    return np.asarray(np.einsum("ij,ij->i", left, right, dtype=np.float64))


class SummedCosine:
    """Cosine of weighted concatenations from the cosines of their blocks: Σ w² cos / Σ w².

    A block in which a text has a vector of zeros adds nothing to that text's length.
    """

    def __init__(self, blocks: Sequence[Embedded], pairs: Pairs) -> None:
        self._cosines = np.stack([cosine(block, pairs) for block in blocks])
        self._left, self._right = (
            np.stack([block.documents[rows].any(axis=1) for block in blocks]).astype(np.float64)
            for rows in (pairs.left, pairs.right)
        )

    def __call__(self, weights: Weights) -> Reals:
        squares = squared(weights, len(self._cosines))
        lengths = np.sqrt((squares @ self._left) * (squares @ self._right))
        return np.divide(squares @ self._cosines, lengths, out=np.zeros_like(lengths), where=lengths > 0)


def threshold(similarity: Reals, positive: NDArray[np.bool_], metric: str) -> float:
    """The similarity from which on pairs are best called positive, by accuracy or F1 on these pairs.

    >>> round(threshold(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]), "accuracy"), 6)
    0.5
    """
    order = np.argsort(-similarity, kind="stable")
    values, found = similarity[order], np.append(0, np.cumsum(positive[order]))
    called = np.arange(len(values) + 1)
    right = found + (len(values) - called) - (found[-1] - found)
    quality = right if metric == "accuracy" else 2 * found / np.maximum(called + found[-1], 1)
    cuts = np.concatenate([[np.inf], (values[:-1] + values[1:]) / 2, [-np.inf]])
    allowed = np.concatenate([[True], values[:-1] > values[1:], [True]])
    return float(cuts[np.argmax(np.where(allowed, quality, -1.0))])


def _pairs(part: Part) -> Pairs:
    if not isinstance(part, Pairs) or not len(part):
        raise DataError(f"this task is scored on pairs of texts; got {type(part).__name__} of {len(part)}")
    return part
