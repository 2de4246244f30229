"""The few dimensions whose values dwarf all others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from plait.roles import Transform
from plait.rows import checked, checked_sample, learned
from plait.types import Floats, RecipeError


class ClipOutliers(Transform):
    """Find the dimensions whose mean lies far from all other dimensions' means, and silence them.

    Encoders with learned positions carry a few such dimensions through every layer: they say where a token stands, not
    what it means, and make all cosines alike. They differ from host to host: they are found, never given as constants.

    Args:
        dims: dimensions to clip; None finds them: those whose mean over the rows is more than ``n_std`` standard
            deviations from the mean of all dimensions' means.
        n_std: how far counts as an outlier; 3 is the usual rule.
        max_dims: clip at most this many, the farthest first. There are seldom more than three; the limit keeps a flat
            spectrum from losing many.
        mode: "zero" sets them to 0, as published; "mean" sets each to its mean over the rows fitted on, which takes its
            variance out and keeps its offset; "winsor" limits its values to the range within ``n_std`` standard
            deviations that made it an outlier.

    Attributes:
        dims_: ``[k]`` the dimensions, ascending.
        means_: ``[k]`` their means.
        range_: ``[2]`` the range of "winsor".

    Raises:
        RecipeError: if it is not fitted, a parameter is out of range, or ``dims`` names a dimension that is not there.
        DataError: if there is no row to fit on, or rows hold NaN or infinity.

    Source: Positional Artefacts Propagate Through Masked Language Model Embeddings, arXiv 2011.04393.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(100, 20))
        >>> X[:, 7] += 30
        >>> ClipOutliers().fit(X).dims_.tolist()
        [7]
    """

    def __init__(
        self,
        dims: Sequence[int] | None = None,
        n_std: float = 3.0,
        max_dims: int = 5,
        mode: Literal["zero", "mean", "winsor"] = "zero",
    ) -> None:
        self.dims = dims
        self.n_std = n_std
        self.max_dims = max_dims
        self.mode = mode

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Find the outlying dimensions of the rows."""
        if self.mode not in ("zero", "mean", "winsor"):
            raise RecipeError(f'{self}: mode is {self.mode!r}; expected "zero", "mean" or "winsor"')
        if not self.n_std > 0 or self.max_dims < 0:
            raise RecipeError(f"{self}: n_std must be above 0 and max_dims 0 or more")
        means = checked_sample(X, self).mean(axis=0, dtype=np.float64)
        centre, spread = means.mean(), means.std()
        distance = np.abs(means - centre)
        if self.dims is None:
            order = np.argsort(-distance, kind="stable")
            found = order[distance[order] > self.n_std * spread][: self.max_dims]
        else:
            found = np.array(self.dims, np.int64)
            if ((found < 0) | (found >= len(means))).any():
                raise RecipeError(f"{self}: dims must lie in 0 to {len(means) - 1} for vectors of {len(means)} numbers")
        self.width_ = len(means)
        self.dims_ = np.unique(found)
        self.means_ = means[self.dims_]
        self.range_ = centre + np.array([-1.0, 1.0]) * self.n_std * spread
        return self

    def transform(self, X: ArrayLike) -> Floats:
        means, dims = learned(self, "means_"), self.dims_
        out = np.array(checked(X, self, self.width_), np.float32)
        if self.mode == "winsor":
            out[:, dims] = np.clip(out[:, dims], *self.range_)
        else:
            out[:, dims] = 0 if self.mode == "zero" else means
        return out
