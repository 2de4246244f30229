"""Clustering by k-means."""

from __future__ import annotations

import numpy as np
import pytest

from plait.data.tasks import Labels
from plait.evaluation import Embedded
from plait.evaluation.clustering import Clustering
from plait.types import DataError

CLASSES = np.repeat(np.arange(4), 30)
ON = Labels(np.arange(120), tuple(f"class {number}" for number in CLASSES))


def blobs(noise: float) -> Embedded:
    rng = np.random.default_rng(0)
    return Embedded((5 * np.eye(4)[CLASSES] + noise * rng.normal(size=(120, 4))).astype(np.float32))


def test_classes_that_lie_apart_are_found() -> None:
    assert Clustering().evaluate(blobs(0.1), None, ON).value == pytest.approx(1)


def test_noise_has_no_classes_and_a_seed_repeats_it() -> None:
    noise = Embedded(np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32))
    found = [Clustering().evaluate(noise, None, ON).value for _ in range(2)]
    assert found[0] == found[1] < 0.2


def test_concatenations_are_clustered_one_by_one() -> None:
    blocks = [blobs(0.1), Embedded(np.random.default_rng(0).normal(size=(120, 9)).astype(np.float32))]
    score = Clustering().additive(blocks, None, ON)
    assert score(np.array([1.0, 0.0])).value > score(np.array([0.0, 1.0])).value


def test_fewer_distinct_vectors_than_labels_are_no_trouble() -> None:
    assert 0 <= Clustering().evaluate(Embedded(np.ones((120, 4), np.float32)), None, ON).value <= 1


def test_several_labels_cannot_be_clustered() -> None:
    with pytest.raises(DataError, match="one label each"):
        Clustering().evaluate(blobs(1), None, Labels(np.array([0]), (("a", "b"),)))
