from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from plait.evaluation import metric_validity
from plait.types import DataError


def test_correlations_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    tasks = {"x": rng.random(15), "y": rng.random(15)}
    metrics = {"good": tasks["x"] + tasks["y"] + 0.1 * rng.random(15), "noise": rng.random(15)}
    mean = (tasks["x"] + tasks["y"]) / 2
    for how, peer in (("spearman", spearmanr), ("pearson", pearsonr)):
        found = metric_validity(metrics, tasks, how)
        for name, score in found.correlations.items():
            assert score.value == pytest.approx(peer(metrics[name], mean).statistic)
        first, second = found.table()
        assert (first["metric"], second["metric"]) == ("good", "noise")
        assert first["low"] < first["correlation"] <= first["high"]
        surer = found.compare("good", "noise")
        assert surer.difference == pytest.approx(first["correlation"] - second["correlation"])
        assert surer.low > 0
    assert metric_validity(metrics, mean).correlations["good"].value == pytest.approx(
        metric_validity(metrics, tasks).correlations["good"].value
    )


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(DataError, match="three models at least"):
        metric_validity({"a": [1.0, 2.0]}, [1.0, 2.0])
    with pytest.raises(DataError, match="one value a model everywhere"):
        metric_validity({"a": [1.0, 2.0, 3.0]}, [1.0, 2.0, 3.0, 4.0])
    with pytest.raises(DataError, match="correlation is 'kendall'"):
        metric_validity({"a": [1.0, 2.0, 3.0]}, [1.0, 2.0, 3.0], "kendall")
