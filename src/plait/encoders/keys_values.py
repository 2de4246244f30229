"""Keys and values of a host's attention: read, with the gradient of the language model's loss, or replaced."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from plait.encoders.vocabulary_head import VocabularyHead, vocabulary_head
from plait.types import DataError, Floats, ModelError

if TYPE_CHECKING:
    import torch

    from plait.encoders.hosts import Host

KINDS = ("keys", "values")
_NAMES = {"keys": ("k_norm", "k_proj", "key", "k_lin"), "values": ("v_norm", "v_proj", "value", "v_lin")}
CHUNK = 64
"""Tokens scored against the vocabulary at once: the scores of 64 over 262,144 entries take 64 MiB."""

Plane: TypeAlias = tuple[int, str]
"""Number of the block, from 1, and "keys" or "values"."""
Replace = Callable[[Plane, "torch.Tensor", "torch.Tensor"], "torch.Tensor"]
"""``(batch, length, channels)`` and the tokens' ``(batch, length)`` positions, to another such tensor."""


@contextlib.contextmanager
def change_keys_values(host: Host, change: Replace) -> Iterator[None]:
    """Let attention see other keys and values: keys behind their norm, if any, and before their positions are put in.

    A store of keys and values keeps what took their place, so that each token of a text that grows passes here once.

    Args:
        host: the model; all of its blocks are changed.
        change: gives what takes their place; channels of several heads stand side by side. Must not write into its
            arguments.

    Raises:
        ModelError: for a host that has no projection for its keys, or its values, alone.

    Example:
        >>> from plait.encoders.hosts import host
        >>> encoder, seen = host("all-MiniLM-L6-v2"), {}
        >>> with change_keys_values(encoder, lambda plane, rows, places: seen.setdefault(plane, rows)):
        ...     states = encoder.states(np.array([[101, 2054, 102]]), None, (6,))
        >>> len(seen), tuple(seen[1, "keys"].shape)
        (12, (1, 3, 384))
    """
    places: list[torch.Tensor] = []

    def entered(module: Any, args: tuple[Any, ...], given: Mapping[str, Any]) -> None:
        places[:] = [_places(given["input_ids"], given)]

    with contextlib.ExitStack() as stack:
        for number, block in enumerate(host.blocks, start=1):
            for kind in KINDS:
                hook = _hook((number, kind), places, change)
                stack.callback(_module(host, block, kind).register_forward_hook(hook).remove)
        stack.callback(host.model.register_forward_pre_hook(entered, with_kwargs=True).remove)
        yield


@dataclass(frozen=True, eq=False)
class KeysValues:
    """The keys, or the values, of one block.

    Attributes:
        rows: ``[T, C]``; channels of several heads side by side.
        gradients: ``[T, C]`` of the summed loss of the next tokens, or None.
    """

    rows: Floats
    gradients: Floats | None = None


def read_keys_values(host: Host, ids: np.ndarray, head: VocabularyHead | None = None) -> dict[Plane, KeysValues]:
    """Keys and values of every block for one text.

    Args:
        host: the model.
        ids: ``[T]`` token ids.
        head: of a decoder; with it, gradients are worked out too.

    Raises:
        DataError: if gradients are asked of a single token, which has no next one.
    """
    import torch

    if head is not None:
        _two_at_least(ids)
    seen: dict[Plane, tuple[torch.Tensor, torch.Tensor]] = {}

    def note(plane: Plane, rows: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        # a zero that has a gradient gives that of the rows, and leaves the paths through them as they are
        probe = torch.zeros_like(rows, requires_grad=head is not None)
        seen[plane] = rows.detach(), probe
        return rows + probe

    with change_keys_values(host, note), torch.set_grad_enabled(head is not None):
        states = host.model(input_ids=_batch(host, ids)).last_hidden_state[0]
    if head is not None:
        last = states.detach().requires_grad_()
        for losses in _losses(head, last, ids):
            losses.sum().backward()
        states.backward(last.grad)
    return {
        plane: KeysValues(_array(rows), None if probe.grad is None else _array(probe.grad))
        for plane, (rows, probe) in seen.items()
    }


def next_token_losses(host: Host, ids: np.ndarray, head: VocabularyHead | None = None) -> np.ndarray:
    """``[T - 1]`` losses in nats of each token but the first of a text, given those before it.

    Args:
        host: a decoder.
        ids: ``[T]`` token ids, two or more.
        head: the host's, if it was made before; making it may copy the vocabulary.

    Raises:
        DataError: for fewer than two tokens.
        ModelError: for a host that is no decoder, or whose output matrix is not at hand.
    """
    import torch

    _two_at_least(ids)
    found = head or vocabulary_head(host)
    with torch.no_grad():
        states = host.model(input_ids=_batch(host, ids)).last_hidden_state[0]
        return torch.cat(list(_losses(found, states, ids))).double().cpu().numpy()


def attention_windows(host: Host) -> list[int | None]:
    """How many tokens back each block sees, the token itself among them; None where it sees all."""
    config = host.model.config.get_text_config()
    width: int | None = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None) or ["sliding_attention"] * host.depth
    return [width if "sliding" in kind else None for kind in kinds]


def _losses(head: VocabularyHead, states: torch.Tensor, ids: np.ndarray) -> Iterator[torch.Tensor]:
    import torch

    targets = torch.from_numpy(ids[1:].astype(np.int64)).to(states.device)
    for start in range(0, len(targets), CHUNK):
        some = slice(start, start + CHUNK)
        yield torch.nn.functional.cross_entropy(head.logits(states[:-1][some]), targets[some], reduction="none")


def _two_at_least(ids: np.ndarray) -> None:
    if ids.ndim != 1 or len(ids) < 2:
        raise DataError(f"next tokens are scored in one text of two tokens or more; got ids of shape {ids.shape}")


def _batch(host: Host, ids: np.ndarray) -> torch.Tensor:
    import torch

    return torch.from_numpy(ids.astype(np.int64))[None].to(host.device)


def _array(values: torch.Tensor) -> Floats:
    out: Floats = values[0].float().cpu().numpy()
    return out


def _places(ids: torch.Tensor, given: Mapping[str, Any]) -> torch.Tensor:
    """``(batch, length)`` positions of the tokens of a pass, as the model counts them."""
    import torch

    named: torch.Tensor | None = given.get("position_ids")
    if named is not None:
        return named.expand(ids.shape)
    memory = given.get("cache", given.get("past_key_values"))
    past = 0 if memory is None else memory.get_seq_length()
    return torch.arange(past, past + ids.shape[1], device=ids.device).expand(ids.shape)


def _module(host: Host, block: Any, kind: str) -> Any:
    for name in _NAMES[kind]:
        for path, module in block.named_modules():
            if path.rsplit(".", 1)[-1] == name:
                return module
    raise ModelError(
        f"the blocks of {host.name} have no projection for {kind} alone (looked for {', '.join(_NAMES[kind])}): one "
        "for queries, keys and values together cannot be split here; take a model of the Llama, Qwen or Gemma kind"
    )


def _hook(plane: Plane, places: list[torch.Tensor], change: Replace) -> Callable[[Any, tuple[Any, ...], Any], Any]:
    def replaced(module: Any, args: tuple[Any, ...], out: Any) -> Any:
        if out.ndim == 3:
            return change(plane, out, places[0])
        # a norm sees each head on its own: tokens before heads, or, in models that exchange the two first, behind them
        swapped = _heads_first(args[0])
        rows = out.transpose(1, 2) if swapped else out
        changed = change(plane, rows.flatten(2), places[0]).unflatten(2, rows.shape[2:])
        return changed.transpose(1, 2) if swapped else changed

    return replaced


def _heads_first(rows: torch.Tensor) -> bool:
    """Whether ``(batch, ?, ?, channels)`` holds heads before tokens: in memory the heads of a token lie together."""
    one, two = rows.stride()[1:3]
    return one < two or (one == two and rows.shape[1] == 1)
