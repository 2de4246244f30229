"""Layers combined by attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plait.layers.cross_attention import CrossAttention
from plait.training.learned import LearnedTransform


class LayerStack(nn.Module):
    """A trained vector added to each layer's, then cross-attention over the layers.

    Args:
        layers: L.
        attention: pools ``(batch, layers, dim)``.
    """

    def __init__(self, layers: int, dim: int, attention: CrossAttention) -> None:
        super().__init__()
        self.place = nn.Parameter(0.02 * torch.randn(layers, dim))
        self.attention = attention

    def forward(self, stack: Tensor) -> Tensor:
        """Pool ``(batch, layers, dim)`` to ``(batch, dim)``."""
        pooled: Tensor = self.attention(stack + self.place)
        return pooled


class LayerAttention(LearnedTransform):
    """One vector from those of all layers, by trained cross-attention.

    Stands behind the pooling of `ConcatLayers`: each layer is pooled first (the last token of a causal host, the mean
    of others), a trained vector says which layer it is, and latents attend to the layers. Training runs over banked
    vectors, without the host.

    Args:
        latents: trained queries. 32 do here: with one vector a layer there is little to ask.
        heads: of the attention.
        head_dim: of one head.
        epochs: passes over the examples, at most; training stops early by held-out examples.
        lr: peak step of AdamW.
        batch_size: examples a step, and with it the in-batch negatives.
        temperature: of the contrastive loss, where examples are no classes.
        random_state: seed.

    Raises:
        RecipeError: when fitted without examples.

    Source: Pooling And Attention: What Are Effective Designs For LLM-Based Embedding Models?, arXiv 2409.02727.

    Example:
        >>> import numpy as np
        >>> stack = np.random.default_rng(0).normal(size=(40, 3 * 8)).astype(np.float32)
        >>> labels = ["up" if row[0] > 0 else "down" for row in stack]
        >>> LayerAttention(latents=4, heads=2, head_dim=4, epochs=2).fit(stack, labels, layers=3).transform(stack).shape
        (40, 8)
    """

    def __init__(
        self,
        latents: int = 32,
        heads: int = 4,
        head_dim: int = 64,
        epochs: int = 10,
        lr: float = 1e-3,
        batch_size: int = 128,
        temperature: float = 0.05,
        random_state: int = 0,
    ) -> None:
        self.latents = latents
        self.heads = heads
        self.head_dim = head_dim
        self.epochs = epochs
        self.lr = lr
        self.batch_size = batch_size
        self.temperature = temperature
        self.random_state = random_state

    def build(self, shape: tuple[int, ...]) -> LayerStack:
        layers, dim = shape
        return LayerStack(layers, dim, CrossAttention(dim, self.latents, self.heads, self.head_dim))
