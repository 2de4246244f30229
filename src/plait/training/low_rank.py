"""`lora`: linear layers learn a change of low rank, and nothing else learns."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from plait.training.bias_tuning import Selected
from plait.types import RecipeError


class LowRankChange(nn.Module):
    """A weight plus a product of two narrow matrices, of which the second starts at zero.

    Args:
        weight: ``(out, in)``.
        rank: of the product.
        scale: factor of the product.
    """

    def __init__(self, weight: Tensor, rank: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.down = nn.Parameter(torch.randn(rank, weight.shape[1], dtype=weight.dtype) / weight.shape[1] ** 0.5)
        self.up = nn.Parameter(torch.zeros(weight.shape[0], rank, dtype=weight.dtype))
        self.to(weight.device)

    def forward(self, weight: Tensor) -> Tensor:
        """``(out, in)``."""
        return weight + self.scale * self.up @ self.down


def lora(module: nn.Module, rank: int = 8, alpha: float = 16.0, seed: int = 0) -> Selected:
    """Give each linear layer that may learn a change of low rank, and freeze all the rest.

    `fold_lora` writes the changes into the weights afterwards: the module then has the parameters that it had before.

    Args:
        module: what is to be tuned, e.g. a `TunedHost`.
        rank: of the change; 8 as in most published settings.
        alpha: the change is scaled by ``alpha / rank``.
        seed: of the start.

    Raises:
        RecipeError: if there is no linear layer that may learn.

    Source: LoRA: Low-Rank Adaptation of Large Language Models, arXiv 2106.09685.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 3))
        >>> lora(net, rank=2).trained
        14
    """
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear) and layer.weight.requires_grad]
    if not layers or rank < 1:
        raise RecipeError(f"{type(module).__name__} has {len(layers)} linear layers that may learn, and rank is {rank}")
    total = sum(parameter.numel() for parameter in module.parameters())
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        changes = [LowRankChange(layer.weight, rank, alpha / rank) for layer in layers]
    for layer, change in zip(layers, changes, strict=True):
        parametrize.register_parametrization(layer, "weight", change)
    return Selected(sum(p.numel() for change in changes for p in change.parameters()), total)


def fold_lora(module: nn.Module) -> None:
    """Write the low-rank changes into the weights, and take the changes away.

    Args:
        module: what `lora` was given.
    """
    for layer in list(module.modules()):
        if isinstance(layer, nn.Linear) and parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
