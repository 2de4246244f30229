"""`GeneralizedCca`: what several views of the same things have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from plait.rows import Doubles
from plait.transforms.moments import axes_of
from plait.types import DataError, Floats, RecipeError


class GeneralizedCca(BaseEstimator):
    """Canonical correlation of two views or more: one set of vectors that every view can predict (MAXVAR).

    Each view is whitened, so that a direction counts for how well the views agree on it and not for its variance. The
    fused vector is the mean of the views' projections. With two views the directions are those of ordinary CCA.

    Args:
        n_components: numbers in the fused vector; None takes those of the narrowest view.
        shrinkage: share of each view's mean variance that is added to all its directions, so that directions which are
            nothing but noise are not blown up.

    Attributes:
        means_: ``[D_k]`` of each view.
        projections_: ``[D_k, n_components]`` of each view.
        agreement_: ``[n_components]``, from 1 / number of views (no view predicts another) to 1 (all agree).

    Raises:
        DataError: if views differ in their number of rows or hold NaN or infinity, or there are fewer than two.
        RecipeError: if it is not fitted, or is asked for more components than there are.

    Source: Multiview LSA: Representation Learning via Generalized CCA (Rastogi et al., 2015).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> shared = rng.normal(size=(500, 2))
        >>> views = [np.hstack([shared, rng.normal(size=(500, 3))]) for _ in range(3)]
        >>> GeneralizedCca(3).fit(views).agreement_.round(1).tolist()
        [1.0, 1.0, 0.4]
    """

    def __init__(self, n_components: int | None = None, shrinkage: float = 1e-4) -> None:
        self.n_components = n_components
        self.shrinkage = shrinkage

    def fit(self, X: Sequence[ArrayLike], y: object = None) -> Self:
        """Learn from ``[N, D_k]`` views; row n of all is the same thing."""
        views = _views(X)
        widths = [view.shape[1] for view in views]
        count = min(widths) if self.n_components is None else self.n_components
        if not 1 <= count <= sum(widths):
            raise RecipeError(f"GeneralizedCca cannot make {count} components of views of {widths} numbers")
        self.means_ = [view.mean(axis=0) for view in views]
        centred = [view - mean for view, mean in zip(views, self.means_, strict=True)]
        whiteners = [self._whitener(view) for view in centred]
        white = np.hstack([view @ matrix for view, matrix in zip(centred, whiteners, strict=True)])
        strength, axes = axes_of(white.T @ white / len(white), count)
        # Projecting the whitened views on the shared vectors leaves the eigenvectors, stretched by the singular value.
        parts = np.split(axes * np.sqrt(strength), np.cumsum(widths)[:-1])
        self.projections_ = [matrix @ part for matrix, part in zip(whiteners, parts, strict=True)]
        self.agreement_ = strength / len(views)
        return self

    def transform(self, X: Sequence[ArrayLike]) -> Floats:
        """``[N, n_components]`` fused vectors of ``[N, D_k]`` views, in the order of `fit`."""
        if not hasattr(self, "projections_"):
            raise RecipeError("GeneralizedCca is not fitted; call fit with two views or more first")
        views = _views(X)
        if [view.shape[1] for view in views] != [len(mean) for mean in self.means_]:
            raise RecipeError(
                f"GeneralizedCca was fitted on views of {[len(mean) for mean in self.means_]} numbers; "
                f"got {[view.shape[1] for view in views]}"
            )
        fused = sum((v - m) @ p for v, m, p in zip(views, self.means_, self.projections_, strict=True))
        return np.asarray(fused / len(views), np.float32)

    def fit_transform(self, X: Sequence[ArrayLike], y: object = None) -> Floats:
        """Learn from the views and fuse them."""
        return self.fit(X).transform(X)

    def _whitener(self, centred: Doubles) -> Doubles:
        covariance = centred.T @ centred / len(centred)
        variance, axes = axes_of(covariance)
        lifted = variance + self.shrinkage * variance.mean()
        scale = np.divide(1, np.sqrt(lifted), out=np.zeros_like(lifted), where=lifted > 0)
        return np.asarray((axes * scale) @ axes.T, np.float64)


def _views(X: Sequence[ArrayLike]) -> list[Doubles]:
    views = [np.asarray(view, np.float64) for view in X]
    shapes = [view.shape for view in views]
    if len(views) < 2 or any(len(shape) != 2 for shape in shapes) or len({shape[0] for shape in shapes}) > 1:
        raise DataError(f"views have shapes {shapes}; expected two [N, D] arrays or more, all with the same N rows")
    if not all(np.isfinite(view).all() for view in views) or not len(views[0]):
        raise DataError("views hold no row, or NaN or infinity; drop those rows from all of them")
    return views
