"""A position on the spheres between task vectors, given or found by gradient descent on a handful of scalars."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from plait.training import History, Schedule, train
from plait.types import ModelError, RecipeError

Batch = TypeVar("Batch")
Call: TypeAlias = Callable[..., Tensor]

_NEAR = 0.9995
"""Cosine beyond which a path along the sphere is taken as a straight line."""


def spherical_factors(gram: ArrayLike | Tensor, weights: ArrayLike | Tensor, combine: str = "mean") -> Tensor:
    """Factors of N vectors in the point that iterated spherical interpolation with these weights reaches.

    The first two vectors are interpolated, the result with the third, and so on. A vector of weight a meets one of
    weight b at the share b / (a + b) of the angle between them, so that a large weight pulls.

    Args:
        gram: ``(N, N)`` inner products of the vectors.
        weights: ``(N,)`` numbers above 0.
        combine: weight of what is interpolated already: "mean" of its weights, as published, where with equal weights
            the last vector gets half of the angle and the order matters; or their "sum", near the plain average.

    Returns:
        ``(N,)`` factors, differentiable in the weights.

    Raises:
        RecipeError: for another ``combine``.

    Example:
        >>> spherical_factors(np.eye(2), [1.0, 1.0])
        tensor([0.7071, 0.7071], dtype=torch.float64)
    """
    if combine not in ("mean", "sum"):
        raise RecipeError(f'combine is {combine!r}; expected "mean" or "sum"')
    inner, pulls = (torch.as_tensor(values, dtype=torch.float64) for values in (gram, weights))
    factors = torch.eye(len(pulls), dtype=torch.float64)[0]
    for new in range(1, len(pulls)):
        before = pulls[:new].mean() if combine == "mean" else pulls[:new].sum()
        share = pulls[new] / (before + pulls[new])
        length = torch.sqrt(factors @ inner @ factors) * torch.sqrt(inner[new, new])
        cosine = (factors @ inner[new] / length).clamp(-1, 1) if length > 0 else torch.ones(())
        old, own = _ends(cosine, share)
        factors = old * factors + own * torch.eye(len(pulls), dtype=torch.float64)[new]
    return factors


def _ends(cosine: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    if bool(cosine.detach().abs() > _NEAR):
        return 1 - share, share
    angle = torch.arccos(cosine)
    return torch.sin((1 - share) * angle) / torch.sin(angle), torch.sin(share * angle) / torch.sin(angle)


class SelfPositioning(nn.Module):
    """Find where between several tuned models a probe set is served best, moving one weight a model and one norm.

    The models' weights stay as they are: gradients run through the merged weights to the scalars alone. The result is
    also what ``merge(base, models, out, "task_arithmetic", weight=search.factors_)`` writes as a folder.

    Args:
        base: the module at the base's weights, e.g. a `TunedHost`.
        models: parameters of each tuned model by name, e.g. ``dict(tuned.named_parameters())``. Those that no model
            changed are left alone.
        mu: what the norm of the merged task vector costs, as a factor of the loss; below 0.05 as published.
        combine: see `spherical_factors`.

    Attributes:
        weights_: ``[N]`` weights of the models, summing to 1.
        scale_: factor of the merged task vector.
        factors_: ``[N]`` factors of the task vectors, the scale included.
        history_: losses, epoch by epoch.

    Raises:
        ModelError: if a model lacks a parameter, or has it in another shape.
        RecipeError: without two models, or if they changed nothing.

    Source: Improving General Text Embedding Model: Tackling Task Conflict and Data Imbalance through Model Merging,
    arXiv 2410.15035.

    Example:
        >>> line = nn.Linear(1, 1, bias=False)
        >>> ends = [{"weight": torch.full((1, 1), at)} for at in (-1.0, 3.0)]
        >>> _ = nn.init.zeros_(line.weight)
        >>> search = SelfPositioning(line, ends, mu=0.0)
        >>> _ = search.fit(lambda epoch: [torch.ones(4, 1)], lambda call, x: (call(x) - 2).square().mean())
        >>> round(search(torch.ones(1, 1)).item(), 1)
        2.0
    """

    def __init__(
        self, base: nn.Module, models: Sequence[Mapping[str, Tensor]], mu: float = 0.01, combine: str = "mean"
    ) -> None:
        super().__init__()
        if len(models) < 2:
            raise RecipeError(f"a position lies between models; got {len(models)}")
        self.mu, self.combine = mu, combine
        self._base = (base,)  # in a tuple, so that its parameters are not this module's
        self._start = {name: value.detach() for name, value in base.named_parameters()}
        self._changes = _changes(self._start, models)
        self._gram = _gram(self._changes, len(models))
        one = math.log(math.e - 1)  # softplus of it is 1
        self.pulls = nn.Parameter(torch.full((len(models),), one))
        self.scale = nn.Parameter(torch.ones(()))

    def factors(self) -> Tensor:
        """``(N,)`` factors of the task vectors in the merged model, with gradients."""
        return self.scale * spherical_factors(self._gram, F.softplus(self.pulls), self.combine).to(self.scale.dtype)

    def merged(self) -> dict[str, Tensor]:
        """The merged parameters that differ from the base's, by name, with gradients."""
        factors = self.factors()
        return {
            name: self._start[name] + torch.tensordot(factors.to(stack.dtype), stack, dims=1)
            for name, stack in self._changes.items()
        }

    def forward(self, *inputs: object) -> Tensor:
        """What the module gives with the merged weights."""
        return self._call(self.merged())(*inputs)

    def fit(
        self,
        batches: Callable[[int], Iterable[Batch]],
        loss: Callable[[Call, Batch], Tensor],
        schedule: Schedule | None = None,
    ) -> SelfPositioning:
        """Move the scalars.

        Args:
            batches: of an epoch, by its number.
            loss: of a batch, given what stands for the module with the merged weights.
            schedule: None takes 300 epochs, and a step of 0.05.
        """

        def step(batch: Batch) -> Tensor:
            return loss(self._call(self.merged()), batch) + self.mu * self.scale

        self.history_: History = train(self, batches, step, schedule=schedule or Schedule(epochs=300, lr=0.05))
        with torch.no_grad():
            pulls = F.softplus(self.pulls)
            self.weights_: NDArray[np.float64] = (pulls / pulls.sum()).double().numpy()
            self.scale_ = float(self.scale)
            self.factors_: NDArray[np.float64] = self.factors().double().numpy()
        return self

    def _call(self, merged: dict[str, Tensor]) -> Call:
        return lambda *inputs: functional_call(self._base[0], merged, inputs)


def _changes(start: Mapping[str, Tensor], models: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """``(N, *shape)`` differences by name, for what at least one model changed."""
    found = {}
    for name, value in start.items():
        shapes = [list(model[name].shape) if name in model else None for model in models]
        wrong = next((shape for shape in shapes if shape != list(value.shape)), ...)
        if wrong is not ...:
            raise ModelError(f"the parameter {name} has shape {list(value.shape)} in the base, {wrong} in a model")
        if not value.is_floating_point():
            continue
        stack = torch.stack([model[name].detach().to(value.dtype) - value for model in models])
        if bool(stack.any()):
            found[name] = stack
    if not found:
        raise RecipeError("the models are equal to the base; there is nothing to merge")
    return found


def _gram(changes: Mapping[str, Tensor], count: int) -> Tensor:
    total = torch.zeros(count, count, dtype=torch.float64)
    for stack in changes.values():
        flat = stack.reshape(count, -1)
        total += torch.stack([(flat * row).sum(dim=1, dtype=torch.float64) for row in flat]).cpu()
    return total
