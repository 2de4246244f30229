"""A learned weight for each layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.training.learned import LearnedTransform
from plait.types import Floats


class LayerWeights(nn.Module):
    """``gamma · Σ sₗ hₗ`` with s the softmax of one trained number a layer.

    Args:
        layers: L.
        scale: whether there is a gamma.
        layer_norm: bring each layer's vectors to mean 0 and variance 1 before they are mixed.
        dropout: share of layers left out of the softmax in training.

    Source: BERMo: What can BERT learn from ELMo?, arXiv 2110.15802.

    Example:
        >>> LayerWeights(3)(torch.ones(2, 3, 4)).shape
        torch.Size([2, 4])
    """

    def __init__(self, layers: int, scale: bool = True, layer_norm: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(layers))
        self.gamma = nn.Parameter(torch.ones(())) if scale else None
        self.layer_norm, self.dropout = layer_norm, dropout

    @property
    def weights(self) -> Tensor:
        """``(layers,)`` softmax of the logits."""
        return torch.softmax(self.logits, 0)

    def forward(self, states: Tensor | Sequence[Tensor]) -> Tensor:
        """Mix ``(..., layers, dim)`` states, or a sequence of L ``(..., dim)`` tensors, to ``(..., dim)``."""
        if not isinstance(states, Tensor):
            states = torch.stack(list(states), dim=-2)
        if self.layer_norm:
            states = F.layer_norm(states, states.shape[-1:])
        logits: Tensor = self.logits
        if self.training and self.dropout:
            left_out = torch.rand_like(logits) < self.dropout
            if not bool(left_out.all()):
                logits = logits.masked_fill(left_out, -torch.inf)
        mixed = torch.einsum("l,...ld->...d", torch.softmax(logits, 0), states)
        return mixed if self.gamma is None else self.gamma * mixed


class ScalarMix(LearnedTransform):
    """A weighted sum of layers whose weights are learned: one number a layer.

    Stands behind the pooling of `ConcatLayers`. Layers differ in size: a weight by itself is no importance, see
    `importance`.

    Args:
        layer_norm: bring each layer to mean 0 and variance 1 first, for hosts whose layers differ much in size, such as
            decoders that norm only their last state.
        dropout: share of layers left out in a training step.
        epochs: passes over the examples, at most; training stops early by held-out examples.
        lr: of the weights. 1e-2 is large: smaller steps never leave the uniform mix.
        batch_size: examples a step.
        temperature: of the contrastive loss, where examples are no classes.
        random_state: seed.

    Raises:
        RecipeError: when fitted without examples.

    Source: BERMo: What can BERT learn from ELMo?, arXiv 2110.15802.

    Example:
        >>> import numpy as np
        >>> layers = np.random.default_rng(0).normal(size=(400, 2, 4)).astype(np.float32)
        >>> labels = ["up" if first > 0 else "down" for first in layers[:, 1, 0]]
        >>> mix = ScalarMix().fit(layers.reshape(400, 8), labels, layers=2)
        >>> bool(mix.weights[1] > mix.weights[0])
        True
    """

    def __init__(
        self,
        layer_norm: bool = False,
        dropout: float = 0.0,
        epochs: int = 30,
        lr: float = 1e-2,
        batch_size: int = 128,
        temperature: float = 0.05,
        random_state: int = 0,
    ) -> None:
        self.layer_norm = layer_norm
        self.dropout = dropout
        self.epochs = epochs
        self.lr = lr
        self.batch_size = batch_size
        self.temperature = temperature
        self.random_state = random_state

    def build(self, shape: tuple[int, ...]) -> LayerWeights:
        return LayerWeights(shape[0], layer_norm=self.layer_norm, dropout=self.dropout)

    @property
    def weights(self) -> Floats:
        """``[L]`` learned weights, which sum to 1."""
        module = self.fitted()
        assert isinstance(module, LayerWeights)
        weights: Floats = module.weights.numpy()
        return weights

    def importance(self, X: Floats) -> Floats:
        """``[L]`` share of each layer in what is summed: its weight times its vectors' mean length.

        Args:
            X: ``[N, L * D]`` vectors.
        """
        weights = self.weights
        lengths = np.linalg.norm(X.reshape(len(X), len(weights), -1), axis=2).mean(axis=0)
        share: Floats = (weights * lengths / (weights * lengths).sum()).astype(np.float32)
        return share
