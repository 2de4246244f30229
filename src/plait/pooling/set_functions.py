"""How wide a sum over a set's elements must be to tell all sets apart, and the element features that do it.

A set X of N vectors in D dimensions, in no order and with repeats, is summed up as ``Σ φ(x_i)``. With powers
``φ(x) = [(w·x), (w·x)², …, (w·x)^N]`` along enough directions w, or exponentials ``φ(x) = exp(v·x)`` along enough v,
two different sets never get the same sum, and the width needed grows as a polynomial of N and D.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.types import DataError, RecipeError

Doubles = NDArray[np.float64]

LARGEST_EXPONENT = 30.0
"""Beyond it exponentials are clipped: one element would drown all others in the sum."""


class Widths(NamedTuple):
    """The least width that can do, and one that surely does."""

    lower: int
    upper: int


def width_bounds(set_size: int, dim: int, layer: Literal["power", "exp"] = "power") -> Widths:
    """Between which widths the smallest lies that represents every continuous function of a set.

    Args:
        set_size: N, vectors in a set.
        dim: D, numbers in a vector.
        layer: "power" (powers of linear maps) or "exp" (exponentials of linear maps).

    Raises:
        RecipeError: if a size is below 1, or the layer is unknown.

    Source: Polynomial Width is Sufficient for Set Representation with High-dimensional Features, arXiv 2307.04001.

    Example:
        >>> width_bounds(3, 2), width_bounds(3, 2, "exp").upper
        (Widths(lower=9, upper=972), 324)
    """
    _check(set_size, dim)
    if layer == "exp":
        return Widths(set_size * dim, set_size**4 * dim**2)
    if layer != "power":
        raise RecipeError(f'layer is {layer!r}; expected "power" or "exp"')
    single = min(set_size, dim) == 1  # nothing has to be aligned: the channels do
    return Widths(set_size * (dim if single else dim + 1), set_size**5 * dim**2)


def constructive_directions(set_size: int, dim: int, seed: int = 0) -> Doubles:
    """Directions along which power sums tell any two sets apart.

    Three groups: the channels; anchors in general position, one of which gives different elements different values; and
    differences of a channel and a multiple of an anchor, which say what channel value stands beside what anchor value.

    Args:
        set_size: N, vectors in a set.
        dim: D, numbers in a vector.
        seed: of the anchors.

    Returns:
        ``[K, D]`` directions, K = D + K1 + D·K1·K2 with K1 = N(N-1)(D-1)/2 + 1 and K2 = N(N-1) + 1.

    Raises:
        RecipeError: if a size is below 1.

    Source: Polynomial Width is Sufficient for Set Representation with High-dimensional Features, arXiv 2307.04001.

    Example:
        >>> constructive_directions(3, 2).shape
        (62, 2)
    """
    anchors = _anchors(set_size, dim, seed)
    count = set_size * (set_size - 1) + 1
    factors = np.arange(1, count + 1) / count
    channels = np.eye(dim)
    coupled = channels[:, None, None] - factors[:, None] * anchors[:, None, :]
    return np.concatenate([channels, anchors, coupled.reshape(-1, dim)])


def constructive_exponents(set_size: int, dim: int, seed: int = 0) -> Doubles:
    """Directions along which sums of exponentials tell any two sets apart.

    They are the monomials, up to degree N, of each pair of a channel's and an anchor's exponential.

    Args:
        set_size: N, vectors in a set.
        dim: D, numbers in a vector.
        seed: of the anchors.

    Returns:
        ``[L, D]`` directions, L = D·K1·N(N+3)/2 with K1 = N(N-1)(D-1)/2 + 1.

    Raises:
        RecipeError: if a size is below 1.

    Source: Polynomial Width is Sufficient for Set Representation with High-dimensional Features, arXiv 2307.04001.

    Example:
        >>> constructive_exponents(3, 2).shape
        (72, 2)
    """
    anchors = _anchors(set_size, dim, seed)
    degrees = [(q, p - q) for p in range(1, set_size + 1) for q in range(p + 1)]
    pairs = [of * channel + rest * anchor for channel in np.eye(dim) for anchor in anchors for of, rest in degrees]
    return np.array(pairs)


def power_features(values: ArrayLike, directions: Doubles, set_size: int) -> Doubles:
    """Powers 1 to N of each vector along each direction.

    Args:
        values: ``[T, D]`` vectors, best within [-1, 1]: beyond, high powers drown low ones.
        directions: ``[K, D]``.
        set_size: N.

    Returns:
        ``[T, K·N]``, the N powers of the first direction first.

    Example:
        >>> power_features([[2.0, 1.0]], np.array([[1.0, 0.0], [1.0, 1.0]]), 3).tolist()
        [[2.0, 4.0, 8.0, 3.0, 9.0, 27.0]]
    """
    along = np.asarray(values, np.float64) @ directions.T
    powers = np.multiply.accumulate(np.repeat(along[:, :, None], set_size, axis=2), axis=2)
    return np.asarray(powers.reshape(len(along), -1), np.float64)


def exp_features(values: ArrayLike, directions: Doubles) -> Doubles:
    """Exponentials of each vector along each direction, clipped where they would overflow.

    Args:
        values: ``[T, D]`` vectors.
        directions: ``[L, D]``.

    Returns:
        ``[T, L]``.

    Example:
        >>> exp_features([[0.0, 0.0]], np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
        [[1.0, 1.0]]
    """
    along = np.asarray(values, np.float64) @ directions.T
    return np.asarray(np.exp(np.clip(along, -LARGEST_EXPONENT, LARGEST_EXPONENT)), np.float64)


def recover_multiset(sums: ArrayLike) -> Doubles:
    """The N numbers that have these power sums, smallest first.

    Newton's identities turn the sums into the coefficients of the polynomial whose roots the numbers are. A number that
    stands m times comes back with about the m-th root of the sums' rounding error.

    Args:
        sums: ``[N]``, the sums of the first to the N-th powers of N real numbers.

    Raises:
        DataError: if the sums are not a list of finite numbers.

    Example:
        >>> recover_multiset([3.0, 5.0]).round(6).tolist()
        [1.0, 2.0]
    """
    given = np.asarray(sums, np.float64)
    if given.ndim != 1 or not len(given) or not np.isfinite(given).all():
        raise DataError(f"power sums of shape {given.shape} are no list of finite numbers; give [N], of powers 1 to N")
    symmetric = [1.0]
    for degree in range(1, len(given) + 1):
        signs = (-1.0) ** np.arange(degree)
        symmetric.append(float(signs * given[:degree] @ symmetric[::-1]) / degree)
    coefficients = np.array(symmetric) * (-1.0) ** np.arange(len(symmetric))
    return np.sort(np.roots(coefficients).real) if given.any() else np.zeros(len(given))


def _anchors(set_size: int, dim: int, seed: int) -> Doubles:
    """``[K1, D]``: Gaussian vectors are in general position, any D of them independent, with probability 1."""
    _check(set_size, dim)
    count = set_size * (set_size - 1) * (dim - 1) // 2 + 1
    found: Doubles = np.random.default_rng(seed).normal(size=(count, dim)) / np.sqrt(dim)
    return found


def _check(set_size: int, dim: int) -> None:
    if set_size < 1 or dim < 1:
        raise RecipeError(f"set_size is {set_size} and dim {dim}; expected 1 or more of each")
