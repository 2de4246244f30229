"""Heads against scikit-learn and against what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from plait.data.tasks import Labels
from plait.evaluation import Embedded
from plait.evaluation.classification import Classification
from plait.evaluation.heads import best_logistic, mlp, scaled, scaled_logistic
from plait.evaluation.ridge import held_out


def blobs(seed: int, rows: int = 300, width: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 3, rows)
    return (rng.normal(size=(rows, width)) + 1.5 * classes[:, None] * [1, 0, 0, 0, 0, -1]).astype(np.float32), classes


def test_scaling_is_that_of_scikit_learn() -> None:
    train, test = blobs(0)[0], blobs(1)[0] * 40
    peer = StandardScaler().fit(train)
    for found, rows in zip(scaled(train, test), (train, test), strict=True):
        np.testing.assert_allclose(found, peer.transform(rows), rtol=1e-4, atol=1e-4)


def test_a_constant_column_becomes_zero() -> None:
    train = np.full((5, 2), 1e6, np.float32)
    assert not scaled(train, np.array([[3, 4]], np.float32))[1].any()


def test_the_chosen_penalty_did_best_on_the_held_rows() -> None:
    rows, classes = blobs(2, rows=60)
    held, costs = held_out(60), (1e-4, 1e-2, 1.0)
    quality = [
        LogisticRegression(C=cost, max_iter=300).fit(rows[~held], classes[~held]).score(rows[held], classes[held])
        for cost in costs
    ]
    assert quality[costs.index(best_logistic(rows, classes, costs).C)] == max(quality)


def test_weights_are_repetitions() -> None:
    rows, classes = blobs(3, rows=40)
    times = np.random.default_rng(0).integers(1, 4, 40)
    weighted = best_logistic(rows, classes, (0.1,), times.astype(np.float32))
    repeated = LogisticRegression(C=0.1, max_iter=300).fit(rows.repeat(times, axis=0), classes.repeat(times))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-3)


@pytest.mark.parametrize("head", [scaled_logistic, mlp])
def test_heads_learn_and_repeat(head: object) -> None:
    (rows, classes), (test, gold) = blobs(4), blobs(5)
    assert callable(head)
    train, held = scaled(rows, test)
    said = head(train, classes, held)
    assert (said == gold).mean() > 0.6
    assert (said == head(train, classes, held)).all()


def test_the_perceptron_takes_few_rows_and_lonely_classes() -> None:
    rows, classes = blobs(6, rows=7)
    assert set(mlp(rows, classes, rows)) <= set(classes)
    many, several = blobs(7, rows=150)
    several[0] = 9
    assert set(mlp(many, several, many)) <= set(several)


@pytest.mark.parametrize("head", ["scaled-logistic", "mlp"])
def test_a_scaled_head_sees_the_length_of_a_vector(head: str) -> None:
    rng = np.random.default_rng(0)
    long = rng.integers(0, 2, 400)
    direction = rng.normal(size=(400, 3))
    rows = direction / np.linalg.norm(direction, axis=1, keepdims=True) * 0.1 + np.where(long, 9, 3)[:, None]
    part = Labels(np.arange(400), tuple(map(str, long)))
    fit, on = part.take(np.arange(300)), part.take(np.arange(300, 400))
    embedded = Embedded(rows.astype(np.float32))
    assert Classification(head).evaluate(embedded, fit, on).value == 1
    assert Classification("logistic").evaluate(embedded, fit, on).value < 0.9
