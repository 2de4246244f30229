"""Intervals and tests against scipy, and against what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from plait.evaluation import Score, compare, interval, permutation_test, pool
from plait.types import DataError


def mean_score(values: np.ndarray) -> Score:
    return Score.of("accuracy", "mean", values)


def test_the_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).exponential(size=300)
    found = interval(mean_score(values), resamples=20_000)
    peer = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=1).confidence_interval
    assert (found.low, found.high) == pytest.approx((peer.low, peer.high), abs=0.005)


def test_the_interval_of_a_correlation_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    y = x + rng.normal(size=200)

    def statistic(a: np.ndarray, b: np.ndarray) -> float:
        return float(stats.spearmanr(a, b).statistic)

    found = interval(Score.of("spearman", "spearman", x, y), resamples=1000)
    peer = stats.bootstrap(
        (x, y), statistic, paired=True, n_resamples=1000, method="percentile", vectorized=False, rng=1
    )
    low, high = peer.confidence_interval
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.02)


def test_ninety_five_per_cent_intervals_hold_the_truth_about_as_often() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(300):
        found = interval(mean_score((rng.random(150) < 0.7).astype(float)), resamples=400, seed=seed)
        held += found.low <= 0.7 <= found.high
    assert 0.91 <= held / 300 <= 0.98


def test_a_wider_level_gives_a_wider_interval() -> None:
    score = mean_score(np.random.default_rng(0).random(100))
    narrow, wide = interval(score, level=0.8), interval(score, level=0.99)
    assert wide.low < narrow.low < score.value < narrow.high < wide.high


def test_the_comparison_agrees_with_a_paired_t_test_on_many_examples() -> None:
    rng = np.random.default_rng(3)
    common = rng.normal(size=2000)
    a, b = common + rng.normal(0.04, 1, 2000), common + rng.normal(0, 1, 2000)
    expected = stats.ttest_rel(a, b).pvalue
    assert compare(mean_score(a), mean_score(b), resamples=20_000).p_value == pytest.approx(expected, abs=0.01)
    assert permutation_test(mean_score(a), mean_score(b)) == pytest.approx(expected, abs=0.01)


def test_the_permutation_test_is_that_of_scipy_where_all_patterns_can_be_tried() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(12) + 0.15, rng.random(12)
    peer = stats.permutation_test(
        (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf, vectorized=False
    )
    assert permutation_test(mean_score(a), mean_score(b), 50_000) == pytest.approx(peer.pvalue, abs=0.01)


def test_p_values_are_uniform_where_there_is_no_difference() -> None:
    rng, found = np.random.default_rng(0), []
    for seed in range(200):
        a, b = rng.normal(size=(2, 80))
        found.append(compare(mean_score(a), mean_score(b), resamples=400, seed=seed).p_value)
    assert 0.02 <= np.mean(np.array(found) < 0.05) <= 0.1


@pytest.mark.parametrize("kind", ["mean", "spearman"])
def test_a_score_does_not_differ_from_itself(kind: str) -> None:
    x = np.random.default_rng(0).random(50)
    score = Score.of("m", kind, x) if kind == "mean" else Score.of("m", kind, x, x**2 + 1)
    found = compare(score, score)
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_equal_scores_are_not_told_apart_by_the_permutation_test() -> None:
    score = mean_score(np.random.default_rng(0).random(50))
    assert permutation_test(score, score) == 1


def test_pairing_sees_what_unpaired_intervals_do_not() -> None:
    rng = np.random.default_rng(0)
    b = rng.random(300)
    a = b + rng.normal(0.01, 0.02, 300)
    first, second = interval(mean_score(a)), interval(mean_score(b))
    assert first.low < second.high
    assert compare(mean_score(a), mean_score(b)).p_value < 0.01


def test_draws_depend_on_the_seed_alone() -> None:
    score = mean_score(np.random.default_rng(0).random(50))
    assert interval(score, seed=1) == interval(score, seed=1)
    assert interval(score, seed=1) != interval(score, seed=2)


def test_what_cannot_be_compared_is_refused() -> None:
    a = mean_score(np.ones(3))
    with pytest.raises(DataError, match="the metric and the examples must be the same"):
        compare(a, mean_score(np.ones(4)))
    ratio = Score.of("f1", "ratio", np.ones(3), np.ones(3))
    with pytest.raises(DataError, match=r"use compare\(\)"):
        permutation_test(ratio, ratio)


def test_folds_are_pooled_example_by_example() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 90))
    whole = Score.of("spearman", "spearman", x, y)
    folds = [Score.of("spearman", "spearman", x[i : i + 30], y[i : i + 30]) for i in (0, 30, 60)]
    assert pool(folds).value == whole.value


def test_clusterings_of_folds_are_kept_apart() -> None:
    gold, none = np.array(["a", "a", "b", "b"]), np.zeros(4, int)
    one = Score.of("v-measure", "v-measure", gold, np.array([0, 0, 1, 1]), none)
    other = Score.of("v-measure", "v-measure", gold, np.array([1, 1, 0, 0]), none)
    pooled = pool([one, other])
    assert pooled.value == 1
    assert pool([pooled, one]).value == 1


def test_only_scores_of_one_metric_are_pooled() -> None:
    with pytest.raises(DataError, match="no score"):
        pool([])
    with pytest.raises(DataError, match="accuracy, f1"):
        pool([mean_score(np.ones(2)), Score.of("f1", "mean", np.ones(2))])
