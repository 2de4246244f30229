"""A trained pooling: tokens attend to latents, or latents to tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from plait.layers.cross_attention import CrossAttention
from plait.plan import Progress
from plait.roles import Pooling
from plait.training.learned import Learned
from plait.training.objectives import Examples
from plait.types import Floats, Ints, States, Tokens, ranges

AT_ONCE = 1 << 16
"""Padded tokens that are pooled at once."""


class AttentionPool(Learned, Pooling):
    """Cross-attention between a unit's tokens and trained latents, then a mean.

    Training runs over the banked states of the tokens, without the host.

    Args:
        direction: "token_query": each token asks a dictionary of latents, and the mean runs over the tokens that a unit
            names (NV-Embed's latent attention). "latent_query": latents ask the tokens, and the mean runs over them.
        latents: trained vectors. 512 is the published number for hosts of 4,096 dimensions; 32 learn from thousands of
            examples.
        heads: of the attention.
        head_dim: of one head.
        epochs: passes over the examples, at most; training stops early by held-out examples.
        lr: peak step of AdamW.
        random_state: seed.

    Raises:
        RecipeError: when fitted without examples, or for another direction.

    Source: NV-Embed: Improved Techniques for Training LLMs as Generalist Embedding Models, arXiv 2405.17428.

    Example:
        >>> from plait import StaticTable
        >>> texts = ["a cat", "a dog", "my cat", "my dog", "one cat", "one dog"]
        >>> recipe = StaticTable("wordllama") | AttentionPool(latents=4, heads=2, head_dim=8, epochs=2)
        >>> recipe.fit(texts, [text.split()[1] for text in texts]).encode(["some cat"]).values.shape
        (1, 256)
    """

    batch_size = 128
    temperature = 0.05

    def __init__(
        self,
        direction: str = "token_query",
        latents: int = 32,
        heads: int = 4,
        head_dim: int = 64,
        epochs: int = 10,
        lr: float = 1e-3,
        random_state: int = 0,
    ) -> None:
        self.direction = direction
        self.latents = latents
        self.heads = heads
        self.head_dim = head_dim
        self.epochs = epochs
        self.lr = lr
        self.random_state = random_state

    def build(self, shape: tuple[int, ...]) -> CrossAttention:
        return CrossAttention(shape[0], self.latents, self.heads, self.head_dim, self.direction)

    def fit(
        self,
        X: States,
        y: Examples | None = None,
        layers: int = 1,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> Self:
        """Train on token states and labelled examples of their units.

        Args:
            X: states of one layer.
            y: examples over the units: a part of a task, `Triples`, or one class a unit.
            layers: always 1; layers are mixed before a pooling.
            progress: called after each epoch.
            checkpoint: file that a killed training goes on from.
        """
        values, tokens = X.values[-1], X.tokens
        rows = len(tokens.bounds) - 1
        self.train((values.shape[1],), lambda units: self._run(values, tokens, units), y, rows, progress, checkpoint)
        return self

    def pool(self, values: Floats, tokens: Tokens) -> Floats:
        self.fitted()
        lengths = np.diff(tokens.bounds)
        out = np.zeros((len(lengths), values.shape[1]), np.float32)
        full = np.flatnonzero(lengths)
        full = full[np.argsort(lengths[full], kind="stable")]
        size = max(1, AT_ONCE // max(1, int(lengths.max(initial=1))))
        with torch.no_grad():
            for start in range(0, len(full), size):
                out[full[start : start + size]] = self._run(values, tokens, full[start : start + size]).numpy()
        return out

    def _run(self, values: Floats, tokens: Tokens, units: Ints) -> Tensor:
        """The module's output for some units, padded to the longest of them."""
        lengths = tokens.bounds[units + 1] - tokens.bounds[units]
        mask = np.arange(max(1, int(lengths.max(initial=0)))) < lengths[:, None]
        padded = np.zeros((*mask.shape, values.shape[1]), np.float32)
        padded[mask] = values[tokens.index[ranges(tokens.bounds[units], tokens.bounds[units + 1])]]
        out: Tensor = self.module_(torch.from_numpy(padded), torch.from_numpy(mask))
        return out
