"""`bitfit`: only the biases of a module learn, and those that it lacks are added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from plait.types import RecipeError


@dataclass(frozen=True)
class Selected:
    """How much of a module learns.

    Attributes:
        trained: numbers that learn.
        total: numbers in all.
        added: names of parameters that the module did not have before.
    """

    trained: int
    total: int
    added: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Part of all numbers that learns."""
        return self.trained / self.total


def bitfit(module: nn.Module, add: bool = True, rows: Mapping[str, Sequence[int]] | None = None) -> Selected:
    """Let the biases of a module learn and nothing else. What was frozen before stays frozen.

    Biases take steps of another size than weights: 1e-2 to 1e-3, without weight decay, suits those that start at zero.

    Args:
        module: what is to be tuned, e.g. a `TunedHost`.
        add: give linear layers that have no bias one of zeros, as hosts without biases need; such a host can be used as
            it stands, but its kind has no place for them in a saved folder.
        rows: by the name of an embedding table, the rows that learn beside the biases: those of marker tokens. The
            table has to be among what may learn.

    Raises:
        RecipeError: if nothing would learn, or a table is not there or frozen.

    Source: BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked Language-models,
    arXiv 2106.10199; Language Models are Universal Embedders, arXiv 2310.08232.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2, bias=False))
        >>> bitfit(net)
        Selected(trained=5, total=23, added=('1.bias',))
    """
    tables = dict(rows or {})
    learning = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    unknown = [name for name in tables if name not in learning]
    if unknown:
        raise RecipeError(f"{unknown[0]} is no parameter that may learn here; there are {', '.join([*learning][:5])} …")
    added = _add_biases(module) if add else ()
    kept = 0
    for name, parameter in module.named_parameters():
        bias = name.rpartition(".")[2] == "bias"
        if name in tables:
            parameter.register_hook(_only(tables[name]))
            kept += len(set(tables[name])) * parameter[0].numel()
        elif not bias:
            parameter.requires_grad_(False)
        elif parameter.requires_grad:
            kept += parameter.numel()
    if not kept:
        raise RecipeError(f"{type(module).__name__} has no bias that may learn; set add=True, or freeze less of it")
    return Selected(kept, sum(parameter.numel() for parameter in module.parameters()), added)


def _add_biases(module: nn.Module) -> tuple[str, ...]:
    added: list[str] = []
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Linear) and layer.bias is None and layer.weight.requires_grad:
            layer.bias = nn.Parameter(layer.weight.new_zeros(layer.out_features))
            added.append(f"{name}.bias")
    return tuple(added)


def _only(rows: Sequence[int]) -> object:
    """A hook that leaves the gradient of these rows and clears that of all others."""

    def masked(gradient: Tensor) -> Tensor:
        kept = torch.zeros_like(gradient)
        kept[list(rows)] = gradient[list(rows)]
        return kept

    return masked
