from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import entropy as shannon
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from plait.analysis import dime, infonce, lidar
from plait.types import DataError


def views(count: int = 40, copies: int = 2, dims: int = 6, noise: float = 0.3, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 1, dims)) + noise * rng.normal(size=(count, copies, dims))


def test_infonce_is_the_cross_entropy_over_all_other_views() -> None:
    X = views(15)
    flat = torch.nn.functional.normalize(torch.from_numpy(X.reshape(30, 6)), dim=1)
    logits = (flat @ flat.T / 0.1).fill_diagonal_(-torch.inf)
    twin = torch.arange(30) ^ 1
    expected = float(torch.nn.functional.cross_entropy(logits, twin))
    assert infonce(X) == pytest.approx(expected)
    assert infonce(X * np.linspace(1, 9, 15)[:, None, None]) == pytest.approx(expected)


@pytest.mark.parametrize(("count", "copies", "dims"), [(30, 4, 6), (5, 3, 40)])
def test_lidar_has_the_spectrum_of_a_discriminant_analysis(count: int, copies: int, dims: int) -> None:
    X = views(count, copies, dims)
    flat = X.reshape(-1, dims) / np.linalg.norm(X.reshape(-1, dims), axis=1, keepdims=True)
    if dims > len(flat):
        centred = flat - flat.reshape(count, copies, dims).mean(axis=1).repeat(copies, axis=0)
        within = centred.T @ centred / (count * (copies - 1)) + 1e-4 * np.eye(dims)
        means = flat.reshape(count, copies, dims).mean(axis=1)
        share = np.linalg.eigvals(np.linalg.solve(within, np.cov(means.T))).real.clip(0)
        value = lidar(X, normalization="none")
    else:
        peer = LinearDiscriminantAnalysis(solver="eigen").fit(flat, np.arange(count).repeat(copies))
        share = peer.explained_variance_ratio_
        value = lidar(X, delta=1e-9, normalization="none")
    assert value == pytest.approx(shannon(share), abs=1e-4)


def test_lidar_does_not_depend_on_axes() -> None:
    X = views(12, 3, 50)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(50, 50)))[0]
    assert lidar(X @ turn) == pytest.approx(lidar(X), abs=1e-6)


def test_dime_falls_from_equal_views_to_strangers() -> None:
    X = views(80, dims=5, noise=0)
    strangers = np.random.default_rng(2).normal(size=(80, 2, 5))
    assert dime(X) > dime(views(80, dims=5, noise=0.5)) > 0.05
    assert abs(dime(strangers)) < 0.05


def test_dime_of_two_groups_is_known() -> None:
    """Texts of two equal groups in orthogonal directions: aligned views have 2 joint directions, shuffled ones 4."""
    group = np.repeat(np.eye(2), 200, axis=0)
    both = np.stack([group, group], axis=1)
    assert dime(both) == pytest.approx(np.log(2), abs=0.01)


def test_a_seed_gives_the_same_number() -> None:
    X = views()
    assert dime(X, random_state=3) == dime(X, random_state=3)
    assert dime(X, permutations=1, random_state=3) != dime(X, permutations=1, random_state=4)


@pytest.mark.parametrize("bad", [np.ones((3, 4)), np.ones((1, 2, 4)), np.ones((3, 1, 4)), np.full((3, 2, 2), np.inf)])
@pytest.mark.parametrize("measure", [infonce, lidar, dime])
def test_what_are_no_views(measure, bad: np.ndarray) -> None:
    with pytest.raises(DataError):
        measure(bad)


def test_pairs_are_asked_for_by_name() -> None:
    with pytest.raises(DataError, match=r"\[N, 2, D\]"):
        infonce(np.ones((4, 3, 2)))
    with pytest.raises(DataError, match="1 or more"):
        dime(views(), permutations=0)
