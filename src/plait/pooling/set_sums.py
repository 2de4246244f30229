"""Poolings that lose nothing but the order: sums of features of the tokens that tell any two sets apart."""

from __future__ import annotations

from abc import abstractmethod
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np

from plait.pooling.set_functions import (
    Doubles,
    constructive_directions,
    constructive_exponents,
    exp_features,
    power_features,
)
from plait.roles import Pooling
from plait.types import Floats, RecipeError, Tokens

Directions = Literal["constructive"]


class SetPool(Pooling):
    """Base of the poolings that sum features of each token, after bringing tokens to a few bounded numbers."""

    layer: ClassVar[Literal["power", "exp"]]

    def __init__(
        self,
        set_size: int = 4,
        n_directions: int | Directions | None = None,
        dim: int | None = 4,
        bounded: bool = True,
        random_state: int = 0,
    ) -> None:
        self.set_size = set_size
        self.n_directions = n_directions
        self.dim = dim
        self.bounded = bounded
        self.random_state = random_state

    @abstractmethod
    def features(self, values: Doubles) -> Doubles:
        """``[T, dim]`` prepared tokens to ``[T, L]`` features."""

    def pool(self, values: Floats, tokens: Tokens) -> Floats:
        lengths = np.diff(tokens.bounds)
        out = np.zeros((len(lengths), self.width(values.shape[1])), np.float32)
        full = lengths > 0
        if full.any():
            # Empty units own no entries, so that the starts of the others cut the entries at the unit borders.
            features = self.features(self._prepared(values[tokens.index]))
            out[full] = np.add.reduceat(features, tokens.bounds[:-1][full], axis=0)
        return out

    def _prepared(self, rows: Floats) -> Doubles:
        """Rows at root mean square 1, along ``dim`` orthonormal directions, within (-1, 1)."""
        wide = np.asarray(rows, np.float64)
        if self.bounded:
            size = np.sqrt(np.square(wide).mean(axis=1, keepdims=True))
            wide = np.divide(wide, size, out=np.zeros_like(wide), where=size > 0)
        if self.dim is not None:
            wide = wide @ _orthonormal(self._dim(wide.shape[1]), wide.shape[1], self.random_state)
        return np.tanh(wide) if self.bounded else wide

    def _dim(self, width: int) -> int:
        if self.dim is not None and not 1 <= self.dim <= width:
            raise RecipeError(f"{self} cannot take {self.dim} directions of tokens of {width} numbers; lower dim")
        return self.dim or width

    def _directions(self, dim: int) -> Doubles:
        count = self.n_directions
        if self.set_size < 1 or not (count in (None, "constructive") or (isinstance(count, int) and count >= 1)):
            raise RecipeError(f'{self}: expected set_size 1 or more, and n_directions 1 or more, "constructive", None')
        return _directions(self.layer, self.set_size, dim, count, self.random_state)


class PowerSetPool(SetPool):
    """Sums over a unit's tokens of the powers 1 to N of their values along several directions.

    Along enough directions any two different sets of at most N tokens get different vectors, while a mean or a maximum
    confuses many. The order of the tokens is lost. Not linear: layers are mixed before it.

    Args:
        set_size: N, the highest power. Sets of up to N tokens are told apart whatever they hold; the high powers of
            longer texts add little but width.
        n_directions: how many random directions; None takes 2·(dim + 1), twice the least that can do, which tells
            apart all sets but contrived ones. "constructive" takes the proven ones, whose number explodes: 62 for N = 3
            and dim = 2, 1,347 for N = 5 and dim = 3.
        dim: random orthonormal directions that tokens are projected on first; None keeps all their numbers. The width
            grows with it, and the default keeps vectors short.
        bounded: bring each token to root mean square 1 and squash the projections with tanh, so that powers neither
            overflow nor drown each other. Off for values that lie within [-1, 1] by themselves.
        random_state: seed of the directions.

    Raises:
        RecipeError: if a size is below 1, or ``dim`` above the width of a token.

    Source: Polynomial Width is Sufficient for Set Representation with High-dimensional Features, arXiv 2307.04001.

    Example:
        >>> from plait.types import Tokens
        >>> one = Tokens(*(np.array(a) for a in ([5, 6], [0, 2], [0, 1], [0, 2], [0, 1], [0])))
        >>> pool, values = PowerSetPool(set_size=2, dim=None), np.array([[1.0, 5.0], [3.0, 2.0]], np.float32)
        >>> pool.pool(values, one).shape, bool((pool.pool(values, one) == pool.pool(values[::-1], one)).all())
        ((1, 12), True)
    """

    layer = "power"

    def width(self, dim: int) -> int:
        return self.set_size * len(self._directions(self._dim(dim)))

    def features(self, values: Doubles) -> Doubles:
        directions = self._directions(values.shape[1])
        # At length 1 by absolute sum, a direction keeps values within [-1, 1] there.
        return power_features(values, directions / np.abs(directions).sum(axis=1, keepdims=True), self.set_size)


class ExpSetPool(SetPool):
    """Sums over a unit's tokens of exponentials of their values along several directions.

    As `PowerSetPool`, with one exponential a direction instead of N powers: smooth, never negative, and with a shorter
    proof behind the narrower width. Not linear: layers are mixed before it.

    Args:
        set_size: N, the size of sets that the width is laid out for.
        n_directions: how many random directions; None takes 2·N·(dim + 1), as wide as `PowerSetPool`. "constructive"
            takes the proven ones: 72 for N = 3 and dim = 2, 1,260 for N = 5 and dim = 3.
        dim: random orthonormal directions that tokens are projected on first; None keeps all their numbers.
        bounded: bring each token to root mean square 1 and squash the projections with tanh. Off for values that lie
            within [-1, 1] by themselves; exponents beyond 30 are clipped.
        random_state: seed of the directions.

    Raises:
        RecipeError: if a size is below 1, or ``dim`` above the width of a token.

    Source: Polynomial Width is Sufficient for Set Representation with High-dimensional Features, arXiv 2307.04001.

    Example:
        >>> from plait.types import Tokens
        >>> one = Tokens(*(np.array(a) for a in ([5, 6], [0, 2], [0, 1], [0, 2], [0, 1], [0])))
        >>> ExpSetPool(set_size=2, dim=None).pool(np.zeros((2, 2), np.float32), one)[0, :3].tolist()
        [2.0, 2.0, 2.0]
    """

    layer = "exp"

    def width(self, dim: int) -> int:
        return len(self._directions(self._dim(dim)))

    def features(self, values: Doubles) -> Doubles:
        return exp_features(values, self._directions(values.shape[1]))


@lru_cache(maxsize=16)
def _directions(layer: str, set_size: int, dim: int, count: int | str | None, seed: int) -> Doubles:
    """``[K, dim]``."""
    if count == "constructive":
        make = constructive_directions if layer == "power" else constructive_exponents
        return make(set_size, dim, seed)
    enough = 2 * (dim + 1) * (1 if layer == "power" else set_size)
    return np.random.default_rng(seed).normal(size=(enough if count is None else int(count), dim))


@lru_cache(maxsize=16)
def _orthonormal(dim: int, width: int, seed: int) -> Doubles:
    """``[width, dim]`` with orthonormal columns."""
    axes, _ = np.linalg.qr(np.random.default_rng([seed, 1]).normal(size=(width, dim)))
    return np.asarray(axes, np.float64)
