"""Linear heads for any weighted concatenation of blocks, from one Gram matrix over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from plait.evaluation.evaluators import Weights, squared
from plait.evaluation.resampling import Reals
from plait.step import unit_rows
from plait.types import DataError, Floats


class Penalty(NamedTuple):
    """How a fit is held back.

    Attributes:
        alpha: added to the diagonal of the scatter.
        within: whether that is the scatter within the classes, which makes a linear discriminant analysis; otherwise
            all of it, which makes a ridge regression.
    """

    alpha: float
    within: bool = False


RIDGES = tuple(Penalty(alpha) for alpha in (10.0, 3.0, 1.0, 0.3, 0.1))
DISCRIMINANTS = tuple(Penalty(alpha, within=True) for alpha in (30.0, 10.0, 3.0, 1.0, 0.3))
"""What is tried, for rows of length 1; of equally good ones the first wins. Discriminants are for one label a row:
where there are many classes, regression onto them masks some behind others."""

ROWS = 4096
"""Rows that are put side by side at once."""


@dataclass(frozen=True, eq=False)
class Linear:
    """A fitted linear map of weighted, normalised blocks.

    Attributes:
        coefficients: for each block ``[D, C]``, or None for one that is left out.
        intercept: ``[C]``.
        penalty: what was chosen.
    """

    coefficients: tuple[Floats | None, ...]
    intercept: Reals
    penalty: Penalty

    def scores(self, features: Sequence[Floats]) -> Reals:
        """``[n, C]`` scores of rows whose blocks are normalised already."""
        parts = zip(features, self.coefficients, strict=True)
        products = [block @ coefficients for block, coefficients in parts if coefficients is not None]
        return self.intercept + np.sum(products, axis=0, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class _Moments:
    """Sums over rows that were shifted by a common centre."""

    count: int
    x: Reals
    y: Reals
    gram: Reals
    cross: Reals

    def __add__(self, other: _Moments) -> _Moments:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return _Moments(*(a + b for a, b in pairs))

    def centred(self, columns: NDArray[np.intp]) -> tuple[Reals, Reals, Reals, Reals]:
        """Mean of x, mean of y, Gram and cross products about those means, for some columns of x."""
        x, y = self.x[columns] / self.count, self.y / self.count
        gram = self.gram[np.ix_(columns, columns)] - self.count * np.outer(x, x)
        return x, y, gram, self.cross[columns] - self.count * np.outer(x, y)


class BlockLinear:
    """A linear head for C targets that is fitted to any weights of L blocks without seeing the rows again.

    Rows of every block are L2-normalised; a weighted concatenation is scaled so that its rows have length 1 too.

    Args:
        blocks: L arrays ``[n, D_i]``.
        targets: ``[n, C]`` zeros and ones.
        held: ``[n]`` rows on which the penalty is chosen; the final fit uses all rows.
        single: whether a row belongs to the one target of the largest score; otherwise to each whose score is above ½.
    """

    def __init__(self, blocks: Sequence[Floats], targets: Floats, held: NDArray[np.bool_], single: bool = True) -> None:
        if not len(targets):
            raise DataError("no labelled examples to learn from: the part that the head is fitted on is empty")
        features = [unit_rows(block) for block in blocks]
        self._owner = np.repeat(np.arange(len(blocks)), [block.shape[1] for block in blocks])
        # any centre near the mean will do, as the sums are centred exactly later: it keeps float32 products accurate
        self._centre = np.concatenate([block.mean(axis=0, dtype=np.float64) for block in features]).astype(np.float32)
        self._features, self._targets, self._single = [block[held] for block in features], targets[held], single
        self._rest = self._moments([block[~held] for block in features], targets[~held])
        self._all = self._rest + self._moments(self._features, self._targets)

    def solve(self, weights: Weights, penalty: Penalty | None = None) -> Linear:
        """The fit for ``[L]`` weights, 0 or above; a block of weight 0 is left out.

        Args:
            weights: of the blocks.
            penalty: None chooses it for these weights, at the cost of a fit for each.
        """
        return self._fit(self._all, self._scale(weights), (penalty or self.penalty(weights),))[0]

    def penalty(self, weights: Weights) -> Penalty:
        """The penalty that does best on the held rows."""
        scale = self._scale(weights)
        tried = (*RIDGES, *DISCRIMINANTS) if self._single else RIDGES
        best, quality = RIDGES[len(RIDGES) // 2], -np.inf
        if len(self._targets) and self._rest.count:
            for fit in self._fit(self._rest, scale, tried):
                reached = self._quality(fit.scores(self._features))
                if reached > quality:
                    best, quality = fit.penalty, reached
        return best

    def _scale(self, weights: Weights) -> Reals:
        squares = squared(weights, len(self._features))
        return np.asarray(np.sqrt(squares / squares.sum()))

    def _fit(self, moments: _Moments, scale: Reals, penalties: Sequence[Penalty]) -> list[Linear]:
        from scipy.linalg import solve

        columns = np.flatnonzero(scale[self._owner] > 0)
        owner = self._owner[columns]
        factor = scale[owner]
        x, y, gram, cross = moments.centred(columns)
        gram *= np.outer(factor, factor)
        cross *= factor[:, None]
        means = cross / np.maximum(moments.y, 1)  # of each class, about the mean of all
        fits: list[Linear] = []
        for within in (False, True):
            chosen = [penalty for penalty in penalties if penalty.within == within]
            if within and chosen:
                gram -= means @ cross.T
            diagonal, asked = gram.diagonal().copy(), moments.count * means if within else cross
            for penalty in chosen:
                np.fill_diagonal(gram, diagonal + penalty.alpha)
                beta = solve(gram, asked, assume_a="pos", check_finite=False)
                start = self._priors(moments) - np.einsum("dc,dc->c", means, beta) / 2 if within else y
                beta *= factor[:, None]
                parts = [beta[owner == b].astype(np.float32) if scale[b] else None for b in range(len(scale))]
                fits.append(Linear(tuple(parts), start - (x + self._centre[columns]) @ beta, penalty))
            np.fill_diagonal(gram, diagonal)
        return fits

    def _priors(self, moments: _Moments) -> Reals:
        """Logarithms of the classes' shares; a class without a row is never the answer."""
        return np.log(np.maximum(moments.y / moments.count, 1e-300))

    def _quality(self, scores: Reals) -> float:
        if self._single:
            return float((scores.argmax(axis=1) == self._targets.argmax(axis=1)).mean())
        return float(((scores > 0.5) == (self._targets > 0.5)).mean())

    def _moments(self, features: Sequence[Floats], targets: Floats) -> _Moments:
        width, classes = len(self._centre), targets.shape[1]
        total = _Moments(0, np.zeros(width), np.zeros(classes), np.zeros((width, width)), np.zeros((width, classes)))
        for start in range(0, len(targets), ROWS):
            x = np.hstack([block[start : start + ROWS] for block in features]) - self._centre
            y = targets[start : start + ROWS]
            sums = x.sum(axis=0, dtype=np.float64), y.sum(axis=0, dtype=np.float64)
            total += _Moments(len(x), *sums, (x.T @ x).astype(np.float64), (x.T @ y).astype(np.float64))
        return total


def held_out(size: int, share: float = 0.2, seed: int = 0) -> NDArray[np.bool_]:
    """``[size]`` which examples are held out for choices inside a fit: a seeded sample."""
    held = np.zeros(size, bool)
    held[np.random.default_rng(seed).permutation(size)[: int(share * size)]] = True
    return held


def indicators(labels: Sequence[str] | Sequence[Sequence[str]]) -> tuple[list[str], Floats]:
    """The classes, sorted, and ``[n, C]`` zeros and ones.

    >>> indicators(["b", "a", "b"])[0]
    ['a', 'b']
    """
    several = [(label,) if isinstance(label, str) else label for label in labels]
    classes = sorted({label for found in several for label in found})
    place = {label: number for number, label in enumerate(classes)}
    targets = np.zeros((len(labels), len(classes)), np.float32)
    rows = np.repeat(np.arange(len(labels)), [len(found) for found in several])
    targets[rows, [place[label] for found in several for label in found]] = 1
    return classes, targets
