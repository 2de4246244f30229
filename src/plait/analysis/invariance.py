"""How much of what a layer says survives a small change of the text: three measures on views, none needs a label.

A *view* is the vector of an augmented copy of a text: views are ``[N, q, D]``, q of each of N texts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.analysis.entropy import normalized, spectrum_entropy, unit_matrix
from plait.types import DataError

Views = NDArray[np.float64]


def infonce(views: ArrayLike, temperature: float = 0.1) -> float:
    """Cross-entropy, in nats, of finding a view's twin among all other views: low where a layer ignores the change.

    Args:
        views: ``[N, 2, D]``; brought to length 1, or a layer's spread of norms would change the temperature.
        temperature: divides the cosines; 0.1 as in the published figures.

    Raises:
        DataError: for anything else than two finite views of two texts or more.

    Example:
        >>> texts = np.eye(8)
        >>> infonce(np.stack([texts, texts], axis=1)) < infonce(np.stack([texts, texts[::-1]], axis=1))
        True

    Source: Layer by Layer: Uncovering Hidden Representations in Language Models, arXiv 2502.02013.
    """
    from scipy.special import logsumexp

    first, second = _pair(views)
    every = np.concatenate([first, second])
    logits = every @ every.T / temperature
    np.fill_diagonal(logits, -np.inf)
    count = len(first)
    twin = np.concatenate([np.arange(count) + count, np.arange(count)])
    return float((logsumexp(logits, axis=1) - logits[np.arange(2 * count), twin]).mean())


def lidar(views: ArrayLike, delta: float = 1e-4, normalization: str = "max") -> float:
    """Over how many directions texts differ from each other, each weighed by how little views of a text differ there.

    The entropy of the spectrum that a linear discriminant analysis with the texts as classes has.

    Args:
        views: ``[N, q, D]``, q two or more; brought to length 1, so that ``delta`` means the same at every layer.
        delta: added to the variances within a text, which have no inverse without it.
        normalization: as in `plait.analysis.matrix_entropy`; "none" gives nats, whose exponential is the effective
            rank.

    Raises:
        DataError: for anything else than two finite views or more, of two texts or more.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> texts, slips = rng.normal(size=(50, 1, 8)), 0.1 * rng.normal(size=(50, 4, 8))
        >>> flat = np.array([1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1])
        >>> lidar(texts + slips) > lidar(texts * flat + slips)
        True

    Source: Layer by Layer: Uncovering Hidden Representations in Language Models, arXiv 2502.02013.
    """
    from scipy.linalg import eigh

    unit = _unit(views)
    count, copies, dims = unit.shape
    flat = unit.reshape(count * copies, dims)
    if dims > len(flat):  # all scatter lies in the span of the rows: the spectrum there is the same
        flat = np.asarray(np.linalg.qr(flat.T, mode="r")).T
    classes = flat.reshape(count, copies, -1)
    means = classes.mean(axis=1)
    centred = means - means.mean(axis=0)
    inner = (classes - means[:, None]).reshape(len(flat), -1)
    within = inner.T @ inner / (count * (copies - 1)) + delta * np.eye(inner.shape[1])
    spectrum = eigh(centred.T @ centred / (count - 1), within, eigvals_only=True)
    return normalized(spectrum_entropy(spectrum), count, dims, normalization)


def dime(views: ArrayLike, permutations: int = 10, random_state: int = 0, alpha: float = 1.0) -> float:
    """By how many nats it lowers the entropy of two views to know which belong together: high where they share much.

    The joint entropy of the views of shuffled texts, less that of the views as they are.

    Args:
        views: ``[N, 2, D]``; brought to length 1. The cost grows with N³: a few hundred texts are enough.
        permutations: shuffles that the first term is averaged over; 10 as in the published figures.
        random_state: seed of the shuffles.
        alpha: as in `plait.analysis.matrix_entropy`.

    Raises:
        DataError: for anything else than two finite views of two texts or more, or without a permutation.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(30, 1, 5))
        >>> dime(np.repeat(X, 2, axis=1)) > 0.1
        True

    Source: DiME: Maximizing Mutual Information by a Difference of Matrix-Based Entropies, arXiv 2301.08164.
    """
    if permutations < 1:
        raise DataError(f"permutations is {permutations}; expected 1 or more")
    first, second = (side @ side.T for side in _pair(views))
    rng = np.random.default_rng(random_state)
    joint = _joint_entropy(first, second, alpha)
    orders = (rng.permutation(len(first)) for _ in range(permutations))
    shuffled = [_joint_entropy(first, second[np.ix_(order, order)], alpha) for order in orders]
    return float(np.mean(shuffled)) - joint


def _joint_entropy(first: Views, second: Views, alpha: float) -> float:
    """Entropy of the entry-wise product of two kernels, which is the kernel of both together."""
    return spectrum_entropy(np.linalg.eigvalsh(first * second), alpha)


def _unit(views: ArrayLike) -> Views:
    """``[N, q, D]`` views at length 1."""
    array = np.asarray(views)
    if array.ndim != 3 or array.shape[0] < 2 or array.shape[1] < 2:
        raise DataError(f"views have shape {array.shape}; expected [N, q, D], two texts and two views of each or more")
    return unit_matrix(array.reshape(-1, array.shape[2])).reshape(array.shape)


def _pair(views: ArrayLike) -> tuple[Views, Views]:
    unit = _unit(views)
    if unit.shape[1] != 2:
        raise DataError(f"views have shape {unit.shape}; two views of each text were expected: [N, 2, D]")
    return unit[:, 0], unit[:, 1]
