"""Pretrained models as hosts: the one module that touches transformers.

A host gives the states of any of its layers and stops above the deepest one asked for. It re-implements nothing: hooks
on the model's own blocks do the work, as they do for `plait.encoders.interventions`.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plait._lazy import need
from plait.bank import digest
from plait.encoders.interventions import Batch
from plait.encoders.routers import recorded, router_plane, routers
from plait.encoders.weights import Weights, check_safetensors, find_weights
from plait.encoders.windows import PlainTokenizer
from plait.types import ROUTER_LOGITS, Floats, ModelError

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "bfloat16", "float16", "auto")


class _Stop(Exception):
    """Raised by the hook of the deepest layer asked for: what lies above is not run."""


@dataclass(frozen=True)
class Card:
    """What a checkpoint says of itself; known, never forced.

    Attributes:
        pooling: "mean", "cls", "max", "last" or "weightedmean", when the checkpoint names one.
        prompts: role or task to prompt.
        max_length: tokens the checkpoint was meant for.
        licence: as its README states it.
    """

    pooling: str | None
    prompts: Mapping[str, str]
    max_length: int | None
    licence: str | None


class Host:
    """A loaded model with its tokenizer.

    Args:
        weights: what `find_weights` found.
        dtype: arithmetic of the forward pass; "auto" takes bfloat16 where the processor has it natively.
        revision: commit of a hub checkpoint.
        remote_code: run code that ships with the checkpoint; needs a 40-hex revision.
    """

    def __init__(self, weights: Weights, dtype: str, revision: str | None = None, remote_code: bool = False) -> None:
        import torch

        if remote_code and not re.fullmatch(r"[0-9a-f]{40}", revision or ""):
            raise ModelError(
                f"remote_code=True runs code from {weights.name}: it needs a 40-hex revision, not {revision!r}"
            )
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = _dtype(dtype, self.device)
        self.name, self.revision = weights.name, revision
        self.model, self.tokenizer = _load(weights, self.dtype, revision, remote_code)
        self.model.to(self.device).eval().requires_grad_(False)
        self.model.config.get_text_config().use_cache = False
        self.blocks = self._loaded = _blocks(self.model, self.model.config.get_text_config().num_hidden_layers)
        self.width = int(self.model.config.get_text_config().hidden_size)
        self.card = read_card(weights.folder)
        self.batch = Batch(torch.zeros(0, 0), torch.zeros(0, 0))
        self.weights_key = weights.sha256 or digest(weights.name, str(getattr(self.model.config, "_commit_hash", None)))

    @cached_property
    def plain(self) -> PlainTokenizer:
        """The tokenizer, without truncation and padding."""
        eos = self.tokenizer.eos_token or self.tokenizer.sep_token or ""
        return PlainTokenizer(self.tokenizer.backend_tokenizer, {"eos": eos, "blank": _unused(self.tokenizer)})

    @property
    def depth(self) -> int:
        return len(self.blocks)

    @property
    def nbytes(self) -> int:
        return sum(p.numel() * p.element_size() for p in self.model.parameters())

    @property
    def is_decoder(self) -> bool:
        """Whether tokens see only what is to their left; its first token's state is the same for every text."""
        bidirectional = getattr(self.model.config, "use_bidirectional_attention", False)
        return not bidirectional and any(getattr(module, "is_causal", False) for module in self.model.modules())

    @property
    def positions(self) -> int | None:
        """Tokens that the model has positions for; None when it counts none. RoBERTa's kin keep some for padding."""
        declared: int | None = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        embeddings = [module for name, module in self.model.named_modules() if name.endswith("position_embeddings")]
        kept = [getattr(module, "padding_idx", None) for module in embeddings]
        return declared and declared - max((index + 1 for index in kept if index is not None), default=0)

    @property
    def max_length(self) -> int:
        """Tokens a text may have: the checkpoint's own limit, else what its positions allow."""
        positions = self.positions or 512
        return min(self.card.max_length or positions, positions)

    @property
    def shares_prefix(self) -> bool:
        """Whether what texts have in common at their start may be run once: in a causal model that nothing changes."""
        hooked = any(module._forward_hooks or module._forward_pre_hooks for module in self.model.modules())
        attends = all(any(hasattr(part, "is_causal") for part in block.modules()) for block in self.blocks)
        return attends and self.is_decoder and self.blocks is self._loaded and not hooked

    def states(
        self, ids: np.ndarray, mask: np.ndarray | None, layers: tuple[int, ...], shared: int = 0
    ) -> list[Floats]:
        """``[B, T, D]`` float32 states of each layer.

        Args:
            ids: ``[B, T]``, padded on the right.
            mask: ``[B, T]``, True = real; None = all are.
            layers: in ascending order; `ROUTER_PROBS` and `ROUTER_LOGITS` in front of them give the routers' weights,
                ``[B, T, router_width]``, for which all blocks are run.
            shared: columns at the start that are equal in all rows, and run once; only where `shares_prefix`.
        """
        import torch

        inputs = torch.from_numpy(ids.astype(np.int64)).to(self.device)
        real = None if mask is None else torch.from_numpy(mask).to(self.device)
        self.batch = Batch(inputs, torch.ones_like(inputs, dtype=torch.bool) if real is None else real)
        options = {} if real is None else {"attention_mask": real.long()}
        if shared:
            planes = self._shared_run(layers, inputs, shared, options)
        else:
            planes = self._run(layers, input_ids=inputs, **options)
        return [plane.cpu().numpy() for plane in planes]

    def _shared_run(
        self, layers: tuple[int, ...], ids: torch.Tensor, shared: int, options: dict[str, torch.Tensor]
    ) -> list[torch.Tensor]:
        """The first columns for one row, then the others, which see its keys and values."""
        import torch

        given = self.memory()
        (cache,) = given.values()
        before = self._run(layers, input_ids=ids[:1, :shared], **given)
        with torch.inference_mode():
            cache.batch_repeat_interleave(len(ids))
        after = self._run(layers, input_ids=ids[:, shared:], **given, **options)
        return [torch.cat([a.expand(len(ids), -1, -1), b], 1) for a, b in zip(before, after, strict=True)]

    def memory(self) -> dict[str, Any]:
        """An empty store of keys and values, under the name by which the model takes it."""
        from transformers import DynamicCache

        known = inspect.signature(type(self.model).forward).parameters
        name = "cache" if "cache" in known else "past_key_values"  # an older name of it
        return {name: DynamicCache(config=self.model.config.get_text_config())}

    def _run(self, layers: tuple[int, ...], **inputs: Any) -> list[torch.Tensor]:
        """One forward pass up to the deepest of the layers."""
        import torch

        caught: dict[int, torch.Tensor] = {}
        extra = [layer for layer in layers if layer < 0]
        deepest = self.depth if extra else layers[-1]

        def keep(layer: int, value: torch.Tensor) -> None:
            if layer in layers:
                caught[layer] = value.float()
            if layer == deepest and layer < self.depth:
                raise _Stop

        hooks = [
            self.blocks[0].register_forward_pre_hook(lambda m, args, kw: keep(0, _first(args, kw)), with_kwargs=True)
        ]
        for number, block in enumerate(self.blocks[:-1], start=1):
            hooks.append(block.register_forward_hook(lambda m, a, out, n=number: keep(n, _tensor(out))))
        try:
            with torch.inference_mode(), contextlib.suppress(_Stop), recorded(self.routers if extra else ()) as logits:
                keep(self.depth, self.model(**inputs).last_hidden_state)
                caught |= {plane: router_plane(logits, plane, inputs["input_ids"].shape) for plane in extra}
        finally:
            for hook in hooks:
                hook.remove()
        return [caught[layer] for layer in layers]

    @cached_property
    def routers(self) -> list[tuple[Any, int]]:
        """Modules that choose experts, lowest first; empty where there are none."""
        return routers(self.model)

    @cached_property
    def router_width(self) -> int:
        """Experts of all routers together, as a forward pass of one token shows them."""
        if not self.routers:
            return 0
        (plane,) = self.states(np.zeros((1, 1), np.int64), None, (ROUTER_LOGITS,))
        return int(plane.shape[-1])

    def save(self, folder: Path, depth: int) -> None:
        """Write the model's lowest ``depth`` blocks and its tokenizer as a checkpoint that transformers loads."""
        model = self.model
        if depth < self.depth:
            model = copy.deepcopy(model)
            config = model.config.get_text_config()
            config.num_hidden_layers = depth
            if getattr(config, "layer_types", None):
                config.layer_types = config.layer_types[:depth]
            del _blocks(model, self.depth)[depth:]
        model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def attention(self, ids: np.ndarray) -> list[Floats]:
        """``[B, H, T, T]`` float32 attention weights of each block, for ids ``[B, T]`` without padding."""
        import torch

        fused = self.model.config._attn_implementation
        self.model.set_attn_implementation("eager")  # a fused kernel never holds the weights
        try:
            with torch.inference_mode():
                inputs = torch.from_numpy(ids.astype(np.int64)).to(self.device)
                weights = self.model(input_ids=inputs, output_attentions=True).attentions
        finally:
            self.model.set_attn_implementation(fused)
        if not weights:
            raise ModelError(f"{self.name} does not give its attention weights")
        return [block.float().cpu().numpy() for block in weights]


def host(name: str, dtype: str = "float32", revision: str | None = None, remote_code: bool = False) -> Host:
    """The loaded host of that name; equal calls share it until its folder holds other weights."""
    return _loaded(name, dtype, revision, remote_code, _written(Path(name)))


def _written(folder: Path) -> int:
    """When the weights of a folder were written; 0 for what is no folder."""
    try:
        return (folder / "model.safetensors").stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=4)
def _loaded(name: str, dtype: str, revision: str | None, remote_code: bool, written: int) -> Host:
    # threads that spin while another process wants the core made passes ten times slower than threads that sleep
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("KMP_BLOCKTIME", "0")
    need("torch", "torch")
    need("transformers", "torch")
    return Host(find_weights(name), dtype, revision, remote_code)


def read_card(folder: Path | None) -> Card:
    """Read what a sentence-transformers folder says of pooling, prompts and length."""
    if folder is None or not folder.is_dir():
        return Card(None, {}, None, None)
    modules = _json(folder / "modules.json", [])
    pooling = None
    for module in modules:
        if module["type"].endswith("Pooling"):
            modes = _json(folder / module["path"] / "config.json", {})
            pooling = modes.get("pooling_mode") or next(
                (_POOLINGS[key] for key, on in modes.items() if on is True and key in _POOLINGS), None
            )
    settings = _json(folder / "sentence_bert_config.json", {})
    prompts = _json(folder / "config_sentence_transformers.json", {}).get("prompts") or {}
    licence = None
    if (readme := folder / "README.md").exists():
        match = re.search(r"^license:\s*(\S+)", readme.read_text(errors="replace"), re.MULTILINE)
        licence = match.group(1) if match else None
    return Card(pooling, prompts, settings.get("max_seq_length"), licence)


_POOLINGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "last",
}


def _blocks(model: Any, depth: int) -> Any:
    """The model's list of ``depth`` transformer blocks."""
    import torch

    lists = [m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == depth]
    if not lists:
        raise ModelError(f"{type(model).__name__} has no list of {depth} blocks: its layers cannot be reached")
    return lists[0]


def _load(weights: Weights, dtype: Any, revision: str | None, remote_code: bool) -> tuple[Any, Any]:
    import transformers

    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    options: dict[str, Any] = {"revision": revision, "trust_remote_code": remote_code}
    where: str = weights.name
    if weights.folder is not None:
        folder = weights.folder
        if folder.suffix == ".gguf":
            need("gguf", "gguf")
            options["gguf_file"] = folder.name
            folder = folder.parent
        for file in folder.glob("*.safetensors"):
            check_safetensors(file)
        where = str(folder)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(where, **options)
        model = transformers.AutoModel.from_pretrained(where, dtype=dtype, **options)
    except (OSError, ValueError, TypeError) as error:  # TypeError: a file that is no JSON object
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"cannot load the model {weights.name!r}: {reason}") from error
    if not tokenizer.is_fast:
        raise ModelError(f"{weights.name} has no fast tokenizer (tokenizer.json); convert it with transformers first")
    return model, tokenizer


def _dtype(name: str, device: torch.device) -> torch.dtype:
    import torch

    if name not in DTYPES:
        raise ModelError(f"dtype is {name!r}; expected one of {', '.join(DTYPES)}")
    if name == "auto":
        name = "bfloat16" if has_bfloat16(device.type) else "float32"
    return getattr(torch, name)  # type: ignore[no-any-return]


def has_bfloat16(device: str = "cpu") -> bool:
    """Whether the processor multiplies bfloat16 natively; elsewhere it is slower than float32."""
    import torch

    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _unused(tokenizer: Any) -> str:
    """A token that stands for itself in any text and was never trained on: one kept free, else the padding token."""
    added = [token.content for _, token in sorted(tokenizer.added_tokens_decoder.items())]
    return next((token for token in added if "unused" in token), tokenizer.pad_token or "")


def _first(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> torch.Tensor:
    return args[0] if args else kwargs["hidden_states"]  # type: ignore[no-any-return]


def _tensor(out: Any) -> torch.Tensor:
    tensor: torch.Tensor = out[0] if isinstance(out, tuple) else out
    return tensor


def _json(path: Path, default: Any) -> Any:
    return json.loads(path.read_text()) if path.exists() else default
