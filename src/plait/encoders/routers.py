"""What the routers of a mixture of experts say of each token, read off the routers themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from plait.types import ROUTER_LOGITS

if TYPE_CHECKING:
    import torch


def routers(model: Any) -> list[tuple[Any, int]]:
    """Each router of a model, lowest first, and which of its outputs is ``[tokens, experts]`` logits.

    The model's own class says which modules they are. Blocks without experts have none.
    """
    found: dict[int, tuple[Any, int]] = {}
    for owner in model.modules():
        recorders = (getattr(type(owner), "_can_record_outputs", None) or {}).get("router_logits", ())
        for recorder in recorders if isinstance(recorders, list | tuple) else [recorders]:
            kind = getattr(recorder, "target_class", recorder)
            inside = getattr(recorder, "layer_name", None) or ""
            for name, module in owner.named_modules():
                if kind is not None and isinstance(module, kind) and inside in name:
                    found[id(module)] = module, getattr(recorder, "index", 1)
    return list(found.values())


@contextlib.contextmanager
def recorded(modules: Sequence[tuple[Any, int]]) -> Iterator[list[torch.Tensor]]:
    """A list that each router adds its logits to, ``(tokens, experts)`` float32, for the length of a ``with`` block."""
    caught: list[torch.Tensor] = []

    def keep(index: int) -> Any:
        def hook(module: Any, args: Any, out: Any) -> None:
            logits = out[index] if isinstance(out, tuple) else out
            caught.append(logits.float().flatten(0, -2))

        return hook

    handles = [module.register_forward_hook(keep(index)) for module, index in modules]
    try:
        yield caught
    finally:
        for handle in handles:
            handle.remove()


def router_plane(logits: Sequence[torch.Tensor], plane: int, shape: tuple[int, ...]) -> torch.Tensor:
    """``(batch, length, Σ experts)``: all routers side by side; probabilities are over all experts of one router."""
    import torch

    parts = logits if plane == ROUTER_LOGITS else [torch.softmax(one, dim=-1) for one in logits]
    plane_of_all: torch.Tensor = torch.cat(list(parts), dim=-1).unflatten(0, shape)
    return plane_of_all
