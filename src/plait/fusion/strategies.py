"""Ways to search for the best concatenation, given only a function that scores one.

A candidate is a vector of L weights, one a part; 0 leaves the part out. Every strategy returns the trail of all that it
scored, so that they can be compared at equal numbers of evaluations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]
Score = Callable[[Weights], float]
Candidate = TypeVar("Candidate")
State = TypeVar("State")

FACTORS = (0.5, 0.7, 1.0, 1.4, 2.0)
"""Weights tried for a part: half to double, in steps of about √2."""


@dataclass
class Trail:
    """What a search scored, in order, and the controller's probabilities if it has one.

    Attributes:
        weights: the candidates.
        scores: their scores, higher is better.
        probability: ``[L]`` how likely the search would take each part at its end.
    """

    weights: list[Weights] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    probability: Weights | None = None

    @property
    def best(self) -> tuple[Weights, float]:
        """The best candidate; the later one of two equal ones, as in the published search."""
        number = len(self.scores) - 1 - int(np.argmax(self.scores[::-1]))
        return self.weights[number], self.scores[number]

    def inclusion(self) -> Weights:
        """``[L]`` probability of each part: the controller's, or its share among the better half of what was scored."""
        if self.probability is not None:
            return self.probability
        masks, scores = np.array(self.weights) > 0, np.array(self.scores)
        share: Weights = masks[scores >= np.median(scores)].mean(axis=0)
        return share


class Ledger:
    """Scores candidates, remembers all, and never pays for the same one twice."""

    def __init__(self, score: Score) -> None:
        self._score, self._known = score, dict[tuple[float, ...], float]()
        self.trail = Trail()

    def __call__(self, weights: Weights) -> float:
        key = tuple(float(w) for w in weights)
        if key not in self._known:
            self._known[key] = float(self._score(np.asarray(weights, np.float64)))
        self.trail.weights.append(np.array(weights, np.float64))
        self.trail.scores.append(self._known[key])
        return self._known[key]


def credit(mask: Weights, score: float, history: dict[tuple[float, ...], float], discount: float) -> Weights:
    """The reward vector of one episode.

    ``r = Σ_i (R − R_i) · discount^(Hamming(a, a_i) − 1) · |a − a_i|``: only the positions that differ from an earlier
    subset get credit, and near subsets count more.

    >>> credit(np.array([1.0, 0.0]), 3.0, {(1.0, 1.0): 1.0}, 0.5).tolist()
    [0.0, 2.0]
    """
    total = np.zeros(len(mask))
    for earlier, best in history.items():
        difference = np.abs(mask - np.array(earlier))
        distance = difference.sum()
        if distance:
            total += (score - best) * discount ** (distance - 1) * difference
    return total


def ace(  # noqa: PLR0913 - the published search has these
    score: Score,
    size: int,
    episodes: int,
    rng: np.random.Generator,
    discount: float = 0.5,
    lr: float = 0.1,
    momentum: float = 0.9,
    reward_scale: float = 100.0,
    reinforce: bool = False,
) -> Trail:
    """Policy gradient over subsets: one Bernoulli logit a part, moved by `credit`.

    Args:
        score: of a weight vector, in [0, 1].
        size: L.
        episodes: subsets to score; the first is all of them and moves nothing.
        rng: draws the subsets.
        discount: what a reward loses with each position of Hamming distance.
        lr: step of gradient descent on the logits; meant for scores in per cent.
        momentum: of the same.
        reward_scale: turns scores into per cent.
        reinforce: give every position the plain reward R − R_best instead (an ablation).

    Source: Automated Concatenation of Embeddings for Structured Prediction, arXiv 2010.05006.
    """
    ledger, logits, velocity = Ledger(score), np.zeros(size), np.zeros(size)
    mask, history = np.ones(size), dict[tuple[float, ...], float]()
    for episode in range(episodes):
        if episode:
            mask = _draw(_sigmoid(logits), mask, rng)
        value = ledger(mask) * reward_scale
        if episode:
            reward = (
                np.full(size, value - max(history.values())) if reinforce else credit(mask, value, history, discount)
            )
            velocity = momentum * velocity + (mask - _sigmoid(logits)) * reward
            logits = logits + lr * velocity
        key = tuple(mask)
        history[key] = max(value, history.get(key, -np.inf))
    ledger.trail.probability = _sigmoid(logits)
    return ledger.trail


def random(score: Score, size: int, episodes: int, rng: np.random.Generator) -> Trail:
    """Subsets drawn with probability ½ a part, after all of them once: the rival at equal cost."""
    ledger, mask = Ledger(score), np.ones(size)
    for episode in range(episodes):
        if episode:
            mask = _draw(np.full(size, 0.5), mask, rng)
        ledger(mask)
    return ledger.trail


def greedy(
    score: Score, size: int, episodes: int, rng: np.random.Generator, factors: tuple[float, ...] = (1.0,)
) -> Trail:
    """Start from the best part and add the one that helps most, until none does or ``episodes`` are spent."""
    ledger = Ledger(score)

    def moves(current: Weights) -> list[Weights]:
        left = episodes - len(ledger.trail.scores)
        return [_with(current, part, factor) for part in np.flatnonzero(current == 0) for factor in factors][:left]

    _climb(np.zeros(size), moves, ledger)
    return ledger.trail


def greedy_select(
    candidates: Sequence[Candidate], evaluate: Callable[[tuple[Candidate, ...]], float], max_k: int | None = None
) -> tuple[Candidate, ...]:
    """Forward selection: add the candidate that raises the score most, until none does or there are ``max_k``.

    With L candidates it scores at most L(L + 1) / 2 sets, where trying all would score 2^L.

    Args:
        candidates: what may be chosen: encoders, features, recipes.
        evaluate: score of a set, higher is better; never asked about the empty one.
        max_k: most to choose; None sets no limit.

    Returns:
        The chosen ones, in the order in which they came in.

    Example:
        >>> worth = {"a": 3, "b": 1, "c": -2}
        >>> greedy_select("abc", lambda chosen: sum(worth[name] for name in chosen))
        ('a', 'b')
    """
    most = len(candidates) if max_k is None else max_k

    def moves(chosen: tuple[int, ...]) -> list[tuple[int, ...]]:
        left = [place for place in range(len(candidates)) if place not in chosen]
        return [(*chosen, place) for place in left] if len(chosen) < most else []

    start: tuple[int, ...] = ()
    found = _climb(start, moves, lambda places: evaluate(tuple(candidates[place] for place in places)))
    return tuple(candidates[place] for place in found)


def everything(score: Score, size: int, episodes: int, rng: np.random.Generator) -> Trail:
    """All parts, once."""
    ledger = Ledger(score)
    ledger(np.ones(size))
    return ledger.trail


def refine(score: Score, weights: Weights, factors: tuple[float, ...] = FACTORS, rounds: int = 2) -> Trail:
    """Coordinate search over the weights of the parts that are in; the whole subset keeps its place in the trail."""
    ledger = Ledger(score)
    best, current = ledger(weights), np.array(weights, np.float64)
    for _ in range(rounds):
        before = best
        for part in np.flatnonzero(current):
            for move in (_with(current, part, factor) for factor in factors if factor != current[part]):
                value = ledger(move)
                if value > best:
                    best, current = value, move
        if best == before:
            break
    return ledger.trail


STRATEGIES: dict[str, Callable[..., Trail]] = {"ace": ace, "greedy": greedy, "random": random, "all": everything}


def _climb(start: State, moves: Callable[[State], Sequence[State]], score: Callable[[State], float]) -> State:
    """Take the best move, the first of equal ones, for as long as it betters the score."""
    current, best = start, -np.inf
    while options := moves(current):
        values = [score(option) for option in options]
        if max(values) <= best:
            break
        best, current = max(values), options[int(np.argmax(values))]
    return current


def _draw(probability: Weights, previous: Weights, rng: np.random.Generator) -> Weights:
    """A subset that is neither empty nor the previous one."""
    for mask in _samples(probability, rng):
        if mask.any() and (len(mask) == 1 or not np.array_equal(mask, previous)):
            return mask
    raise AssertionError("unreachable: the samples do not end")


def _samples(probability: Weights, rng: np.random.Generator) -> Iterator[Weights]:
    # saturated logits could repeat one subset for ever: keep a sliver of chance for every position
    clipped = np.clip(probability, 1e-3, 1 - 1e-3)
    while True:
        yield (rng.random(len(clipped)) < clipped).astype(np.float64)


def _sigmoid(logits: Weights) -> Weights:
    return 1 / (1 + np.exp(-np.clip(logits, -60, 60)))


def _with(weights: Weights, part: int | np.integer[Any], factor: float) -> Weights:
    out = np.array(weights, np.float64)
    out[part] = factor
    return out
