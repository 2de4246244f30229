"""Classification heads on separable and on random data."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.preprocessing import normalize

from plait.data.tasks import Judgements, Labels
from plait.evaluation import Embedded
from plait.evaluation.classification import Classification
from plait.evaluation.ridge import Penalty
from plait.types import DataError
from tests.evaluation.makers import embedded

HEADS = ["logistic", "ridge", "knn"]
NAMES = ("red", "green", "blue")


def blobs(noise: float = 0.5, width: int = 8) -> tuple[Embedded, Labels, Labels]:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, 200)
    centres = rng.normal(size=(3, width))
    values = (centres[classes] + noise * rng.normal(size=(200, width))).astype(np.float32)
    order, labels = rng.permutation(200), tuple(NAMES[number] for number in classes)
    parts = [Labels(rows, tuple(labels[row] for row in rows)) for rows in (order[:120], order[120:])]
    return Embedded(values), parts[0], parts[1]


@pytest.mark.parametrize("head", HEADS)
def test_classes_that_lie_apart_are_found(head: str) -> None:
    vectors, fit, on = blobs(noise=0.2)
    assert Classification(head).evaluate(vectors, fit, on).value > 0.97


@pytest.mark.parametrize("head", HEADS)
def test_shuffled_labels_are_not_found(head: str) -> None:
    vectors, fit, on = blobs()
    shuffled = Labels(fit.rows, tuple(np.random.default_rng(0).permutation(fit.labels).tolist()))
    assert Classification(head).evaluate(vectors, shuffled, on).value < 0.6


@pytest.mark.parametrize("head", HEADS)
def test_a_label_that_the_fit_part_lacks_is_an_error(head: str) -> None:
    vectors, fit, on = blobs(noise=0.2)
    other = Labels(on.rows, ("violet", *on.labels[1:]))
    expected = Classification(head).evaluate(vectors, fit, on).value - 1 / len(on)
    assert Classification(head).evaluate(vectors, fit, other).value == pytest.approx(expected)


def test_the_logistic_head_is_no_worse_than_one_with_the_default_penalty() -> None:
    vectors, fit, on = blobs(noise=1.0)
    x = normalize(vectors.documents)
    peer = LogisticRegression().fit(x[fit.rows], fit.labels).score(x[on.rows], on.labels)
    assert Classification().evaluate(vectors, fit, on).value >= peer - 0.05


def test_macro_f1_is_that_of_scikit_learn() -> None:
    vectors, fit, on = blobs(noise=1.0)
    score = Classification("ridge", "macro-f1").evaluate(vectors, fit, on)
    gold, said = score.examples
    assert tuple(gold) == on.labels
    assert score.value == pytest.approx(f1_score(gold, said, average="macro"))


@pytest.mark.parametrize("metric", [None, "macro-f1"])
@pytest.mark.parametrize("weights", [[1.0, 1.0], [0.3, 2.0], [0.0, 1.0]])
def test_the_ridge_of_a_concatenation_needs_no_concatenation(
    metric: str | None, weights: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plait.evaluation.ridge.RIDGES", (Penalty(0.3),))  # additive scores share one penalty
    monkeypatch.setattr("plait.evaluation.ridge.DISCRIMINANTS", ())
    vectors, fit, on = blobs(noise=1.0)
    evaluator, blocks = Classification("ridge", metric), [vectors, embedded(3, 200, 5)]
    expected = evaluator.evaluate(Embedded.concat(blocks, weights), fit, on)
    found = evaluator.additive(blocks, fit, on)(np.array(weights))
    assert found.value == pytest.approx(expected.value, abs=1e-9)


def test_knn_scores_concatenations_one_by_one() -> None:
    vectors, fit, on = blobs(noise=1.0)
    blocks, weights = [vectors, embedded(3, 200, 5)], [0.5, 2.0]
    expected = Classification("knn").evaluate(Embedded.concat(blocks, weights), fit, on)
    assert Classification("knn").additive(blocks, fit, on)(np.array(weights)).value == expected.value


def several(part: Labels) -> Labels:
    warm = {"red": ("red", "warm"), "green": ("green",), "blue": ()}
    return Labels(part.rows, tuple(warm[str(label)] for label in part.labels))


@pytest.mark.parametrize("head", HEADS)
def test_texts_may_have_several_labels_or_none(head: str) -> None:
    vectors, fit, on = blobs(noise=0.2)
    evaluator = Classification(head)
    score = evaluator.evaluate(vectors, several(fit), several(on))
    assert score.metric == "micro-f1"
    assert score.value > 0.95
    assert Classification(head, "accuracy").evaluate(vectors, several(fit), several(on)).value > 0.95
    fast = Classification("ridge").additive([vectors], several(fit), several(on))(np.ones(1))
    assert fast.metric == "micro-f1"
    assert fast.value > 0.95


def test_a_label_that_every_text_has_is_learned_too() -> None:
    vectors, fit, on = blobs()
    fit, on = (Labels(part.rows, tuple(("all", str(label)) for label in part.labels)) for part in (fit, on))
    assert Classification().evaluate(vectors, fit, on).value > 0.9


def test_few_examples_are_enough() -> None:
    vectors, fit, on = blobs(noise=0.2)
    few = fit.take(np.array([fit.labels.index(name) for name in NAMES]))
    for head in HEADS:
        assert 0 <= Classification(head).evaluate(vectors, few, on).value <= 1


def test_what_is_missing_is_said() -> None:
    vectors, fit, on = blobs()
    red = fit.take(np.flatnonzero(np.array(fit.labels) == "red"))
    with pytest.raises(DataError, match="only the label 'red'"):
        Classification().evaluate(vectors, red, on)
    with pytest.raises(DataError, match="give the part to fit on"):
        Classification().evaluate(vectors, None, on)
    with pytest.raises(DataError, match="got Judgements of 0"):
        Classification().evaluate(vectors, Judgements(np.zeros(0, int), ()), on)
    with pytest.raises(DataError, match="equals accuracy"):
        Classification("ridge", "micro-f1").evaluate(vectors, fit, on)
    with pytest.raises(DataError, match="macro-f1 is for one label"):
        Classification("ridge", "macro-f1").evaluate(vectors, several(fit), several(on))
