import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from plait.compression.kmeans import NOWHERE, kmeans, nearest_centroids

RANDOM = np.random.default_rng(0)


def loss(points: np.ndarray, centroids: np.ndarray, weights: np.ndarray | None = None) -> float:
    distance = ((points[:, None].astype(np.float64) - centroids) ** 2).sum(axis=2).min(axis=1)
    return float(np.average(distance, weights=weights))


def blobs(groups: int = 3, size: int = 600, dims: int = 2) -> np.ndarray:
    centres = RANDOM.normal(size=(groups, 12, dims)) * 4
    return np.stack(
        [c[RANDOM.integers(12, size=size)] + RANDOM.normal(size=(size, dims)) * 0.3 for c in centres]
    ).astype(np.float32)


@pytest.mark.parametrize("weighted", [False, True])
def test_as_good_as_scikit_learn(weighted: bool) -> None:
    points = blobs()
    weights = RANDOM.exponential(size=points.shape[:2]) ** 3 if weighted else None
    found = kmeans(points, 16, weights, rounds=50)
    for group, centroids in enumerate(found):
        own = None if weights is None else weights[group]
        peer = KMeans(16, n_init=3, random_state=0).fit(points[group], sample_weight=own)
        assert loss(points[group], centroids, own) < 1.25 * loss(points[group], peer.cluster_centers_, own)


def test_a_centroid_is_the_weighted_mean_of_its_points() -> None:
    points, weights = blobs(1), RANDOM.random((1, 600))
    found = kmeans(points, 8, weights, rounds=100)[0]
    nearest = ((points[0][:, None] - found) ** 2).sum(axis=2).argmin(axis=1)
    for number in range(8):
        mine = nearest == number
        np.testing.assert_allclose(
            found[number], np.average(points[0][mine], axis=0, weights=weights[0][mine]), atol=1e-4
        )


def test_weights_of_0_leave_points_out() -> None:
    points = np.concatenate([blobs(1), np.full((1, 50, 2), 99, np.float32)], axis=1)
    weights = np.ones((1, 650))
    weights[0, 600:] = 0
    assert kmeans(points, 8, weights).max() < 50


@settings(max_examples=40, deadline=None)
@given(distinct=st.integers(1, 9), copies=st.integers(1, 5), count=st.integers(1, 12), seed=st.integers(0, 99))
def test_few_points_are_their_own_centroids(distinct: int, copies: int, count: int, seed: int) -> None:
    points = np.repeat(np.random.default_rng(seed).normal(size=(1, distinct, 3)), copies, axis=1).astype(np.float32)
    found = kmeans(points, count, rounds=30, random_state=seed)[0]
    used = found[found[:, 0] < NOWHERE]
    assert len(used) == min(count, distinct)
    if count >= distinct:
        assert loss(points[0], found) < 1e-10
        assert nearest_centroids(points[0], found).max() < len(found)


def test_empty_centroids_are_put_to_use() -> None:
    points = blobs(1)
    far = np.concatenate([points[:, :1], np.full((1, 15, 2), 500, np.float32)], axis=1)
    found = kmeans(points, 16, rounds=30, start=far)[0]
    assert len(np.unique(nearest_centroids(points[0], found))) == 16


def test_same_seed_same_bytes() -> None:
    points = blobs()
    assert kmeans(points, 8, random_state=1).tobytes() == kmeans(points, 8, random_state=1).tobytes()
    assert kmeans(points, 8, random_state=1).tobytes() != kmeans(points, 8, random_state=2).tobytes()
