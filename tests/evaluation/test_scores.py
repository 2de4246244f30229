"""Every statistic, whole and resampled, against scipy and scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, f1_score, v_measure_score

from plait.evaluation import Score
from plait.types import DataError

Arrays = tuple[np.ndarray, ...]


def peer_spearman(x: np.ndarray, y: np.ndarray) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = float(spearmanr(x, y).statistic)
    return 0.0 if np.isnan(value) else value


def peer_average_precision(x: np.ndarray, y: np.ndarray) -> float:
    return float(average_precision_score(y > 0, x)) if (y > 0).any() else 0.0


def peer_v_measure(gold: np.ndarray, cluster: np.ndarray, group: np.ndarray) -> float:
    parts = [(group == g) for g in np.unique(group)]
    return float(sum(p.mean() * v_measure_score(gold[p], cluster[p]) for p in parts))


PEERS: dict[str, Callable[..., float]] = {
    "mean": lambda x: float(x.mean()),
    "ratio": lambda a, b: float(a.sum() / b.sum()) if b.sum() else 0.0,
    "spearman": peer_spearman,
    "average-precision": peer_average_precision,
    "macro-f1": lambda a, b: float(f1_score(a, b, average="macro", zero_division=0)),
    "v-measure": peer_v_measure,
}


def sample(kind: str, size: int, levels: int, seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    number, other = rng.integers(0, levels, size) / 7, rng.integers(0, levels, size).astype(np.float64)
    labels, guesses = np.array([f"class {n}" for n in rng.integers(0, levels, size)]), rng.integers(0, levels + 1, size)
    return {
        "mean": (number,),
        "ratio": (number, number + other),
        "spearman": (number, other),
        "average-precision": (number, rng.integers(0, 2, size).astype(np.float64)),
        "macro-f1": (labels, np.array([f"class {n}" for n in guesses])),
        "v-measure": (labels, guesses, rng.integers(0, 2, size)),
    }[kind]


@pytest.mark.parametrize("kind", PEERS)
@given(size=st.integers(1, 30), levels=st.integers(1, 9), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_the_value_and_every_resample_equal_the_peers(kind: str, size: int, levels: int, seed: int) -> None:
    examples = sample(kind, size, levels, seed)
    score = Score.of(kind, kind, *examples)
    assert score.value == pytest.approx(PEERS[kind](*examples), abs=1e-9)
    draws = np.random.default_rng(seed).integers(0, size, (4, size))
    expected = [PEERS[kind](*(values[rows] for values in examples)) for rows in draws]
    assert score.resample(draws) == pytest.approx(expected, abs=1e-9)


def test_a_large_contingency_table_is_made_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    score = Score.of("v", "v-measure", *sample("v-measure", 200, 9, 0))
    draws = np.random.default_rng(0).integers(0, 200, (30, 200))
    whole = score.resample(draws)
    monkeypatch.setattr("plait.evaluation.resampling.CELLS", 500)
    assert (score.resample(draws) == whole).all()


def test_no_examples_are_refused() -> None:
    with pytest.raises(DataError, match="accuracy of no examples"):
        Score.of("accuracy", "mean", np.zeros(0))


def test_text_says_metric_value_and_size() -> None:
    assert str(Score.of("accuracy", "mean", np.array([1.0, 0.0]))) == "accuracy 0.5000 (n = 2)"
