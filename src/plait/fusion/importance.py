"""What Fisher and regression merging need to know of a model: which numbers matter, and what its layers read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save
from torch import Tensor, nn

from plait.bank import write_atomic
from plait.types import DataError

Batch = TypeVar("Batch")


def fisher_information(
    module: nn.Module, batches: Iterable[Batch], loss: Callable[[Batch], Tensor]
) -> dict[str, Tensor]:
    """Mean squared gradient of each number that learns: the diagonal of the empirical Fisher information.

    Args:
        module: the tuned model.
        batches: of examples; one example a batch is the exact quantity, larger ones a cheaper stand-in.
        loss: of a batch.

    Raises:
        DataError: without a batch.

    Source: Merging Models with Fisher-Weighted Averaging, arXiv 2111.09832.

    Example:
        >>> layer = nn.Linear(2, 1, bias=False)
        >>> found = fisher_information(layer, [torch.eye(2)[:1]], lambda x: layer(x).sum())
        >>> found["weight"].tolist()
        [[1.0, 0.0]]
    """
    learned = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    squares = {name: torch.zeros_like(parameter) for name, parameter in learned.items()}
    count = 0
    for batch in batches:
        found = torch.autograd.grad(loss(batch), list(learned.values()), allow_unused=True)
        for name, gradient in zip(learned, found, strict=True):
            if gradient is not None:
                squares[name] += gradient.detach() ** 2
        count += 1
    if not count:
        raise DataError("there is no batch to take gradients on; give some examples")
    return {name: square / count for name, square in squares.items()}


def input_products(module: nn.Module, batches: Iterable[Batch], run: Callable[[Batch], Any]) -> dict[str, Tensor]:
    """``(in, in)`` inner products of what each linear layer reads, by the name of its weight.

    Padding must not reach the layers, or it counts as an input: run texts of one length, or one by one.

    Args:
        module: the tuned model.
        batches: of inputs.
        run: sends a batch through the module.

    Source: Dataless Knowledge Fusion by Merging Weights of Language Models, arXiv 2212.09849.

    Example:
        >>> layer = nn.Sequential(nn.Linear(2, 1))
        >>> input_products(layer, [torch.tensor([[1.0, 2.0]])], layer)["0.weight"].tolist()
        [[1.0, 2.0], [2.0, 4.0]]
    """
    found: dict[str, Tensor] = {}

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def add(layer: nn.Module, args: tuple[Tensor, ...]) -> None:
            rows = args[0].detach().reshape(-1, args[0].shape[-1]).float()
            found[name] = found.get(name, torch.zeros(())) + rows.T @ rows

        return add

    layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, nn.Linear)}
    hooks = [layer.register_forward_pre_hook(hook(f"{name}.weight".lstrip("."))) for name, layer in layers.items()]
    try:
        with torch.no_grad():
            for batch in batches:
                run(batch)
    finally:
        for handle in hooks:
            handle.remove()
    return found


def save_importance(values: Mapping[str, Tensor], path: str | Path, prefix: str = "model.") -> Path:
    """Write what `fisher_information` or `input_products` gave, for `merge`.

    Args:
        values: tensors by parameter name.
        path: safetensors file.
        prefix: left out of the names, so that they become those of the model's file; "model." is where a `TunedHost`
            keeps its model.
    """
    path = Path(path)
    tensors = {name.removeprefix(prefix): value.float().contiguous().cpu() for name, value in values.items()}
    write_atomic(path, save(tensors))
    return path
