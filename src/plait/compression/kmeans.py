"""k-means of many groups of dimensions at once, with a weight for each point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from plait.rows import Doubles
from plait.types import Floats

BLOCK = 8192
"""Points that are compared with all centroids at once."""

STARTERS = 4
"""Points for each centroid among which the starts are drawn; more would cost time and gain nothing."""

NOWHERE = np.float32(1e18)
"""Where centroids lie that are left over, because fewer points than centroids differ: never the nearest."""


def kmeans(
    points: Floats,
    count: int,
    weights: NDArray[np.floating] | None = None,
    rounds: int = 20,
    random_state: int = 0,
    start: Floats | None = None,
) -> Floats:
    """Centroids that minimise the sum of ``weight * squared distance`` in each group.

    Starts are drawn as in k-means++; a centroid that loses all its points takes the point that is worst off.

    Args:
        points: ``[G, N, c]``: the same N points, seen in each of G groups of c dimensions.
        count: centroids in each group.
        weights: ``[G, N]``, 0 or above; None weighs all alike.
        rounds: assignments, at most; it stops when none changes.
        random_state: of the starts.
        start: ``[G, count, c]`` centroids to go on from.

    Returns:
        ``[G, count, c]`` float32.

    Source: k-means++: The Advantages of Careful Seeding (Arthur and Vassilvitskii, 2007).

    Example:
        >>> points = np.array([[[0.0], [0.2], [5.0], [5.2]]], np.float32)
        >>> sorted(round(float(number), 3) for number in kmeans(points, 2).ravel())
        [0.1, 5.1]
    """
    points, heavy = _weighed(points, weights)
    if start is None:
        start = _starts(points, heavy, count, np.random.default_rng(random_state))
    return np.stack([_lloyd(*group, rounds) for group in zip(points, heavy, start, strict=True)])


def kmeans_round(
    points: Floats, centroids: Floats, weights: NDArray[np.floating] | None = None
) -> tuple[Floats, NDArray[np.int64]]:
    """Better ``[G, K, c]`` centroids after one assignment of ``[G, N, c]`` points, and the assignment ``[G, N]``."""
    pairs = [_round(*group) for group in zip(*_weighed(points, weights), centroids, strict=True)]
    return np.stack([better for better, _ in pairs]), np.stack([found for _, found in pairs])


def nearest_centroids(points: Floats, centroids: Floats) -> NDArray[np.int64]:
    """``[N]`` number of the nearest of ``[K, c]`` centroids for each of ``[N, c]`` points."""
    return _assign(points, centroids)[0]


def _assign(points: Floats, centroids: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Nearest centroid and squared distance to it; the nearest has the largest x·c - |c|² / 2, which is one product."""
    half = (centroids.astype(np.float64) ** 2).sum(axis=1) / 2
    table = np.vstack([centroids.T, -half[None]]).astype(np.float32)
    found, distance = np.empty(len(points), np.int64), np.empty(len(points), np.float32)
    for first in range(0, len(points), BLOCK):
        some = slice(first, first + BLOCK)
        block = points[some]
        scores = np.hstack([block, np.ones((len(block), 1), np.float32)]) @ table
        found[some] = scores.argmax(axis=1)
        off = block - centroids[found[some]]
        distance[some] = np.einsum("ij,ij->i", off, off)
    return found, distance


def _starts(points: Floats, weights: Doubles, count: int, random: np.random.Generator) -> Floats:
    """k-means++ in all groups at once: each start is drawn with its weighted squared distance to the nearest so far."""
    chosen = random.permutation(points.shape[1])[: STARTERS * count]
    points, weights = points[:, chosen], weights[:, chosen]
    groups, size, _ = points.shape
    every = np.arange(groups)
    out = np.full((groups, count, points.shape[2]), NOWHERE, np.float32)
    nearest = np.full((groups, size), np.inf, np.float32)
    for number in range(count):
        chances = (weights if number == 0 else weights * nearest).cumsum(axis=1, dtype=np.float64)
        left = chances[:, -1] > 0
        if not left.any() and number:
            break
        drawn = random.random((groups, 1)) * chances[:, -1:]
        place = np.minimum((chances <= drawn).sum(axis=1), size - 1)
        centre = points[every, place]
        out[left, number] = centre[left]
        difference = points - centre[:, None]
        nearest = np.minimum(nearest, np.einsum("gnc,gnc->gn", difference, difference))
    return out


def _weighed(points: Floats, weights: NDArray[np.floating] | None) -> tuple[Floats, Doubles]:
    points = np.ascontiguousarray(points, np.float32)
    return points, np.ones(points.shape[:2]) if weights is None else np.asarray(weights, np.float64)


def _lloyd(points: Floats, weights: Doubles, centroids: Floats, rounds: int) -> Floats:
    before: NDArray[np.int64] | None = None
    for _ in range(rounds):
        centroids, found = _round(points, weights, centroids)
        if before is not None and np.array_equal(found, before):
            break
        before = found
    return centroids


def _round(points: Floats, weights: Doubles, centroids: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Assign points to centroids, and move each centroid to the middle of its points."""
    found, distance = _assign(points, centroids)
    members = csc_matrix((weights, found, np.arange(len(points) + 1)), shape=(len(centroids), len(points)))
    mass = np.asarray(members.sum(axis=1)).ravel()
    filled, out = mass > 0, centroids.copy()
    out[filled] = (members @ points)[filled] / mass[filled, None]
    _reseed(out, np.flatnonzero(~filled), points, weights * distance)
    return out, found


def _reseed(centroids: Floats, empty: NDArray[np.int64], points: Floats, losses: Doubles) -> None:
    """Put centroids without points on the points that lose most, different ones."""
    if not len(empty):
        return
    worst = np.argsort(-losses, kind="stable")[: 4 * len(empty)]
    worst = worst[losses[worst] > 0]
    _, first = np.unique(points[worst], axis=0, return_index=True)
    worst = worst[np.sort(first)][: len(empty)]
    centroids[empty[: len(worst)]] = points[worst]
    centroids[empty[len(worst) :]] = NOWHERE
