"""Heads on pairs: features, classes, graded similarity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from plait.data.tasks import Labels, Pairs, Task
from plait.evaluation import Embedded, evaluator, pair_features
from plait.evaluation.pair_heads import PairHead, Relatedness, soft_grades
from plait.evaluation.pairs import Similarity
from plait.step import unit_rows
from plait.types import DataError


def pairs_of(seed: int, rows: int = 200, classes: int = 3) -> tuple[Embedded, Pairs]:
    """Vectors in which the first dimension's difference decides the class."""
    rng = np.random.default_rng(seed)
    left = rng.normal(size=(rows, 8)).astype(np.float32)
    score = rng.integers(0, classes, rows)
    right = left + 0.2 * rng.normal(size=left.shape).astype(np.float32)
    right[:, 0] += 3 * score
    return Embedded(np.vstack([left, right])), Pairs(np.arange(rows), rows + np.arange(rows), score.astype(np.float64))


@given(seed=st.integers(0, 99))
def test_features_do_not_know_left_from_right(seed: int) -> None:
    u, v = np.random.default_rng(seed).normal(size=(2, 4, 3)).astype(np.float32)
    features = pair_features(u, v)
    assert (features == pair_features(v, u)).all()
    expected = [[abs(u[n, d] - v[n, d]) for d in range(3)] + [u[n, d] * v[n, d] for d in range(3)] for n in range(4)]
    np.testing.assert_allclose(features, expected, rtol=1e-6)


def test_sides_of_different_shape_are_refused() -> None:
    with pytest.raises(DataError, match="one vector a side and pair"):
        pair_features(np.ones((2, 3)), np.ones((3, 3)))


@pytest.mark.parametrize("head", ["logistic", "mlp"])
def test_three_classes_are_learned_where_cosine_cannot_tell_them(head: str) -> None:
    embedded, pairs = pairs_of(0, rows=500)
    fit, on = pairs.take(np.arange(400)), pairs.take(np.arange(400, 500))
    assert PairHead(head).evaluate(embedded, fit, on).value > 0.8
    assert PairHead(head, "macro-f1").evaluate(embedded, fit, on).value > 0.8


def test_f1_is_that_of_class_one() -> None:
    embedded, pairs = pairs_of(1, classes=2)
    fit, on = pairs.take(np.arange(150)), pairs.take(np.arange(150, 200))
    found = PairHead("logistic", "f1").evaluate(embedded, fit, on)
    wrong = PairHead("logistic", "accuracy").evaluate(embedded, fit, on).examples[0] == 0
    said = np.where(wrong, 1 - on.score, on.score)
    hits = ((said == 1) & (on.score == 1)).sum()
    assert found.value == pytest.approx(2 * hits / ((said == 1).sum() + (on.score == 1).sum()))


@given(st.lists(st.floats(0, 5), min_size=1, max_size=20))
def test_soft_grades_keep_the_mean_and_add_up(scores: list[float]) -> None:
    grades, shares = soft_grades(np.array(scores))
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-9)
    np.testing.assert_allclose(shares @ grades, scores, atol=1e-9)
    assert ((shares > 0).sum(axis=1) <= 2).all()


@pytest.mark.parametrize(("metric", "peer"), [("spearman", spearmanr), ("pearson", pearsonr)])
def test_relatedness_is_learned(metric: str, peer: object) -> None:
    rng = np.random.default_rng(0)
    left = unit_rows(rng.normal(size=(400, 6)).astype(np.float32))
    gold = rng.uniform(1, 5, 400)
    right = unit_rows(left + ((5 - gold) / 4)[:, None] * rng.normal(size=left.shape)).astype(np.float32)
    embedded = Embedded(np.vstack([left, right]))
    pairs = Pairs(np.arange(400), 400 + np.arange(400), gold)
    fit, on = pairs.take(np.arange(300)), pairs.take(np.arange(300, 400))
    found = Relatedness(metric).evaluate(embedded, fit, on)
    assert callable(peer)
    assert found.value == pytest.approx(peer(*found.examples).statistic)
    assert found.value > 0.6
    assert ((found.examples[0] >= 1) & (found.examples[0] <= 5)).all()


def test_pearson_of_cosine_is_that_of_scipy() -> None:
    embedded, pairs = pairs_of(2)
    u, v = (unit_rows(embedded.documents[side]) for side in (pairs.left, pairs.right))
    expected = pearsonr((u * v).sum(axis=1), pairs.score).statistic
    assert Similarity("pearson").evaluate(embedded, None, pairs).value == pytest.approx(expected, abs=1e-6)


def test_what_does_not_fit_is_said() -> None:
    embedded, pairs = pairs_of(3)
    task = Task("pair-classification", "three", (), parts={"test": pairs})
    with pytest.raises(DataError, match="take head='logistic' or 'mlp'"):
        evaluator(task)
    assert isinstance(evaluator(task, "mlp"), PairHead)
    assert isinstance(evaluator(Task("sts", "graded", ()), "softmax", "pearson"), Relatedness)
    with pytest.raises(DataError, match="ap is for the head cosine"):
        PairHead("logistic", "ap").evaluate(embedded, pairs, pairs)
    with pytest.raises(DataError, match="all pairs to learn from are of class 0"):
        PairHead().evaluate(embedded, Pairs(pairs.left, pairs.right, 0 * pairs.score), pairs)
    with pytest.raises(DataError, match=r"have the score 2\.0"):
        Relatedness().evaluate(embedded, Pairs(pairs.left, pairs.right, 0 * pairs.score + 2), pairs)
    with pytest.raises(DataError, match="got NoneType of 0"):
        PairHead().evaluate(embedded, None, pairs)
    with pytest.raises(DataError, match="got Labels of 1"):
        Relatedness().evaluate(embedded, pairs, Labels(np.array([0]), ("a",)))
