"""A trained map of vectors."""

from __future__ import annotations

from torch import nn

from plait.training.learned import LearnedTransform


class LinearMap(LearnedTransform):
    """Vectors times a trained matrix, or through a small network: the plainest head on a frozen encoder.

    Args:
        width: numbers of the output; None keeps the input's.
        hidden: width of one hidden layer with a GELU; None maps straight.
        epochs: passes over the examples, at most; training stops early by held-out examples.
        lr: peak step of AdamW.
        batch_size: examples a step, and with it the in-batch negatives.
        temperature: of the contrastive loss, where examples are no classes.
        random_state: seed.

    Raises:
        RecipeError: when fitted without examples.

    Example:
        >>> import numpy as np
        >>> rows = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
        >>> LinearMap(4, epochs=2).fit(rows, ["up" if row[0] > 0 else "down" for row in rows]).transform(rows).shape
        (40, 4)
    """

    def __init__(
        self,
        width: int | None = None,
        hidden: int | None = None,
        epochs: int = 10,
        lr: float = 1e-3,
        batch_size: int = 128,
        temperature: float = 0.05,
        random_state: int = 0,
    ) -> None:
        self.width = width
        self.hidden = hidden
        self.epochs = epochs
        self.lr = lr
        self.batch_size = batch_size
        self.temperature = temperature
        self.random_state = random_state

    def build(self, shape: tuple[int, ...]) -> nn.Module:
        given = shape[0] * shape[1]
        width = self.width or given
        if self.hidden is None:
            return nn.Sequential(nn.Flatten(), nn.Linear(given, width))
        return nn.Sequential(nn.Flatten(), nn.Linear(given, self.hidden), nn.GELU(), nn.Linear(self.hidden, width))
