"""Pretrained hosts that learn: a copy whose upper blocks are trained on texts, and the folder it is kept in."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from plait.encoders.hosts import Host
from plait.encoders.interventions import reordered
from plait.encoders.transformer import Transformer
from plait.plan import plan_batches
from plait.roles import LinearPooling
from plait.types import Floats, Ints, Items, ModelError, RecipeError, Tokens, ranges


@dataclass(frozen=True, eq=False)
class Reading:
    """Texts as a `TunedHost` reads them: tokenised once, and run once through what does not learn.

    Attributes:
        tokens: of N texts.
        states: ``[T, D]`` states of the highest frozen layer, packed; None where everything learns.
    """

    tokens: Tokens
    states: Floats | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    def take(self, rows: Ints) -> Reading:
        """The texts ``rows``, in that order."""
        offsets = self.tokens.offsets
        kept = None if self.states is None else self.states[ranges(offsets[rows], offsets[rows + 1])]
        return Reading(self.tokens.take(rows), kept)


class TunedHost(nn.Module):
    """A copy of a pretrained host that learns: texts in, pooled vectors of its last layer out.

    The host that recipes share stays as it is. What is frozen is not copied, and what a text's tokens look like above
    the frozen blocks is worked out once, by `read`: a training step then costs the upper blocks only.

    Args:
        encoder: the host, with its length limit and prompts.
        pool: how tokens become one vector; the same pooling has to follow the tuned host in a recipe.
        frozen_below: embeddings and that many lower blocks keep their weights; None lets everything learn, the
            embeddings too, at several times the cost of a step.

    Raises:
        ModelError: if no block is left to learn.
        RecipeError: for a host that reads texts in windows.

    Example:
        >>> from plait import MeanPool
        >>> tuned = TunedHost(Transformer("all-MiniLM-L6-v2"), MeanPool(), frozen_below=5)
        >>> texts = tuned.read(["a text", "a second one", "a third"])
        >>> tuned(texts.take(np.array([2, 0]))).shape
        torch.Size([2, 384])
    """

    def __init__(self, encoder: Transformer, pool: LinearPooling, frozen_below: int | None = None) -> None:
        super().__init__()
        host = encoder.host
        if frozen_below is not None and not 0 <= frozen_below < host.depth:
            raise ModelError(f"{host.name} has {host.depth} blocks; frozen_below={frozen_below} leaves none to learn")
        if encoder.on_overflow == "chunk":
            raise RecipeError(f'{encoder} reads texts in windows; tune it with on_overflow="report" or "error"')
        self.encoder, self.pool, self.frozen_below = encoder, pool, frozen_below
        self._frozen = () if frozen_below is None else (*list(host.blocks)[:frozen_below], *_embeddings(host))
        self._copy = _copied(host, self._frozen)
        self.model: nn.Module = self._copy.model

    def read(self, items: Items, role: str = "document") -> Reading:
        """Tokenise the items, and run them through the frozen blocks.

        Args:
            items: texts, or tuples of words.
            role: "query" or "document"; whose prompt stands around the text.
        """
        encoder = self.encoder.asked(role)
        tokens = encoder.tokenize(items)
        if self.frozen_below is None:
            return Reading(tokens)
        states = np.zeros((len(tokens.ids), encoder.width), np.float32)
        for rows in plan_batches(tokens, encoder.budget):
            place = ranges(tokens.offsets[rows], tokens.offsets[rows + 1])
            states[place] = encoder.states(tokens.take(rows), (self.frozen_below,)).values[0]
        return Reading(tokens, states)

    def forward(self, reading: Reading) -> Tensor:
        """``(units, dim)`` vectors, with gradients."""
        tokens, lengths = reading.tokens, reading.tokens.lengths
        device = self._copy.device
        mask = np.arange(int(lengths.max(initial=0))) < lengths[lengths > 0][:, None]
        real = torch.from_numpy(mask).to(device)
        states = self._upper(reading, real)[real]
        entries = torch.from_numpy(tokens.index).to(device)
        weights = torch.from_numpy(self.pool.weights(tokens)).to(device)
        unit = torch.from_numpy(np.repeat(np.arange(len(tokens.bounds) - 1), np.diff(tokens.bounds))).to(device)
        vectors = states.new_zeros((len(tokens.bounds) - 1, states.shape[1]))
        return vectors.index_add(0, unit, states[entries] * weights[:, None])

    def vectors(self, reading: Reading) -> Floats:
        """``[U, D]`` vectors as the host stands now, without gradients and without dropout."""
        tokens, learning = reading.tokens, self.training
        out = np.zeros((len(tokens.bounds) - 1, self.encoder.width), np.float32)
        self.eval()
        with torch.no_grad():
            for rows in plan_batches(tokens, self.encoder.budget):
                out[ranges(tokens.units[rows], tokens.units[rows + 1])] = self(reading.take(rows)).cpu().numpy()
        self.train(learning)
        return out

    def train(self, mode: bool = True) -> Self:
        """Training mode; frozen parts belong to the shared host and never drop anything out."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def save(self, folder: str | Path) -> Path:
        """Write weights, configuration and tokenizer as a folder that ``Transformer(folder)`` opens.

        Args:
            folder: where; an old model of that name is replaced once the new one is whole.

        Raises:
            ModelError: if the folder holds something else, or the host got parameters that its kind has no place for.
        """
        folder = Path(folder)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())) and not (folder / "config.json").exists():
            raise ModelError(f"{folder} exists and holds no model; choose another folder")
        host = self.encoder.host
        added = sorted(self.model.state_dict().keys() - host.model.state_dict().keys())
        if added:
            raise ModelError(f"{type(self.model).__name__} has no place for {added[0]} and {len(added) - 1} more")
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        self.model.save_pretrained(part)  # type: ignore[operator]
        host.tokenizer.save_pretrained(part)
        if host.card.max_length:
            (part / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": host.card.max_length}))
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
        return folder

    def _upper(self, reading: Reading, real: Tensor) -> Tensor:
        """``(batch, length, dim)`` states of the last layer."""
        options = {} if bool(real.all()) else {"attention_mask": real.long()}
        if reading.states is None:
            ids = torch.zeros(real.shape, dtype=torch.long, device=real.device)
            ids[real] = torch.from_numpy(reading.tokens.ids.astype(np.int64)).to(real.device)
            return self.model(input_ids=ids, **options).last_hidden_state.float()  # type: ignore[no-any-return]
        lower = torch.zeros((*real.shape, reading.states.shape[1]), device=real.device)
        lower[real] = torch.from_numpy(reading.states).to(real.device)
        first = (self.frozen_below or 0) + 1
        hook = self._copy.blocks[first - 1].register_forward_pre_hook(_put(lower), with_kwargs=True)
        try:
            with reordered(self._copy, range(first, self._copy.depth + 1)):
                return self.model(inputs_embeds=lower, **options).last_hidden_state.float()  # type: ignore[no-any-return]
        finally:
            hook.remove()


def _put(states: Tensor) -> Any:
    """A hook that gives a block these states to read, whatever was computed below it."""

    def replaced(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return ((states, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": states})

    return replaced


def _copied(host: Host, frozen: tuple[nn.Module, ...]) -> Host:
    """The host with a copy of its model that shares the frozen modules; all else learns, in float32."""
    memo: dict[int, Any] = {id(module): module for module in frozen}
    copied = copy.copy(host)
    copied.model = copy.deepcopy(host.model, memo)
    copied.blocks = memo[id(host.blocks)]
    kept = {id(parameter) for module in frozen for parameter in module.parameters()}
    for name, parameter in copied.model.named_parameters():
        if id(parameter) not in kept and not name.startswith("pooler."):  # the pooler lies beside the last layer
            parameter.data = parameter.data.float()
            parameter.requires_grad_(True)
    return copied


def _embeddings(host: Host) -> Iterator[nn.Module]:
    """What turns ids into the states that the first block reads: tables, and what lies beside them."""

    def below(module: nn.Module) -> Iterator[nn.Module]:
        for child in module.children():
            inside = list(child.modules())
            if host.blocks in inside:
                if child is not host.blocks:
                    yield from below(child)
            elif any(isinstance(part, nn.Embedding) for part in inside):
                yield child

    return below(host.model)
