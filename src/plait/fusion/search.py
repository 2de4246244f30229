"""`ConcatSearch`: a concatenation whose parts and weights are found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Self

import numpy as np

from plait import plan
from plait.bank import Bank
from plait.fusion.strategies import STRATEGIES, Score, Trail, refine
from plait.lesson import UNLABELLED, Lesson
from plait.step import Composite, Concat, Step
from plait.types import Floats, Items, RecipeError, Vectors


class ConcatSearch(Composite):
    """The best subset of parts to concatenate, found by scoring subsets on the user's task.

    Before `search` it stands for all its parts; afterwards for the chosen ones. What a subset is worth is for the
    caller to say: ``search(score)`` takes any function of a weight vector, so that the same search serves tagging,
    classification, similarity and retrieval.

    Args:
        parts: recipes that give vectors.
        strategy: "ace" (policy gradient), "greedy", "random" or "all".
        episodes: how many subsets may be scored; 30 is the published number.
        discount: ACE's loss of credit with Hamming distance.
        lr: ACE's step.
        momentum: ACE's momentum.
        weighted: after the subset, search the weights of its parts too.
        random_state: seed of the draws.

    Attributes:
        weights_: ``[L]`` weight of each part; 0 = left out.
        inclusion_probability_: ``[L]``.
        subsets_: ``[E, L]`` what was scored, in order.
        scores_: ``[E]``.

    Example:
        >>> from plait import StaticTable, MeanPool, MaxPool
        >>> table = StaticTable("wordllama")
        >>> search = ConcatSearch([table | MeanPool(), table | MaxPool()], episodes=8)
        >>> search.search(lambda weights: 0.9 if weights[0] and not weights[1] else 0.5).support_.tolist()
        [True, False]

    Source: Automated Concatenation of Embeddings for Structured Prediction, arXiv 2010.05006.
    """

    takes = str
    gives = Vectors

    def __init__(
        self,
        parts: Sequence[Step],
        strategy: str = "ace",
        episodes: int = 30,
        discount: float = 0.5,
        lr: float = 0.1,
        momentum: float = 0.9,
        weighted: bool = False,
        random_state: int = 0,
    ) -> None:
        self.parts = parts
        self.strategy = strategy
        self.episodes = episodes
        self.discount = discount
        self.lr = lr
        self.momentum = momentum
        self.weighted = weighted
        self.random_state = random_state
        Concat(parts)  # refuses parts that cannot stand side by side

    def search(self, score: Score) -> Self:
        """Find subset and weights.

        Args:
            score: of a ``[L]`` weight vector, higher is better; ACE expects it in [0, 1].

        Raises:
            RecipeError: for an unknown strategy.
        """
        trail = self._trail(score)
        weights, best = trail.best
        subsets, scores = list(trail.weights), list(trail.scores)
        if self.weighted:
            refined = refine(score, weights)
            subsets, scores = subsets + refined.weights, scores + refined.scores
            if refined.best[1] > best:
                weights = refined.best[0]
        self.weights_ = weights
        self.inclusion_probability_ = trail.inclusion()
        self.subsets_, self.scores_ = np.array(subsets), np.array(scores)
        return self

    @property
    def support_(self) -> np.ndarray:
        """``[L]`` which parts are in."""
        return np.asarray(self.weights_ > 0)

    @property
    def concat(self) -> Concat:
        """The concatenation that the search stands for now."""
        if not hasattr(self, "weights_"):
            return Concat(self.parts)
        chosen = np.flatnonzero(self.weights_).tolist()
        return Concat([self.parts[i] for i in chosen], [float(self.weights_[i]) for i in chosen])

    def _trail(self, score: Score) -> Trail:
        if self.strategy not in STRATEGIES:
            raise RecipeError(f"strategy is {self.strategy!r}; expected one of {', '.join(STRATEGIES)}")
        options = {}
        if self.strategy == "ace":
            options = {"discount": self.discount, "lr": self.lr, "momentum": self.momentum}
        rng = np.random.default_rng(self.random_state)
        return STRATEGIES[self.strategy](score, len(self.parts), self.episodes, rng, **options)

    def children(self) -> Sequence[Step]:
        return self.parts

    def strands(self) -> Iterator[plan.Strand]:
        return self.concat.strands()

    def weave(self, given: Mapping[str, Floats]) -> np.ndarray:
        return self.concat.weave(given)

    def learn(self, given: Mapping[str, Floats], lesson: Lesson = UNLABELLED) -> Self:
        self.concat.learn(given, lesson)
        return self

    def fit(
        self,
        X: Items,
        y: object = None,
        bank: Bank | None = None,
        progress: plan.Progress | None = None,
        score: Score | None = None,
    ) -> Self:
        """Search with ``score`` if one is given, then fit the parts that are in."""
        if score is not None:
            self.search(score)
        return super().fit(X, y, bank, progress)
