"""Whitening: rows to covariance 1."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from plait.rows import Doubles, checked, learned, project
from plait.transforms.moments import FromMoments, Moments, axes_of
from plait.types import Floats, RecipeError


class Whitening(FromMoments):
    """Centre the rows and make their covariance the identity.

    It undoes the narrow cone in which untuned encoders put their vectors, and lifts their similarity scores; encoders
    that were tuned for similarity gain nothing or lose. The dimensions of the output are sorted by the variance they
    had, so that ``n_components`` keeps the strongest.

    With about as many rows as numbers in a vector the weak directions are noise, and whitening blows them up: keep at
    most a quarter as many components as there are rows, or shrink.

    Args:
        n_components: numbers to keep; None keeps the width. With method "zca" the output has the input's width and the
            components span it.
        eps: a direction whose variance is below ``eps`` times the largest one carries nothing: it becomes zero ("pca",
            "zca") or is taken as if it had that variance ("cholesky"). 1e-8 is about what float32 input can resolve.
        method: "pca" rotates to principal axes; "zca" keeps the axes and stays closest to the input, for mixing with
            vectors that are not whitened; "cholesky" gives a triangular matrix.
        shrinkage: blend of the covariance with a scaled identity, 0 (none) to 1 (only centring and one scale), or
            "ledoit-wolf" for the share that the data call for. None is 0.

    Attributes:
        mean_: ``[D]``.
        matrix_: ``[D, D']``; the output is ``(X - mean_) @ matrix_``.
        shrinkage_: the share that was used.

    Raises:
        RecipeError: if it is not fitted, a parameter is out of range, or vectors have fewer numbers than
            ``n_components``.
        DataError: if there is no row to fit on, or rows hold NaN or infinity.

    Source: WhiteningBERT: An Easy Unsupervised Sentence Embedding Approach, arXiv 2104.01767.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(500, 3)) @ np.array([[3.0, 1, 0], [0, 1, 0], [0, 0, 9]])
        >>> white = Whitening().fit(X).transform(X)
        >>> bool(np.allclose(np.cov(white.T), np.eye(3), atol=1e-5))
        True
    """

    def __init__(
        self,
        n_components: int | None = None,
        eps: float = 1e-8,
        method: Literal["pca", "zca", "cholesky"] = "pca",
        shrinkage: float | str | None = None,
    ) -> None:
        self.n_components = n_components
        self.eps = eps
        self.method = method
        self.shrinkage = shrinkage

    def _learn(self, moments: Moments) -> None:
        count = self._checked_count(self.n_components, moments.width)
        variance, axes = axes_of(moments.covariance)
        self.mean_ = moments.mean
        self.shrinkage_ = self._share(moments)
        variance = (1 - self.shrinkage_) * variance + self.shrinkage_ * variance.mean()
        lowest = max(self.eps * float(variance[0]), moments.noise)
        if self.method == "cholesky":
            self.matrix_ = _triangular(variance, axes, lowest, self)
            return
        kept = np.arange(len(variance)) < count
        scale = np.zeros_like(variance)
        np.divide(1, np.sqrt(variance), out=scale, where=kept & (variance > lowest))
        scaled = axes * scale
        if self.method == "zca":
            self.matrix_ = scaled @ axes.T
        elif self.method == "pca":
            self.matrix_ = np.ascontiguousarray(scaled[:, :count])
        else:
            raise RecipeError(f'{self}: method is {self.method!r}; expected "pca", "zca" or "cholesky"')

    def _share(self, moments: Moments) -> float:
        if self.shrinkage == "ledoit-wolf":
            return moments.ledoit_wolf()
        share = 0.0 if self.shrinkage is None else self.shrinkage
        if isinstance(share, str) or not 0 <= share <= 1:
            raise RecipeError(f'{self}: shrinkage is {share!r}; expected a number from 0 to 1, "ledoit-wolf" or None')
        return float(share)

    def transform(self, X: ArrayLike) -> Floats:
        mean, matrix = learned(self, "mean_"), learned(self, "matrix_")
        return project(checked(X, self, len(mean)), mean, matrix)

    def inverse_transform(self, X: ArrayLike) -> Floats:
        """The vectors back, without what the dropped directions held."""
        mean, matrix = learned(self, "mean_"), learned(self, "matrix_")
        rows: Floats = (checked(X, self, matrix.shape[1]) @ np.linalg.pinv(matrix) + mean).astype(np.float32)
        return rows


def _triangular(variance: Doubles, axes: Doubles, lowest: float, step: Whitening) -> Doubles:
    """Lower triangular L with L Lᵀ = the inverse covariance, its weak directions lifted to ``lowest``."""
    if step.n_components is not None:
        raise RecipeError(f'{step}: "cholesky" has no order of components; use method="pca", or leave n_components out')
    lifted: Doubles = np.maximum(variance, lowest)
    if lifted[0] == 0:
        return np.zeros_like(axes)
    inverse: Doubles = (axes / lifted) @ axes.T
    return np.asarray(np.linalg.cholesky((inverse + inverse.T) / 2), np.float64)
