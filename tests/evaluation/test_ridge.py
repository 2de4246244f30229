"""The Gram-matrix ridge against scikit-learn's, which sees the rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import Ridge

from plait.evaluation import Embedded
from plait.evaluation.ridge import DISCRIMINANTS, RIDGES, BlockLinear, held_out, indicators
from plait.types import DataError
from tests.evaluation.makers import embedded

BLOCKS = [embedded(seed, 90, 5 + 3 * seed).documents for seed in range(3)]
TARGETS = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, 90)]
HELD = held_out(90)


def features(weights: list[float]) -> np.ndarray:
    joined = Embedded.concat([Embedded(block) for block in BLOCKS], weights).documents
    return joined / np.linalg.norm(joined, axis=1, keepdims=True)


class Shrunk(BaseEstimator):
    """A class's covariance with something added to its diagonal, in the form that scikit-learn asks for."""

    def __init__(self, added: float = 0.0) -> None:
        self.added = added

    def fit(self, rows: np.ndarray) -> Shrunk:
        self.covariance_ = np.cov(rows.T, bias=True) + self.added * np.eye(rows.shape[1])
        return self


def discriminant(alpha: float, rows: np.ndarray, labels: np.ndarray) -> LinearDiscriminantAnalysis:
    shrunk = Shrunk(alpha / len(rows))
    return LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=shrunk).fit(rows, labels)


@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [0.5, 0.0, 2.0], [0.0, 0.0, 3.0]])
@pytest.mark.parametrize("rows", [4096, 7])
def test_the_fits_are_those_of_scikit_learn(weights: list[float], rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plait.evaluation.ridge.ROWS", rows)
    x, labels = features(weights).astype(np.float64), TARGETS.argmax(1)
    head = BlockLinear(BLOCKS, TARGETS, HELD)
    normalised = [block / np.linalg.norm(block, axis=1, keepdims=True) for block in BLOCKS]
    quality = []
    for penalty in (*RIDGES, *DISCRIMINANTS):
        found = head.solve(np.array(weights), penalty).scores(normalised)
        if penalty.within:
            expected = discriminant(penalty.alpha, x, labels).decision_function(x)
            held = discriminant(penalty.alpha, x[~HELD], labels[~HELD]).predict(x[HELD])
            # what is the same for all classes of a row decides nothing
            assert found - found.mean(1)[:, None] == pytest.approx(expected - expected.mean(1)[:, None], abs=2e-3)
        else:
            assert found == pytest.approx(Ridge(alpha=penalty.alpha).fit(x, TARGETS).predict(x), abs=1e-4)
            held = Ridge(alpha=penalty.alpha).fit(x[~HELD], TARGETS[~HELD]).predict(x[HELD]).argmax(1)
        quality.append((held == labels[HELD]).mean())
    assert head.penalty(np.array(weights)) == (*RIDGES, *DISCRIMINANTS)[int(np.argmax(quality))]


def test_several_labels_a_row_are_regressed_onto() -> None:
    several = np.maximum(TARGETS, TARGETS[::-1])
    head = BlockLinear(BLOCKS, several, HELD, single=False)
    assert not head.penalty(np.ones(3)).within


def test_a_class_without_a_row_is_never_the_answer() -> None:
    targets = np.hstack([TARGETS, np.zeros((90, 1), np.float32)])
    for penalty in (RIDGES[2], DISCRIMINANTS[1]):
        fit = BlockLinear(BLOCKS, targets, HELD).solve(np.ones(3), penalty)
        assert (fit.scores([block[:5] for block in BLOCKS]).argmax(axis=1) < 4).all()


def test_more_dimensions_than_rows_are_no_trouble() -> None:
    wide = embedded(0, 20, 300).documents
    fit = BlockLinear([wide], TARGETS[:20], held_out(20)).solve(np.ones(1))
    assert np.isfinite(fit.scores([wide])).all()


def test_a_constant_block_is_no_trouble() -> None:
    fit = BlockLinear([np.ones((20, 3), np.float32)], TARGETS[:20], held_out(20)).solve(np.ones(1))
    assert fit.scores([np.ones((2, 3), np.float32)]) == pytest.approx(np.tile(TARGETS[:20].mean(0), (2, 1)), abs=1e-5)


def test_without_held_out_rows_the_middle_penalty_is_taken() -> None:
    fit = BlockLinear([BLOCKS[0][:3]], TARGETS[:3], held_out(3)).solve(np.ones(1))
    assert fit.penalty == RIDGES[2]


def test_the_held_out_sample_is_a_fifth_and_depends_on_the_seed() -> None:
    assert held_out(100).sum() == 20
    assert (held_out(100) == held_out(100)).all()
    assert (held_out(100) != held_out(100, seed=1)).any()


def test_no_examples_are_refused() -> None:
    with pytest.raises(DataError, match="no labelled examples"):
        BlockLinear([np.zeros((0, 3), np.float32)], np.zeros((0, 2), np.float32), held_out(0))


def test_indicators_serve_one_label_and_several() -> None:
    assert indicators([("b", "a"), (), ("b",)])[1].tolist() == [[1, 1], [0, 0], [0, 1]]
