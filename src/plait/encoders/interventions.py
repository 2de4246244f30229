"""Changes of what goes on inside a host, each for the length of a ``with`` block: hooks on its modules, no copies."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plait.types import ModelError

if TYPE_CHECKING:
    import torch

    from plait.encoders.hosts import Host


@dataclass(frozen=True, eq=False)
class Batch:
    """What a host is reading.

    Attributes:
        ids: ``(batch, length)`` token ids.
        mask: ``(batch, length)``, True = real token.
    """

    ids: torch.Tensor
    mask: torch.Tensor

    @property
    def last(self) -> torch.Tensor:
        """``(batch,)`` position of the last real token."""
        return self.mask.sum(dim=1) - 1


Change = Callable[["torch.Tensor", Batch], "torch.Tensor"]
"""``(batch, length, dim)`` states and the batch they belong to, to other states. Must not write into its argument."""


@contextlib.contextmanager
def intervene(host: Host, changes: Mapping[int, Change]) -> Iterator[None]:
    """Replace the states of layers by a function of them.

    Args:
        host: the model.
        changes: by layer: 0 is the embedding output, ``n`` the output of the n-th block.

    Raises:
        ModelError: for a layer that the host lacks.
    """
    unknown = [layer for layer in changes if not 0 <= layer <= host.depth]
    if unknown:
        raise ModelError(f"{host.name} has layers 0 to {host.depth}; cannot change {unknown}")
    with contextlib.ExitStack() as stack:
        for layer, change in changes.items():
            hook = _at_embedding(host, change) if layer == 0 else _after_block(host, layer, change)
            stack.callback(hook.remove)
        yield


def _after_block(host: Host, layer: int, change: Change) -> Any:
    def replaced(module: Any, args: Any, out: Any) -> Any:
        if isinstance(out, tuple):
            return (change(out[0], host.batch), *out[1:])
        return change(out, host.batch)

    return host.blocks[layer - 1].register_forward_hook(replaced)


def _at_embedding(host: Host, change: Change) -> Any:
    def replaced(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (change(args[0], host.batch), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": change(kwargs["hidden_states"], host.batch)}

    return host.blocks[0].register_forward_pre_hook(replaced, with_kwargs=True)


@contextlib.contextmanager
def reordered(host: Host, order: Sequence[int]) -> Iterator[None]:
    """Run the blocks in another order: one left out is deleted, two exchanged are swapped, one named twice is repeated.

    A block keeps its weights and, where the model has several kinds of attention, its kind. ``host.depth`` is the
    length of the order while this lasts.

    Args:
        host: the model.
        order: numbers of the blocks to run, 1 … depth.

    Raises:
        ModelError: if the order is empty or names a block that is not there.
    """
    if not order or any(not 1 <= number <= host.depth for number in order):
        raise ModelError(f"{host.name} has blocks 1 to {host.depth}; cannot run them as {list(order)}")
    import torch

    config = host.model.config.get_text_config()
    before = host.blocks
    owner, name = _owner(host.model, before)
    kinds = getattr(config, "layer_types", None)
    chosen = torch.nn.ModuleList([before[number - 1] for number in order])
    settings: dict[str, Any] = {"num_hidden_layers": len(order)}
    if kinds is not None:
        settings["layer_types"] = [kinds[number - 1] for number in order]
    kept = {key: getattr(config, key) for key in settings}
    try:
        setattr(owner, name, chosen)
        host.blocks = chosen
        for key, value in settings.items():
            setattr(config, key, value)
        yield
    finally:
        setattr(owner, name, before)
        host.blocks = before
        for key, value in kept.items():
            setattr(config, key, value)


def _owner(model: Any, blocks: Any) -> tuple[Any, str]:
    return next(
        (module, name) for module in model.modules() for name, child in module.named_children() if child is blocks
    )


@contextlib.contextmanager
def attention_sees(host: Host, what: str) -> Iterator[None]:
    """Let every token see all tokens ("bidirectional") or those before it only ("causal").

    A host that was trained one way reads the other way badly until it is tuned: this is for training and for studies.

    Raises:
        ModelError: for another word, or a host whose attention has no such switch.
    """
    if what not in ("causal", "bidirectional"):
        raise ModelError(f"attention is {what!r}; expected causal or bidirectional")
    causal = what == "causal"
    if causal == host.is_decoder:
        yield
        return
    modules = [module for module in host.model.modules() if hasattr(module, "is_causal")]
    if causal or not modules:
        raise ModelError(f"{host.name} was made {'without' if causal else 'with'} a causal mask; it cannot be {what}")
    config, missing = host.model.config.get_text_config(), object()
    before = getattr(config, "is_causal", missing), [module.is_causal for module in modules]
    try:
        config.is_causal = False
        for module in modules:
            module.is_causal = False
        yield
    finally:
        if before[0] is missing:
            del config.is_causal
        else:
            config.is_causal = before[0]
        for module, value in zip(modules, before[1], strict=True):
            module.is_causal = value


@contextlib.contextmanager
def scaled_queries(host: Host, factor: float, blocks: slice = slice(None)) -> Iterator[None]:
    """Multiply every attention logit by ``factor``: queries (after their norm, if any) and position bias."""
    chosen = list(host.blocks)[blocks]
    queries = [module for block in chosen for module in _query_modules(block)]
    if not queries:
        raise ModelError(f"{host.name} has no query projection that can be scaled (looked for {', '.join(_QUERIES)})")
    bias = [module for name, module in host.model.named_modules() if name.endswith("relative_attention_bias")]
    hooks = [module.register_forward_hook(lambda m, a, out: out * factor) for module in [*queries, *bias]]
    try:
        yield
    finally:
        for handle in hooks:
            handle.remove()


_QUERIES = ("q_norm", "query", "q_proj", "q_lin", "q")


def _query_modules(block: Any) -> list[Any]:
    """Modules whose output is the query; a norm after the projection would undo a factor put before it."""
    for name in _QUERIES:
        found = [module for path, module in block.named_modules() if path.rsplit(".", 1)[-1] == name]
        if found:
            return found
    return []
