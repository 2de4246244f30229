"""Selection of tasks: what repeats goes, what is random stays."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression, Ridge

from plait.evaluation import select_tasks
from plait.types import DataError


def table(seed: int, models: int = 12, tasks: int = 20, noise: float = 0.05) -> dict[str, np.ndarray]:
    """Tasks that all measure one quality, on scales of their own."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(size=models)
    return {f"t{n}": (quality + noise * rng.normal(size=models)) * rng.uniform(0.1, 9) + 3 for n in range(tasks)}


@pytest.mark.parametrize("seed", range(5))
def test_nothing_random_can_be_removed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = {str(n): rng.normal(size=14) for n in range(30)}
    assert select_tasks(scores).removed == ()


def test_what_repeats_goes_and_the_ranking_stays() -> None:
    scores = table(0)
    found = select_tasks(scores)
    assert len(found.kept) <= 0.6 * len(scores)
    assert {*found.kept, *(removal.task for removal in found.removed)} == set(scores)
    means = [np.mean([(v - v.mean()) / v.std() for n, v in scores.items() if n in names], axis=0)
             for names in (found.kept, scores)]  # fmt: skip
    assert spearmanr(*means).statistic > 0.95


def test_the_first_removal_by_hand() -> None:
    scores = table(1, models=8, tasks=4, noise=0.3)
    names, found = list(scores), {}
    for name in names:
        features = np.stack([scores[other] for other in names if other != name], axis=1)
        predicted = np.zeros(8)
        for held in range(8):
            rest = np.arange(8) != held
            model = LinearRegression().fit(features[rest], scores[name][rest])
            predicted[held] = model.predict(features[held : held + 1])[0]
        z = [(v - v.mean()) / v.std() for v in (predicted, scores[name])]
        found[name] = spearmanr(predicted, scores[name]).statistic, ((z[0] - z[1]) ** 2).mean()
    best = max(names, key=lambda name: found[name][0])
    first = select_tasks(scores, min_spearman=0, max_mse=9).removed[0]
    assert first.task == best
    assert (first.spearman, first.error) == pytest.approx(found[best])
    error = found[best][1]
    assert best not in {r.task for r in select_tasks(scores, min_spearman=0, max_mse=error * 0.99).removed[:1]}


def test_the_last_of_a_kind_and_what_is_kept_stay() -> None:
    scores = table(2)
    groups = {name: ("sts" if name == "t3" else "search" if name in ("t4", "t5") else "other") for name in scores}
    kept = select_tasks(scores, keep=["t0", "t1"], groups=groups, min_spearman=-1, max_mse=99).kept
    assert {"t0", "t1", "t3"} <= set(kept)
    assert len({"t4", "t5"} & set(kept)) == 1
    assert len(kept) == 4


def test_another_regression_can_be_taken() -> None:
    assert select_tasks(table(3), estimator=Ridge(1e6), min_spearman=0.99999).removed == ()


def test_a_task_on_which_all_models_are_equal_stays() -> None:
    assert "flat" in select_tasks({**table(4), "flat": np.ones(12)}).kept


def test_the_log_is_a_table() -> None:
    rows = select_tasks(table(5)).table()
    assert rows and set(rows[0]) == {"task", "spearman", "error"}


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(DataError, match="of 4 models at least"):
        select_tasks({"a": [1.0, 2.0, 3.0]})
    with pytest.raises(DataError, match="b has a value that is missing"):
        select_tasks({"a": [1.0, 2.0, 3.0, 4.0], "b": [1.0, np.nan, 3.0, 4.0]})
    with pytest.raises(DataError, match="keep names 'c', which is no task"):
        select_tasks({"a": [1.0, 2.0, 3.0, 4.0]}, keep=["c"])
