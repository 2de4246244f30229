"""A recipe as one torch module on padded tokens: models, layers, poolings, transforms, concatenations, codes."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from plait.encoders.static import StaticTable
from plait.encoders.transformer import Transformer
from plait.export.poolings import as_pool
from plait.export.steps import Unit, as_module
from plait.fusion.average import Average
from plait.plan import Strand
from plait.roles import Encoder
from plait.step import Chain, Composite, Concat, Step
from plait.types import RecipeError

TOKENS = ("input_ids", "attention_mask", "pool_mask")
"""What each model of a recipe reads: ``(batch, length)`` ids, which of them are real, and which are pooled."""


class RecipeModule(nn.Module):
    """The fitted recipe as a module.

    Args:
        recipe: goes from texts to vectors or codes.

    Attributes:
        encoders: the models, in the order in which their tokens are expected.
        inputs: names of what `forward` takes.
        width: numbers or bytes in a row of what it gives.

    Raises:
        RecipeError: if a step is not fitted, or cannot be exported.
    """

    def __init__(self, recipe: Composite) -> None:
        super().__init__()
        strands = {strand.text: strand for strand in recipe.strands()}
        sources = {strand.source: strand for strand in strands.values()}
        for strand in strands.values():
            _check(strand)
        self.encoders: list[Any] = [strand.encoder for strand in sources.values()]
        self.models = nn.ModuleList(map(as_model, self.encoders))
        self.texts, names = list(strands), list(sources)
        self.places = [names.index(strand.source) for strand in strands.values()]
        self.strands = nn.ModuleList(map(PaddedStrand, strands.values()))
        self.behind, self.width = woven(recipe, {text: strand.width for text, strand in strands.items()})
        self.inputs = [f"{name}_{n}" if n else name for n in range(len(names)) for name in TOKENS]

    def forward(self, *tokens: Tensor) -> Tensor:
        """Vectors or codes.

        Args:
            tokens: ids, mask and pool mask of each model, all ``(batch, length)``.

        Returns:
            ``(batch, dim)`` floats, or ``(batch, bytes)`` codes.
        """
        reads = [tokens[start : start + len(TOKENS)] for start in range(0, len(tokens), len(TOKENS))]
        states = [model(*read[:2]) for model, read in zip(self.models, reads, strict=True)]
        given = {
            text: strand(states[place], reads[place])
            for text, place, strand in zip(self.texts, self.places, self.strands, strict=True)
        }
        rows: Tensor = self.behind(given)
        return rows


def _check(strand: Strand) -> None:
    if strand.changes:
        steps = " | ".join(map(str, strand.changes))
        raise RecipeError(f"{steps} works inside the model and cannot be exported; leave it out")
    if getattr(strand.encoder, "on_overflow", "") == "chunk":
        raise RecipeError(f'{strand.encoder} reads windows and cannot be exported; take on_overflow="report"')
    if any(layer < 0 for layer, _ in strand.mix):
        raise RecipeError(f"{strand.text} reads the routers of its model and cannot be exported")


def as_model(encoder: Encoder) -> nn.Module:
    """The encoder as a module: ids and mask to the states of every layer."""
    if isinstance(encoder, StaticTable):
        return LookUp(encoder)
    if isinstance(encoder, Transformer):
        return Blocks(encoder)
    raise RecipeError(f"{encoder} cannot be exported; expected Transformer or StaticTable")


class LookUp(nn.Module):
    """A table's only layer."""

    def __init__(self, encoder: StaticTable) -> None:
        super().__init__()
        vectors = torch.from_numpy(encoder.table.vectors.copy())
        self.table = nn.Embedding.from_pretrained(vectors)

    def forward(self, ids: Tensor, mask: Tensor) -> list[Tensor]:
        """``(batch, length)`` ids to one ``(batch, length, dim)``."""
        return [self.table(ids)]


class Blocks(nn.Module):
    """All layers of a pretrained model."""

    def __init__(self, encoder: Transformer) -> None:
        super().__init__()
        self.model = copy.deepcopy(encoder.host.model)  # to give all layers, it keeps hooks from then on

    def forward(self, ids: Tensor, mask: Tensor) -> list[Tensor]:
        """``(batch, length)`` ids to ``(batch, length, dim)`` of each layer; 0 is the embedding output."""
        out = self.model(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True)
        return [*out.hidden_states[:-1], out.last_hidden_state]


class PaddedStrand(nn.Module):
    """Layers mixed, tokens pooled."""

    def __init__(self, strand: Strand) -> None:
        super().__init__()
        self.mix = strand.mix
        self.pool = as_pool(strand.pool)

    def forward(self, states: Sequence[Tensor], read: Sequence[Tensor]) -> Tensor:
        """Pool the model's states to ``(batch, dim)``."""
        values = torch.stack([weight * states[layer].float() for layer, weight in self.mix]).sum(dim=0)
        ids, _, pooled = read
        pool: Tensor = self.pool(values, ids, pooled.bool())
        return pool


class Leaf(nn.Module):
    """The vectors of one strand, or those of several layers side by side."""

    def __init__(self, texts: Sequence[str]) -> None:
        super().__init__()
        self.texts = texts

    def forward(self, given: Mapping[str, Tensor]) -> Tensor:
        """``(batch, dim)``, from the vectors of all strands by their text."""
        return torch.cat([given[text] for text in self.texts], dim=1)


class Joined(nn.Module):
    """Parts side by side, or added up."""

    def __init__(self, parts: Sequence[nn.Module], weights: Sequence[float], unit: bool, add: bool) -> None:
        super().__init__()
        self.parts, self.weights, self.add = nn.ModuleList(parts), weights, add
        self.unit = Unit() if unit else nn.Identity()

    def forward(self, given: Mapping[str, Tensor]) -> Tensor:
        """``(batch, dim)``, from the vectors of all strands by their text."""
        rows = [weight * self.unit(part(given)) for weight, part in zip(self.weights, self.parts, strict=True)]
        return torch.stack(rows).sum(dim=0) if self.add else torch.cat(rows, dim=1)


def woven(recipe: Step, widths: Mapping[str, int]) -> tuple[nn.Module, int]:
    """What stands behind the strands as a module, and the numbers in its rows.

    Args:
        recipe: a composite.
        widths: numbers in the vectors of each strand, by its text.

    Raises:
        RecipeError: if a step is not fitted, or cannot be exported.
    """
    if isinstance(recipe, Concat | Average):
        parts, sizes = zip(*(woven(part, widths) for part in recipe.children()), strict=True)
        weights = np.array(recipe.weights_)
        if isinstance(recipe, Average):
            return Joined(parts, (weights / weights.sum()).tolist(), recipe.normalize, add=True), sizes[0]
        return Joined(parts, weights.tolist(), unit=True, add=False), sum(sizes)
    if not isinstance(recipe, Chain):
        raise RecipeError(f"{recipe} cannot be exported; expected a chain, a concatenation or an average")
    first, width = _head(recipe, widths)
    modules = [first]
    for step in recipe.steps[recipe.head :]:
        modules.append(as_module(step, width))
        width = step.transform(np.zeros((1, width), np.float32)).shape[1]
    return nn.Sequential(*modules), width


def _head(recipe: Chain, widths: Mapping[str, int]) -> tuple[nn.Module, int]:
    if isinstance(recipe.steps[0], Composite):
        return woven(recipe.steps[0], widths)
    texts = [strand.text for strand in recipe.strands()]
    return Leaf(texts), sum(widths[text] for text in texts)
