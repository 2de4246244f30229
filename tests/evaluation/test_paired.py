"""Paired tests against scipy, corrections against their definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from plait.evaluation import Score, paired_test
from plait.evaluation.paired import correct
from plait.types import DataError

RNG = np.random.default_rng(0)
A = {name: RNG.normal(0.3, 1, 40) for name in ("x", "y", "z")}
B = {name: RNG.normal(0, 1, 40) for name in A}


def test_wilcoxon_is_that_of_scipy() -> None:
    found = paired_test(A, B, test="wilcoxon", correction="none")
    for row in found.rows:
        assert row.p_value == row.corrected == stats.wilcoxon(A[row.task], B[row.task]).pvalue
        assert row.difference == pytest.approx((A[row.task] - B[row.task]).mean())
        assert row.units == 40


def test_permutation_is_near_that_of_scipy() -> None:
    for row in paired_test(A, B, test="permutation").rows:
        peer = stats.permutation_test(
            (A[row.task], B[row.task]), lambda a, b: (a - b).mean(), permutation_type="samples", n_resamples=9999, rng=0
        )
        assert row.p_value == pytest.approx(peer.pvalue, abs=0.02)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_by_its_definition(p_values: list[float]) -> None:
    order = sorted(range(len(p_values)), key=lambda n: p_values[n])
    expected = [0.0] * len(p_values)
    for place, number in enumerate(order):
        steps = [(len(order) - j) * p_values[order[j]] for j in range(place + 1)]
        expected[number] = min(1.0, max(steps))
    assert correct(p_values, "holm") == pytest.approx(expected)
    assert all(h <= b + 1e-12 for h, b in zip(correct(p_values), correct(p_values, "bonferroni"), strict=True))
    assert correct(p_values, "none") == p_values


def test_what_is_found_by_looking_often_enough_is_not_significant() -> None:
    rng = np.random.default_rng(1)
    many = {str(n): rng.normal(size=30) for n in range(60)}
    others = {name: rng.normal(size=30) for name in many}
    raw, holm = (paired_test(many, others, "wilcoxon", how) for how in ("none", "holm"))
    assert raw.significant()
    assert not holm.significant()


def test_correlations_are_tested_by_drawing_pairs_anew() -> None:
    rng = np.random.default_rng(2)
    gold = rng.normal(size=200)
    good, bad = (Score.of("spearman", "spearman", gold + s * rng.normal(size=200), gold) for s in (0.3, 3))
    found = paired_test({"sts": good}, {"sts": bad}, test="bootstrap", resamples=500)
    assert found.significant() == ["sts"]
    assert found.table()[0]["difference"] == pytest.approx(good.value - bad.value)
    for test, message in (("permutation", "no mean over its examples"), ("wilcoxon", "take the test 'bootstrap'")):
        with pytest.raises(DataError, match=message):
            paired_test({"sts": good}, {"sts": bad}, test=test)


def test_equal_models_do_not_differ() -> None:
    for test in ("wilcoxon", "permutation", "bootstrap"):
        assert paired_test(A, A, test=test, resamples=200).rows[0].p_value == 1


def test_what_cannot_be_paired_is_said() -> None:
    with pytest.raises(DataError, match="expected the same"):
        paired_test(A, {"x": B["x"]})
    with pytest.raises(DataError, match="expected the same"):
        paired_test({}, {})
    with pytest.raises(DataError, match="test is 't' and correction 'holm'"):
        paired_test(A, B, test="t")
    with pytest.raises(DataError, match="correction 'fdr'"):
        paired_test(A, B, correction="fdr")
    for test in ("wilcoxon", "permutation"):
        with pytest.raises(DataError, match=r"no values of the same units|must be the same"):
            paired_test({"x": [1.0, 2.0]}, {"x": [1.0, 2.0, 3.0]}, test=test)
