"""Poolings as torch modules on padded tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from plait.pooling.attention import AttentionPool
from plait.pooling.frequency import SifPool
from plait.pooling.maximum import MaxPool
from plait.pooling.mean import MeanPool, WeightedMeanPool
from plait.pooling.single import ClsPool, LastPool
from plait.rows import learned
from plait.types import RecipeError


class PaddedPool(nn.Module):
    """A pooling on padded tokens; a text without a pooled token gets zeros."""

    def forward(self, values: Tensor, ids: Tensor, pooled: Tensor) -> Tensor:
        """Pool.

        Args:
            values: ``(batch, length, dim)``.
            ids: ``(batch, length)``.
            pooled: ``(batch, length)``, True = pooled.

        Returns:
            ``(batch, dim)``.
        """
        raise NotImplementedError


class WeightedPool(PaddedPool):
    """A weighted mean."""

    def forward(self, values: Tensor, ids: Tensor, pooled: Tensor) -> Tensor:
        weights = self.weights(ids, pooled) * pooled
        weights = weights / weights.sum(dim=1, keepdim=True).clamp_min(torch.finfo(values.dtype).tiny)
        # a product would turn what stands in the padding into NaN, should it be infinite
        return (values * weights[..., None]).sum(dim=1)

    def weights(self, ids: Tensor, pooled: Tensor) -> Tensor:
        """``(batch, length)`` what each token weighs; what is not pooled does not matter."""
        return torch.ones_like(ids, dtype=torch.float32)


class PositionPool(WeightedPool):
    """The i-th pooled token weighs i."""

    def weights(self, ids: Tensor, pooled: Tensor) -> Tensor:
        return pooled.long().cumsum(dim=1).float()


class FirstPool(WeightedPool):
    """The first pooled token alone."""

    def weights(self, ids: Tensor, pooled: Tensor) -> Tensor:
        return (pooled.long().cumsum(dim=1) == 1).float()


class FinalPool(WeightedPool):
    """The last pooled token alone."""

    def weights(self, ids: Tensor, pooled: Tensor) -> Tensor:
        count = pooled.long().cumsum(dim=1)
        return (count == count[:, -1:]).float()


class FrequencyPool(WeightedPool):
    """A token of probability p weighs a / (a + p)."""

    weight: Tensor

    def __init__(self, step: SifPool) -> None:
        super().__init__()
        probability = np.append(learned(step, "probability_"), 0)  # the last stands for all ids that were never seen
        self.register_buffer("weight", torch.from_numpy((step.a / (step.a + probability)).astype(np.float32)))

    def weights(self, ids: Tensor, pooled: Tensor) -> Tensor:
        return self.weight[ids.clamp_max(len(self.weight) - 1)]


class LargestPool(PaddedPool):
    """The largest value of each dimension."""

    def forward(self, values: Tensor, ids: Tensor, pooled: Tensor) -> Tensor:
        largest = values.masked_fill(~pooled[..., None], -torch.inf).amax(dim=1)
        return torch.where(pooled.any(dim=1, keepdim=True), largest, 0.0)


class TrainedPool(PaddedPool):
    """A pooling that holds a module of its own."""

    def __init__(self, step: AttentionPool) -> None:
        super().__init__()
        self.inner = step.fitted()

    def forward(self, values: Tensor, ids: Tensor, pooled: Tensor) -> Tensor:
        some = pooled.any(dim=1, keepdim=True)
        return torch.where(some, self.inner(values, pooled | ~some), 0.0)


POOLS: dict[type, Callable[[Any], PaddedPool]] = {
    MeanPool: lambda step: WeightedPool(),
    WeightedMeanPool: lambda step: PositionPool(),
    ClsPool: lambda step: FirstPool(),
    LastPool: lambda step: FinalPool(),
    SifPool: FrequencyPool,
    MaxPool: lambda step: LargestPool(),
    AttentionPool: TrainedPool,
}


def as_pool(step: object) -> PaddedPool:
    """The fitted pooling as a module.

    Raises:
        RecipeError: if it is not fitted, or there is no module for it.
    """
    make = POOLS.get(type(step))  # not by inheritance: a pooling that cuts spans is a mean, too
    if make is None:
        raise RecipeError(f"{step} cannot be exported; take one of {', '.join(kind.__name__ for kind in POOLS)}")
    return make(step)
