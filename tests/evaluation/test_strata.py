"""Scores of groups against scores of the same units taken by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from plait.data.tasks import Labels, Pairs, Task
from plait.evaluation import Score, overlap, pair_length, stratify
from plait.types import DataError


def similarity(seed: int = 0, size: int = 90) -> Score:
    x, y = np.random.default_rng(seed).normal(size=(2, size))
    return Score.of("spearman", "spearman", x, x + y)


def test_groups_by_name() -> None:
    score = similarity()
    names = ["news", "forum", "caption"] * 30
    found = stratify(score, names)
    assert [stratum.name for stratum in found.strata] == ["caption", "forum", "news"]
    for row in found.table():
        mine = np.array(names) == row["group"]
        assert row["value"] == pytest.approx(spearmanr(*(array[mine] for array in score.examples)).statistic)
        assert row["low"] < row["value"] < row["high"]
        assert row["examples"] == 30
    assert found.mean == pytest.approx(np.mean([row["value"] for row in found.table()]))


def test_one_bin_is_the_total() -> None:
    score = similarity()
    (only,) = stratify(score, np.arange(90.0), bins=1).strata
    assert only.score.value == score.value
    assert only.name == "0 to 89"


@given(values=st.lists(st.integers(0, 5), min_size=90, max_size=90), bins=st.integers(1, 9))
def test_bins_hold_every_unit_once_and_do_not_overlap(values: list[int], bins: int) -> None:
    found = stratify(Score.of("accuracy", "mean", np.arange(90.0)), np.array(values, np.float64), bins)
    assert sorted(x for stratum in found.strata for x in stratum.score.examples[0]) == list(range(90))
    assert 1 <= len(found.strata) <= bins
    ends = [tuple(map(float, stratum.name.split(" to "))) for stratum in found.strata]
    assert all(a[1] < b[0] for a, b in pairwise(ends))


def test_bins_are_of_like_size() -> None:
    found = stratify(similarity(size=400), np.random.default_rng(0).random(400), bins=4)
    assert [len(stratum.score) for stratum in found.strata] == [100, 100, 100, 100]


def test_overlap_and_length_of_pairs() -> None:
    texts = ("The cat sat", "the CAT ran off", "Dogs", "dogs")
    pairs = Pairs(np.array([0, 2, 0]), np.array([1, 3, 3]), np.zeros(3))
    task = Task("sts", "t", texts, parts={"test": pairs})
    assert overlap(task).tolist() == [2 / 5, 1, 0]
    assert pair_length(task).tolist() == [3.5, 1, 2]


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(DataError, match="by has 2 entries and bins is 4; expected one entry for each of 90 units"):
        stratify(similarity(), ["a", "b"])
    with pytest.raises(DataError, match="bins is 0"):
        stratify(similarity(), np.arange(90.0), bins=0)
    task = Task("classification", "t", ("a",), parts={"all": Labels(np.array([0]), ("x",))})
    with pytest.raises(DataError, match="no pairs in a part 'test'; it has all"):
        overlap(task)
