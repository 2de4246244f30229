"""Steps behind the pooling as torch modules: rows in, rows out."""

from __future__ import annotations

from functools import singledispatch

import numpy as np
import torch
from torch import Tensor, nn

from plait.compression.binary import Binary
from plait.compression.int8 import Int8
from plait.compression.product_quantizer import ProductQuantizer
from plait.compression.residual_binary import ResidualBinary
from plait.export.codes import Centroids, Planes, Signs, Steps256
from plait.roles import Quantiser, Transform
from plait.rows import learned
from plait.step import Step
from plait.training.learned import LearnedTransform
from plait.transforms.clip_outliers import ClipOutliers
from plait.transforms.normalize import Normalize
from plait.types import RecipeError

AFFINE_ERROR = 1e-4
"""What a transform may differ from the affine map it is taken for, beside the length of its output."""


@singledispatch
def as_module(step: Step, width: int) -> nn.Module:
    """The fitted step as a module.

    Args:
        step: behind the pooling.
        width: numbers in a row that it gets.

    Raises:
        RecipeError: if it is not fitted, or there is no module for it.
    """
    if isinstance(step, Quantiser) or not isinstance(step, Transform):
        raise RecipeError(f"{step} cannot be exported; leave it out")
    return affine(step, width)


def affine(step: Transform, width: int) -> nn.Linear:
    """A transform that is an affine map, found out by applying it to the axes.

    Raises:
        RecipeError: if it is not affine.
    """
    offset = step.transform(np.zeros((1, width), np.float32))[0]
    matrix = step.transform(np.eye(width, dtype=np.float32)) - offset
    rows = np.random.default_rng(0).normal(size=(8, width)).astype(np.float32)
    expected = step.transform(rows)
    if np.abs(rows @ matrix + offset - expected).max() > AFFINE_ERROR * np.abs(expected).max(initial=1):
        raise RecipeError(f"{step} cannot be exported: it is no affine map; leave it out")
    linear = nn.Linear(width, matrix.shape[1])
    linear.weight = nn.Parameter(torch.from_numpy(np.ascontiguousarray(matrix.T)), requires_grad=False)
    linear.bias = nn.Parameter(torch.from_numpy(offset), requires_grad=False)
    return linear


class Unit(nn.Module):
    """Rows at length 1; a row of zeros stays."""

    def forward(self, rows: Tensor) -> Tensor:
        """``(batch, dim)`` to the same."""
        unit: Tensor = rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp_min(
            torch.finfo(rows.dtype).tiny
        )
        return unit


class Winsor(nn.Module):
    """Some dimensions kept within a range."""

    chosen: Tensor

    def __init__(self, step: ClipOutliers) -> None:
        super().__init__()
        self.register_buffer("chosen", torch.from_numpy(np.isin(np.arange(step.width_), step.dims_)))
        self.low, self.high = map(float, step.range_)

    def forward(self, rows: Tensor) -> Tensor:
        """``(batch, dim)`` to the same."""
        return torch.where(self.chosen, rows.clamp(self.low, self.high), rows)


class Trained(nn.Module):
    """A step that holds a module of its own."""

    def __init__(self, step: LearnedTransform) -> None:
        super().__init__()
        self.inner, self.shape = step.fitted(), tuple(step.shape_)

    def forward(self, rows: Tensor) -> Tensor:
        """``(batch, layers * dim)`` to ``(batch, dim')``."""
        out: Tensor = self.inner(rows.unflatten(1, self.shape))
        return out


@as_module.register
def _(step: Normalize, width: int) -> nn.Module:
    return Unit()


@as_module.register
def _(step: ClipOutliers, width: int) -> nn.Module:
    learned(step, "dims_")
    return Winsor(step) if step.mode == "winsor" else affine(step, width)


@as_module.register
def _(step: LearnedTransform, width: int) -> nn.Module:
    return Trained(step)


@as_module.register
def _(step: Binary, width: int) -> nn.Module:
    return Signs(width)


@as_module.register
def _(step: Int8, width: int) -> nn.Module:
    return Steps256(step)


@as_module.register
def _(step: ProductQuantizer, width: int) -> nn.Module:
    return Centroids(step)


@as_module.register
def _(step: ResidualBinary, width: int) -> nn.Module:
    return Planes(step)
