"""Similarity and same-or-not on pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import accuracy_score, average_precision_score, f1_score
from sklearn.metrics.pairwise import paired_cosine_distances

from plait.compression import Binary, Int8
from plait.data.tasks import Labels, Pairs
from plait.evaluation import Embedded
from plait.evaluation.pairs import PairClassification, Similarity, threshold
from plait.types import Codes, DataError
from tests.evaluation.makers import embedded

BLOCKS = [embedded(seed, 40, 5 + seed, zeros=3) for seed in range(3)]


def pairs(seed: int, size: int = 60, binary: bool = False) -> Pairs:
    rng = np.random.default_rng(seed)
    left, right = np.array([(a, b) for a in range(40) for b in range(a)])[rng.choice(780, size, replace=False)].T
    return Pairs(left, right, rng.integers(0, 2 if binary else 6, size).astype(np.float64))


def test_similarity_is_spearman_of_cosine() -> None:
    block, on = embedded(0, 40, 7), pairs(0)
    cosines = 1 - paired_cosine_distances(block.documents[on.left], block.documents[on.right])
    found = Similarity().evaluate(block, None, on).value
    assert found == pytest.approx(spearmanr(cosines, on.score).statistic, abs=1e-6)


def test_average_precision_is_that_of_scikit_learn() -> None:
    block, on = embedded(0, 40, 7), pairs(0, binary=True)
    cosines = 1 - paired_cosine_distances(block.documents[on.left], block.documents[on.right])
    found = PairClassification().evaluate(block, None, on).value
    assert found == pytest.approx(average_precision_score(on.score, cosines), abs=1e-6)


@pytest.mark.parametrize("evaluator", [Similarity(), PairClassification(), PairClassification("f1")])
@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [0.5, 0.0, 2.0], [0.0, 3.0, 0.0]])
def test_summed_cosines_score_as_the_concatenation_does(
    evaluator: Similarity | PairClassification, weights: list[float]
) -> None:
    fit, on = pairs(1, binary=True), pairs(0, binary=isinstance(evaluator, PairClassification))
    expected = evaluator.evaluate(Embedded.concat(BLOCKS, weights), fit, on)
    found = evaluator.additive(BLOCKS, fit, on)(np.array(weights))
    assert found.value == pytest.approx(expected.value, abs=1e-3)
    assert found.examples[0] == pytest.approx(expected.examples[0], abs=1e-6)


@given(
    similarity=st.lists(st.integers(-4, 4), min_size=1, max_size=30),
    seed=st.integers(0, 999),
    metric=st.sampled_from(["accuracy", "f1"]),
)
@settings(max_examples=60, deadline=None)
def test_no_threshold_is_better_than_the_learned_one(similarity: list[int], seed: int, metric: str) -> None:
    values = np.array(similarity) / 4
    gold = np.random.default_rng(seed).random(len(values)) < 0.5
    measure = accuracy_score if metric == "accuracy" else lambda a, b: f1_score(a, b, zero_division=0)
    found = measure(gold, values >= threshold(values, gold, metric))
    tried = [measure(gold, values >= cut) for cut in [*values, 9]]
    assert found == pytest.approx(max(tried))


def test_the_threshold_comes_from_the_fit_part() -> None:
    angle = np.linspace(0, np.pi / 2, 10)
    block = Embedded(np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32))
    right = np.arange(10)
    fit = Pairs(np.zeros(10, int), right, (right < 3).astype(float))
    on = Pairs(np.zeros(10, int), right, (right < 5).astype(float))
    assert PairClassification("accuracy").evaluate(block, fit, on).value == pytest.approx(0.8)
    assert PairClassification("f1").evaluate(block, fit, on).value == pytest.approx(2 * 3 / (3 + 5))


@pytest.mark.parametrize("quantiser", [Int8(), Binary()])
def test_codes_take_the_place_of_vectors(quantiser: Int8 | Binary) -> None:
    block, on = embedded(0, 40, 64), pairs(0)
    codes = Codes(quantiser.fit(block.documents).transform(block.documents), quantiser)
    decoded = quantiser.inverse_transform(codes.values)
    cosines = 1 - paired_cosine_distances(decoded[on.left], decoded[on.right])
    found = Similarity().evaluate(block, None, on, codes).examples[0]
    assert found == pytest.approx(cosines, abs=1e-5)


def test_what_is_missing_is_said() -> None:
    with pytest.raises(DataError, match="no labelled pairs were given"):
        PairClassification("f1").evaluate(BLOCKS[0], None, pairs(0, binary=True))
    with pytest.raises(DataError, match="got Labels of 1"):
        Similarity().evaluate(BLOCKS[0], None, Labels(np.array([0]), ("a",)))
    with pytest.raises(DataError, match="carry 'nothing'"):
        PairClassification().evaluate(BLOCKS[0], None, pairs(0), Codes(np.zeros((40, 1), np.int8), "nothing"))
