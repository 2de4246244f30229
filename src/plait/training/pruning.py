"""Magnitude pruning that grows while a module trains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn
from torch.nn.utils import prune

from plait.types import RecipeError


class GradualPruning:
    """Sets ever more weights of some modules to zero, along a cubic schedule, and keeps them there.

    Sparsity after a share ``done`` of the training is ``final · (1 − (1 − t)³)``, where t runs from 0 at ``begin`` to 1
    at ``end``. All modules share one threshold.

    Args:
        modules: whose ``weight`` is pruned.
        final: share of the weights that is zero in the end.
        begin: share of the training before which nothing is pruned.
        end: share of the training after which no more is.

    Raises:
        RecipeError: if the numbers are no shares, or there is no module.

    Source: To prune, or not to prune, arXiv 1710.01878 (the schedule); BERMo, arXiv 2110.15802.

    Example:
        >>> layer = nn.Linear(10, 10)
        >>> pruning = GradualPruning([layer], final=0.5, begin=0.0, end=0.5)
        >>> [round(pruning.step(done), 3) for done in (0.0, 0.25, 0.5, 1.0)]
        [0.0, 0.438, 0.5, 0.5]
        >>> round((layer.weight == 0).float().mean().item(), 2)
        0.5
    """

    def __init__(self, modules: Iterable[nn.Module], final: float, begin: float = 0.1, end: float = 0.7) -> None:
        self.weights: Sequence[tuple[nn.Module, str]] = [(module, "weight") for module in modules]
        if not self.weights or not (0 < final < 1 and 0 <= begin < end <= 1):
            raise RecipeError(
                f"pruning {len(self.weights)} modules to {final} between {begin} and {end}: expected some modules, "
                "0 < final < 1 and 0 <= begin < end <= 1"
            )
        self.final, self.begin, self.end = final, begin, end

    def sparsity(self, done: float) -> float:
        """Share of the weights that is zero after a share of the training."""
        t = min(1.0, max(0.0, (done - self.begin) / (self.end - self.begin)))
        return self.final * (1 - (1 - t) ** 3)

    def step(self, done: float) -> float:
        """Prune to what the schedule asks for now, and return it; what was pruned never comes back."""
        wanted = self.sparsity(done)
        total = sum(int(getattr(module, name).numel()) for module, name in self.weights)
        zero = sum(int((mask == 0).sum()) for module, _ in self.weights if (mask := _mask(module)) is not None)
        more = round(wanted * total) - zero
        if more > 0:
            prune.global_unstructured(self.weights, prune.L1Unstructured, amount=more)
        return wanted


def _mask(module: nn.Module) -> torch.Tensor | None:
    mask: torch.Tensor | None = getattr(module, "weight_mask", None)
    return mask
