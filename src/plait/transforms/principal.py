"""Principal components: keep the top ones, or remove them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from plait.rows import blocks, checked, learned, project
from plait.transforms.moments import FromMoments, Moments, axes_of
from plait.types import Floats


class Pca(FromMoments):
    """Project the centred rows on their principal components, largest variance first.

    Args:
        n_components: numbers to keep. None keeps all: a rotation that sorts dimensions for `Truncate`.

    Attributes:
        mean_: ``[D]``.
        axes_: ``[n_components, D]``; a component without variance is a row of zeros.
        variance_: ``[n_components]``.

    Raises:
        RecipeError: if it is not fitted, or vectors have fewer numbers than ``n_components``.
        DataError: if there is no row to fit on, or rows hold NaN or infinity.

    Example:
        >>> line = np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
        >>> Pca(1).fit(line).transform(line).round(4).tolist()
        [[-5.0], [0.0], [5.0]]
    """

    def __init__(self, n_components: int | None = None) -> None:
        self.n_components = n_components

    def _learn(self, moments: Moments) -> None:
        count = self._checked_count(self.n_components, moments.width)
        variance, axes = axes_of(moments.covariance, count)
        self.mean_, self.variance_ = moments.mean, variance
        self.axes_ = np.ascontiguousarray((axes * (variance > moments.noise)).T)

    def transform(self, X: ArrayLike) -> Floats:
        mean, axes = learned(self, "mean_"), learned(self, "axes_")
        return project(checked(X, self, len(mean)), mean, axes.T)

    def inverse_transform(self, X: ArrayLike) -> Floats:
        """The vectors back, without what the dropped components held."""
        mean, axes = learned(self, "mean_"), learned(self, "axes_")
        rows: Floats = (checked(X, self, len(axes)) @ axes + mean).astype(np.float32)
        return rows


class AllButTheTop(FromMoments):
    """Centre the rows and remove their top principal components.

    The directions that all vectors share say how frequent words are, not what they mean. With ``SifPool`` in front and
    one component it is the common-component removal of smooth inverse frequency, with centring.

    Args:
        n_components: how many to remove; 0 only centres. The default 1 suits sentence vectors; for word vectors about
            D / 100 was published.

    Attributes:
        mean_: ``[D]``.
        axes_: ``[n_components, D]``; a component without variance is a row of zeros.

    Raises:
        RecipeError: if it is not fitted, or vectors have fewer numbers than ``n_components``.
        DataError: if there is no row to fit on, or rows hold NaN or infinity.

    Source: All-but-the-Top: Simple and Effective Postprocessing for Word Representations, arXiv 1702.01417.

    Example:
        >>> line = np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
        >>> bool(np.abs(AllButTheTop(1).fit(line).transform(line)).max() < 1e-6)
        True
    """

    def __init__(self, n_components: int = 1) -> None:
        self.n_components = n_components

    def _learn(self, moments: Moments) -> None:
        self.mean_, self.axes_ = moments.mean, np.zeros((0, moments.width))
        if self.n_components == 0:
            return
        variance, axes = axes_of(moments.covariance, self._checked_count(self.n_components, moments.width))
        self.axes_ = np.ascontiguousarray((axes * (variance > moments.noise)).T)

    def transform(self, X: ArrayLike) -> Floats:
        mean, axes = learned(self, "mean_"), learned(self, "axes_")
        rows = checked(X, self, len(mean))
        out = np.empty(rows.shape, np.float32)
        for block in blocks(len(rows)):
            centred = rows[block] - mean
            out[block] = centred - (centred @ axes.T) @ axes
        return out
