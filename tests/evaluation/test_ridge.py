"""The Gram-matrix ridge against scikit-learn's, which sees the rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from plait.evaluation import Embedded
from plait.evaluation.ridge import ALPHAS, BlockRidge, held_out, indicators
from plait.types import DataError
from tests.evaluation.makers import embedded

BLOCKS = [embedded(seed, 90, 5 + 3 * seed).documents for seed in range(3)]
TARGETS = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, 90)]
HELD = held_out(90)


def features(weights: list[float]) -> np.ndarray:
    joined = Embedded.concat([Embedded(block) for block in BLOCKS], weights).documents
    return joined / np.linalg.norm(joined, axis=1, keepdims=True)


@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [0.5, 0.0, 2.0], [0.0, 0.0, 3.0]])
@pytest.mark.parametrize("rows", [4096, 7])
def test_the_fit_is_that_of_scikit_learn(weights: list[float], rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plait.evaluation.ridge.ROWS", rows)
    x = features(weights)
    quality = []
    for alpha in ALPHAS:
        peer = Ridge(alpha=alpha).fit(x[~HELD], TARGETS[~HELD])
        quality.append((peer.predict(x[HELD]).argmax(1) == TARGETS[HELD].argmax(1)).mean())
    peer = Ridge(alpha=ALPHAS[int(np.argmax(quality))]).fit(x, TARGETS)
    fit = BlockRidge(BLOCKS, TARGETS, HELD).solve(np.array(weights))
    assert fit.alpha == peer.alpha
    normalised = [block / np.linalg.norm(block, axis=1, keepdims=True) for block in BLOCKS]
    assert fit.scores(normalised) == pytest.approx(peer.predict(x), abs=1e-4)


def test_more_dimensions_than_rows_are_no_trouble() -> None:
    wide = embedded(0, 20, 300).documents
    fit = BlockRidge([wide], TARGETS[:20], held_out(20)).solve(np.ones(1))
    assert np.isfinite(fit.scores([wide])).all()


def test_a_constant_block_is_no_trouble() -> None:
    fit = BlockRidge([np.ones((20, 3), np.float32)], TARGETS[:20], held_out(20)).solve(np.ones(1))
    assert fit.scores([np.ones((2, 3), np.float32)]) == pytest.approx(np.tile(TARGETS[:20].mean(0), (2, 1)), abs=1e-5)


def test_without_held_out_rows_the_middle_penalty_is_taken() -> None:
    fit = BlockRidge([BLOCKS[0][:3]], TARGETS[:3], held_out(3)).solve(np.ones(1))
    assert fit.alpha == ALPHAS[2]


def test_the_held_out_sample_is_a_fifth_and_depends_on_the_seed() -> None:
    assert held_out(100).sum() == 20
    assert (held_out(100) == held_out(100)).all()
    assert (held_out(100) != held_out(100, seed=1)).any()


def test_no_examples_are_refused() -> None:
    with pytest.raises(DataError, match="no labelled examples"):
        BlockRidge([np.zeros((0, 3), np.float32)], np.zeros((0, 2), np.float32), held_out(0))


def test_indicators_serve_one_label_and_several() -> None:
    assert indicators([("b", "a"), (), ("b",)])[1].tolist() == [[1, 1], [0, 0], [0, 1]]
