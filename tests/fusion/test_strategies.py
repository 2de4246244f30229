"""Searching concatenations, given a function that scores one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

import plait
from plait.fusion.strategies import (
    STRATEGIES,
    Ledger,
    ace,
    credit,
    everything,
    greedy,
    greedy_select,
    random,
    refine,
)
from plait.step import Concat
from plait.types import RecipeError
from tests.tiny import SENTENCES

SIZE, EPISODES = 8, 30
WORTH = np.array([0.09, -0.06, 0.05, -0.05, 0.02, -0.04, 0.01, -0.08])


def additive(weights: np.ndarray) -> float:
    """Each part adds its own worth: the best subset is the four that help."""
    return float(0.5 + WORTH[: len(weights)] @ (weights > 0))


def history(*facts: tuple[list[float], float]) -> dict[tuple[float, ...], float]:
    return {tuple(mask): score for mask, score in facts}


def test_credit_of_one_subset_at_a_distance_of_one() -> None:
    earlier = history(([1, 1, 1], 80.0))
    assert credit(np.array([1.0, 0, 1]), 83.0, earlier, 0.5).tolist() == [0, 3, 0]


def test_credit_of_three_subsets_by_hand() -> None:
    # equal: nothing; one position apart: full weight; two apart: half
    earlier = history(([1, 0, 1], 70.0), ([1, 1, 1], 80.0), ([0, 1, 1], 90.0))
    assert credit(np.array([1.0, 0, 1]), 84.0, earlier, 0.5).tolist() == [-6 / 2, 4 - 6 / 2, 0]


@given(
    masks=st.lists(st.lists(st.integers(0, 1), min_size=5, max_size=5), min_size=2, max_size=6, unique_by=tuple),
    scores=st.lists(st.integers(0, 100), min_size=6, max_size=6),
    discount=st.sampled_from([0.25, 0.5, 1.0]),
)
@settings(max_examples=100, deadline=None)
def test_credit_is_the_published_sum(masks: list[list[int]], scores: list[int], discount: float) -> None:
    *earlier, now = masks
    known = {tuple(map(float, mask)): float(score) for mask, score in zip(earlier, scores, strict=False)}
    expected = [0.0] * 5
    for mask, score in known.items():
        hamming = sum(a != b for a, b in zip(now, mask, strict=True))
        for place in range(5):
            if now[place] != mask[place]:
                expected[place] += (50 - score) * discount ** (hamming - 1)
    np.testing.assert_allclose(credit(np.array(now, float), 50.0, known, discount), expected, atol=1e-9)


def test_the_first_episode_scores_all_parts_and_moves_nothing() -> None:
    trail = ace(additive, SIZE, 1, np.random.default_rng(0))
    assert trail.weights[0].tolist() == [1.0] * SIZE
    assert trail.probability is not None
    assert trail.probability.tolist() == [0.5] * SIZE


def test_one_step_of_the_controller_by_hand() -> None:
    rng = np.random.default_rng(3)
    trail = ace(additive, 3, 2, rng, discount=0.5, lr=0.1, momentum=0.9, reward_scale=100)
    first, second = trail.weights
    gain = 100 * (trail.scores[1] - trail.scores[0])
    distance = np.abs(first - second).sum()
    reward = gain * 0.5 ** (distance - 1) * np.abs(first - second)
    logits = 0.1 * (second - 0.5) * reward
    assert trail.probability is not None
    np.testing.assert_allclose(trail.probability, 1 / (1 + np.exp(-logits)), atol=1e-12)


@pytest.mark.parametrize("strategy", ["ace", "random"])
def test_draws_are_never_empty_and_never_the_one_before(strategy: str) -> None:
    trail = STRATEGIES[strategy](additive, 3, 200, np.random.default_rng(0))
    assert len(trail.scores) == 200
    for before, after in zip(trail.weights, trail.weights[1:], strict=False):
        assert after.any()
        assert not np.array_equal(before, after)


def late_mean(search: Callable[..., object], score: Callable[[np.ndarray], float], seeds: int = 30) -> float:
    """True worth of what a search draws in its last ten episodes, over seeds."""
    means = []
    for seed in range(seeds):
        trail = search(score, SIZE, 60, np.random.default_rng(seed))
        means.append(np.mean([additive(weights) for weights in trail.weights[-10:]]))  # type: ignore[attr-defined]
    return float(np.mean(means))


def test_the_controller_learns_and_does_not_from_shuffled_rewards() -> None:
    masks = [np.array([int(bit) for bit in f"{number:0{SIZE}b}"], float) for number in range(1, 2**SIZE)]
    values = np.random.default_rng(0).permutation([additive(mask) for mask in masks])
    shuffled = {tuple(mask): float(value) for mask, value in zip(masks, values, strict=True)}
    learned, blind = late_mean(ace, additive), late_mean(random, additive)
    misled = late_mean(ace, lambda weights: shuffled[tuple(weights)])
    assert learned > blind + 0.05
    assert abs(misled - blind) < 0.04


def test_the_controllers_probabilities_are_on_the_side_of_what_helps() -> None:
    found = np.mean([ace(additive, SIZE, 60, np.random.default_rng(seed)).inclusion() for seed in range(20)], axis=0)
    assert found[[0, 2]].min() > 0.6
    assert found[[1, 3, 7]].max() < 0.4


def test_greedy_takes_what_helps_and_stops() -> None:
    trail = greedy(additive, SIZE, 100, np.random.default_rng(0))
    weights, score = trail.best
    assert np.flatnonzero(weights).tolist() == [0, 2, 4, 6]
    assert score == pytest.approx(additive((WORTH > 0).astype(float)))
    assert len(trail.scores) == 8 + 7 + 6 + 5 + 4
    assert len(greedy(additive, SIZE, 10, np.random.default_rng(0)).scores) == 10


@given(worth=st.lists(st.integers(-5, 5), min_size=1, max_size=6), max_k=st.none() | st.integers(0, 6))
def test_forward_selection_of_independent_parts_takes_the_best_that_help(worth: list[int], max_k: int | None) -> None:
    chosen = greedy_select(range(len(worth)), lambda places: sum(worth[n] for n in places), max_k)
    gains = [worth[n] for n in chosen]
    ranked = sorted(worth, reverse=True)
    helpful = [ranked[0], *(value for value in ranked[1:] if value > 0)]  # one part at least, even if it does harm
    assert gains == helpful[:max_k]
    assert len(set(chosen)) == len(chosen)


def test_forward_selection_weighs_a_candidate_beside_the_chosen_ones() -> None:
    scores = {"a": 5, "b": 4, "c": 1, "ab": 5, "ac": 7, "abc": 7}
    asked: list[str] = []

    def score(chosen: tuple[str, ...]) -> float:
        asked.append("".join(sorted(chosen)))
        return scores[asked[-1]]

    assert greedy_select(["a", "b", "c"], score) == ("a", "c")
    assert asked == ["a", "b", "c", "ab", "ac", "abc"]


def test_forward_selection_from_nothing_is_nothing() -> None:
    assert greedy_select([], lambda chosen: 1.0) == ()


def test_everything_is_scored_once() -> None:
    trail = everything(additive, SIZE, 30, np.random.default_rng(0))
    assert [weights.tolist() for weights in trail.weights] == [[1.0] * SIZE]


def test_refine_climbs_to_better_weights_and_keeps_the_subset() -> None:
    def score(weights: np.ndarray) -> float:
        return 1 - float(np.abs(weights - np.array([2.0, 0.0, 0.5])).sum()) / 10

    trail = refine(score, np.array([1.0, 0.0, 1.0]))
    assert trail.best[0].tolist() == [2.0, 0.0, 0.5]
    assert trail.best[1] == 1.0
    assert all(weights[1] == 0 for weights in trail.weights)


def test_the_later_of_two_equals_is_the_best() -> None:
    ledger = Ledger(lambda weights: 0.5)
    for mask in ([1.0, 0.0], [0.0, 1.0]):
        ledger(np.array(mask))
    assert ledger.trail.best[0].tolist() == [0.0, 1.0]


def test_nothing_is_paid_for_twice() -> None:
    paid: list[tuple[float, ...]] = []

    def score(weights: np.ndarray) -> float:
        paid.append(tuple(weights))
        return additive(weights)

    trail = ace(score, 3, 100, np.random.default_rng(0))
    assert len(paid) == len(set(paid)) <= 7
    assert len(trail.scores) == 100


@pytest.fixture
def parts(tiny_table: Path) -> list[plait.Chain]:
    table = plait.StaticTable(str(tiny_table))
    return [table | plait.MeanPool(), table | plait.MaxPool() | plait.Center(), table | plait.SifPool(a=0.1)]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_searches_agree_with_themselves(parts: list[plait.Chain], strategy: str) -> None:
    def made() -> plait.ConcatSearch:
        search = plait.ConcatSearch(parts, strategy, 12, weighted=True, random_state=3)
        return search.search(lambda weights: float(0.5 + weights @ [0.1, -0.1, 0.05] - 0.02 * (weights @ weights)))

    one, two = made(), made()
    assert one.weights_.tolist() == two.weights_.tolist()
    assert one.scores_.tobytes() == two.scores_.tobytes()
    assert one.subsets_.shape == (len(one.scores_), 3)
    assert one.scores_.max() == pytest.approx(one.scores_[(one.subsets_ == one.weights_).all(axis=1)].max())
    assert ((one.inclusion_probability_ >= 0) & (one.inclusion_probability_ <= 1)).all()


def test_a_search_stands_for_all_parts_until_it_was_run(parts: list[plait.Chain]) -> None:
    search = plait.ConcatSearch(parts, "greedy", 20)
    assert str(search.concat) == str(Concat(parts))
    search.search(lambda weights: 1.0 if weights.tolist() == [1, 0, 1] else 0.1 * float(weights[0]))
    assert search.support_.tolist() == [True, False, True]
    assert str(search.concat) == str(Concat([parts[0], parts[2]], [1, 1]))


def test_a_search_is_text_and_clones_without_what_it_found(parts: list[plait.Chain]) -> None:
    search = plait.ConcatSearch(parts, "greedy", 20, weighted=True, random_state=7)
    found = clone(search).search(lambda weights: float(weights[1]))
    read = plait.parse(str(search))
    assert str(read) == str(search) == str(found) == str(clone(found))
    assert read.get_params(deep=False)["random_state"] == 7
    assert not clone(found).state()
    assert found.fingerprint != search.fingerprint


def test_a_fitted_search_is_saved_whole(parts: list[plait.Chain], tmp_path: Path) -> None:
    search = plait.ConcatSearch(parts, "greedy", 20, weighted=True)
    search.fit(
        SENTENCES, score=lambda weights: 1 - abs(weights[0] - 2) / 9 - abs(weights[1] - 0.5) / 9 - weights[2] / 9
    )
    assert search.weights_.tolist() == [2.0, 0.5, 0.0]
    loaded = plait.load(plait.save(search, tmp_path / "model"))
    assert loaded.encode(SENTENCES).values.tobytes() == search.encode(SENTENCES).values.tobytes()
    assert search.encode(SENTENCES).values.shape == (len(SENTENCES), 32)


def test_unknown_strategy_is_refused(parts: list[plait.Chain]) -> None:
    with pytest.raises(RecipeError, match="strategy is 'best'; expected one of ace, greedy, random, all"):
        plait.ConcatSearch(parts, "best").search(additive)


def test_parts_that_cannot_stand_side_by_side_are_refused(parts: list[plait.Chain]) -> None:
    with pytest.raises(RecipeError, match="a part of a concatenation"):
        plait.ConcatSearch([*parts, plait.MeanPool()])
