"""The contract of an evaluation, and the choice of one for a task."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plait.data.tasks import Pairs, Part, Tags, Task
from plait.evaluation.embedded import Embedded
from plait.evaluation.scores import Score
from plait.roles import Quantiser
from plait.types import Codes, DataError

if TYPE_CHECKING:
    from plait.evaluation.tagger import SequenceTagger

Weights: TypeAlias = NDArray[np.float64]
Scorer: TypeAlias = Callable[[Weights], Score]
Head: TypeAlias = "str | SequenceTagger"

HEADS: dict[str, tuple[str, ...]] = {
    "classification": ("logistic", "ridge", "knn", "scaled-logistic", "mlp"),
    "pair-classification": ("cosine", "logistic", "mlp"),
    "sts": ("cosine", "softmax"),
    "tagging": ("ridge", "linear", "lstm", "crf", "lstm-crf"),
}
"""Learned heads of each kind of task, the default first; the other kinds learn nothing."""

METRICS: dict[str, tuple[str, ...]] = {
    "retrieval": ("nDCG@k", "Recall@k", "MAP", "MRR@k"),
    "sts": ("spearman", "pearson"),
    "pair-classification": ("ap", "accuracy", "f1", "macro-f1"),
    "classification": ("accuracy", "macro-f1", "micro-f1"),
    "clustering": ("v-measure",),
    "tagging": ("accuracy", "span-f1"),
}
"""Metrics of each kind of task."""


class Evaluator(Protocol):
    """Turns vectors of a task into a score. Higher is better, always.

    Attributes:
        metric: name of the score.
    """

    @property
    def metric(self) -> str: ...

    def evaluate(self, embedded: Embedded, fit: Part | None, on: Part, codes: Codes | None = None) -> Score:
        """Score vectors.

        Args:
            embedded: of the whole task.
            fit: examples that a head or a threshold is learned from; None where nothing is.
            on: examples that are scored.
            codes: compressed documents, to be used in place of ``embedded.documents``.
        """
        ...

    def additive(self, blocks: Sequence[Embedded], fit: Part | None, on: Part) -> Scorer:
        """A function that scores weighted concatenations of the blocks, far faster than one by one.

        Args:
            blocks: L embeddings of the whole task.
            fit: as in `evaluate`.
            on: as in `evaluate`.

        Returns:
            A function of ``[L]`` weights, 0 or above; a block of weight 0 is left out.
        """
        ...


def evaluator(task: Task, head: Head | None = None, metric: str | None = None) -> Evaluator:
    """The evaluator of a task.

    Args:
        task: what is asked of the vectors.
        head: for classification "logistic" (default), "ridge", "knn", "scaled-logistic" or "mlp"; for tagging "ridge"
            (default), "linear", "lstm", "crf", "lstm-crf" or a `SequenceTagger`; for pairs "cosine" (default), or a
            head on `plait.evaluation.pair_features`: "logistic" or "mlp" for classes, "softmax" for graded similarity.
        metric: None takes the usual one of the task: nDCG@10, Spearman, average precision (with a head: accuracy),
            accuracy (several labels: micro-F1), V-measure, token accuracy (tags such as B-PER: span F1).

    Raises:
        DataError: if the head or metric is not one of the task's kind.

    Example:
        >>> from plait.data.tasks import Labels, Task
        >>> task = Task("classification", "two", ("good", "bad"), parts={"all": Labels(np.array([0, 1]), ("+", "-"))})
        >>> evaluator(task, head="knn").metric
        'accuracy'
    """
    chosen = _head(task, head)
    if metric is not None and re.sub(r"@\d+$", "@k", metric) not in METRICS[task.kind]:
        raise DataError(f"metric is {metric!r}; a {task.kind} task has {', '.join(METRICS[task.kind])}")
    match task.kind:
        case "retrieval":
            from plait.evaluation.retrieval import Retrieval

            return Retrieval(task.corpus, metric or "nDCG@10")
        case "sts":
            return _similarity(str(chosen), metric)
        case "pair-classification":
            return _pair_classification(task, str(chosen), metric)
        case "classification":
            from plait.evaluation.classification import Classification

            return Classification(str(chosen), metric)
        case "clustering":
            from plait.evaluation.clustering import Clustering

            return Clustering()
        case "tagging":
            from plait.evaluation.tagging import Tagging

            return Tagging(chosen, metric or ("span-f1" if _spanned(task) else "accuracy"))


def _similarity(head: str, metric: str | None) -> Evaluator:
    if head == "softmax":
        from plait.evaluation.pair_heads import Relatedness

        return Relatedness(metric or "spearman")
    from plait.evaluation.pairs import Similarity

    return Similarity(metric or "spearman")


def _pair_classification(task: Task, head: str, metric: str | None) -> Evaluator:
    if head != "cosine":
        from plait.evaluation.pair_heads import PairHead

        return PairHead(head, metric or "accuracy")
    highest = max((part.score.max(initial=0) for part in task.parts.values() if isinstance(part, Pairs)), default=0)
    if highest > 1:
        raise DataError(f"pairs of {task.name} have the classes 0 to {highest:g}; take head='logistic' or 'mlp'")
    from plait.evaluation.pairs import PairClassification

    return PairClassification(metric or "ap")


def documents(embedded: Embedded, codes: Codes | None) -> Embedded:
    """The vectors that are scored: those given, or what the codes decode to."""
    if codes is None:
        return embedded
    return Embedded(quantiser(codes).inverse_transform(codes.values), embedded.queries, embedded.units)


def quantiser(codes: Codes) -> Quantiser:
    """The step that made the codes.

    Raises:
        DataError: if they carry something else.
    """
    if not isinstance(codes.quantiser, Quantiser):
        raise DataError(f"codes carry {codes.quantiser!r}; expected the fitted quantiser that made them")
    return codes.quantiser


def one_by_one(evaluator: Evaluator, blocks: Sequence[Embedded], fit: Part | None, on: Part) -> Scorer:
    """The additive contract where nothing is additive: every concatenation is made and scored."""
    return lambda weights: evaluator.evaluate(Embedded.concat(blocks, weights), fit, on)


def squared(weights: Weights, blocks: int) -> Weights:
    """``[L]`` squares of the weights, once they are checked."""
    weights = np.asarray(weights, np.float64)
    if weights.shape != (blocks,) or not (weights >= 0).all() or not weights.any():
        raise DataError(f"weights are {weights.tolist()}; expected {blocks} numbers, 0 or above and not all 0")
    return weights**2


def _head(task: Task, head: Head | None) -> Head:
    heads = HEADS.get(task.kind, ())
    if head is None:
        return heads[0] if heads else ""
    if (isinstance(head, str) and head not in heads) or (not isinstance(head, str) and task.kind != "tagging"):
        have = ", ".join(heads) if heads else "none: it learns nothing"
        raise DataError(f"head is {head!r}; a {task.kind} task has {have}")
    return head


def _spanned(task: Task) -> bool:
    """Whether the tags say where spans begin and go on."""
    from plait.evaluation.bio_tags import looks_spanned

    tags = {tag for part in task.parts.values() if isinstance(part, Tags) for sentence in part.tags for tag in sentence}
    return looks_spanned(tags)
