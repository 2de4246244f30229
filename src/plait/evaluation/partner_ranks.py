"""Does the true partner rank high among many other texts?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plait.data.tasks import Pairs, Task
from plait.evaluation.benchmarking import TextEncoder
from plait.evaluation.ranking import half_tied_ranks
from plait.evaluation.resampling import Reals
from plait.evaluation.scores import Score
from plait.step import Composite, unit_rows
from plait.types import Codes, DataError, Floats

METRICS = ("cosine", "l2")
BLOCK = 8_000_000
"""Similarities that are in memory at once."""


@dataclass(frozen=True, eq=False)
class PartnerRanks:
    """Where the partners stood.

    Attributes:
        ranks: ``[n]`` rank of each pair's partner, 1 for the best; halves where it is tied.
        size: texts that it was ranked among.
    """

    ranks: Reals
    size: int

    @property
    def mr(self) -> float:
        """Mean rank."""
        return float(self.ranks.mean())

    @property
    def mrr(self) -> float:
        """Mean reciprocal rank."""
        return float((1 / self.ranks).mean())

    def hits(self, k: int) -> float:
        """Share of partners among the first k."""
        return float((self.ranks <= k).mean())

    @property
    def chance(self) -> float:
        """Mean reciprocal rank of partners that stand anywhere with equal chance."""
        return float((1 / np.arange(1, self.size + 1)).mean())

    def score(self) -> Score:
        """The mean reciprocal rank as a score, for intervals and comparisons."""
        return Score.of("MRR", "mean", 1 / self.ranks)

    def table(self) -> list[dict[str, float]]:
        """One row: MR, MRR, hits at 1 and 3, pairs, texts ranked among."""
        shown = {"mr": self.mr, "mrr": self.mrr, "hits@1": self.hits(1), "hits@3": self.hits(3)}
        return [{**shown, "pairs": float(len(self.ranks)), "background": float(self.size)}]


class EvalRank:
    """Ranks the partner of each text among a background, in place of correlating with graded similarity.

    Args:
        pairs: texts that belong together; each is asked for from both sides.
        background: texts to rank among; those of the pairs are added. Equal texts count once.
        metric: "cosine", or "l2" for the Euclidean distance.
        center: whether the background's mean is taken off first; a vector of zeros (a text without a known word) stays.

    Raises:
        DataError: if there is no pair, a text is its own partner, or the metric is not known.

    Source: Just Rank: Rethinking Evaluation with Word and Sentence Similarities, arXiv 2203.02679.

    Example:
        >>> from plait import MeanPool, StaticTable
        >>> ranking = EvalRank([("a cat sleeps", "a kitten naps")], ["stocks fell", "it rains", "he plays chess"])
        >>> found = ranking.evaluate(StaticTable("wordllama") | MeanPool())
        >>> found.ranks.tolist(), found.size
        ([1.0, 1.0], 4)
    """

    def __init__(
        self, pairs: Sequence[tuple[str, str]], background: Sequence[str], metric: str = "cosine", center: bool = True
    ) -> None:
        if metric not in METRICS:
            raise DataError(f"metric is {metric!r}; expected one of {', '.join(METRICS)}")
        if not pairs or any(a == b for a, b in pairs):
            raise DataError(f"{len(pairs)} pairs were given; expected one at least, each of two different texts")
        self.pairs, self.metric, self.center = pairs, metric, center
        self.texts = list(dict.fromkeys([*(text for pair in pairs for text in pair), *background]))
        row = {text: number for number, text in enumerate(self.texts)}
        ordered = dict.fromkeys((row[x], row[y]) for a, b in pairs for x, y in ((a, b), (b, a)))
        self._asked, self._partner = np.array(list(ordered), np.int64).T

    def evaluate(self, encoder: Composite | TextEncoder) -> PartnerRanks:
        """Rank with a recipe, or with anything that has ``encode(texts) -> [N, D]``."""
        made = encoder.encode(self.texts)
        if isinstance(made, Codes):
            raise DataError("codes have no mean to take off; rank with the recipe before its compression")
        return self.rank(np.asarray(getattr(made, "values", made), np.float32))

    def rank(self, vectors: Floats) -> PartnerRanks:
        """Rank with vectors that are at hand.

        Args:
            vectors: ``[N, D]`` of ``self.texts``.
        """
        if len(vectors) != len(self.texts):
            raise DataError(f"{len(vectors)} vectors were given for {len(self.texts)} texts")
        vectors = np.asarray(vectors, np.float32)
        if self.center:
            known = np.asarray(vectors.any(axis=1))
            vectors = (vectors - vectors.mean(axis=0, dtype=np.float64).astype(np.float32)) * known[:, None]
        vectors = unit_rows(vectors) if self.metric == "cosine" else _at_scale_one(vectors)
        step = max(1, BLOCK // len(vectors))
        slices = [slice(start, start + step) for start in range(0, len(self._asked), step)]
        ranks = [self._ranks(vectors, self._asked[part], self._partner[part]) for part in slices]
        return PartnerRanks(np.concatenate(ranks), len(self.texts) - 1)

    def _ranks(self, vectors: Floats, asked: np.ndarray, partner: np.ndarray) -> Reals:
        similarity = vectors[asked] @ vectors.T
        if self.metric == "l2":
            squares = np.einsum("ij,ij->i", vectors, vectors)
            similarity = 2 * similarity - squares[asked, None] - squares
        similarity[np.arange(len(asked)), asked] = -np.inf
        return half_tied_ranks(similarity, partner)


def _at_scale_one(vectors: Floats) -> Floats:
    """Vectors whose mean square length is 1: distances keep their order, and rounding its size."""
    square = np.einsum("ij,ij->", vectors, vectors, dtype=np.float64) / len(vectors)
    return vectors / np.float32(np.sqrt(square)) if square else vectors


def partners(task: Task, least: float) -> list[tuple[str, str]]:
    """Different texts that a similarity task pairs with a high score, in all its parts.

    Args:
        task: of kind sts.
        least: the score from which on two texts belong together, e.g. 4 of 5.

    Example:
        >>> pairs = Pairs(np.array([0, 0]), np.array([1, 2]), np.array([4.5, 2.0]))
        >>> partners(Task("sts", "two", ("a", "b", "c"), parts={"all": pairs}), 4)
        [('a', 'b')]
    """
    found: dict[tuple[str, str], None] = {}
    for part in task.parts.values():
        if not isinstance(part, Pairs):
            raise DataError(f"{task.name} is a {task.kind} task; expected pairs with a graded score")
        for left, right, score in zip(part.left.tolist(), part.right.tolist(), part.score.tolist(), strict=True):
            if score >= least and left != right:
                found[str(task.documents[left]), str(task.documents[right])] = None
    return list(found)
