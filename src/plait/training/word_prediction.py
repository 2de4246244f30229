"""`DefinitionLoss`: a definition's vector has to predict the word that it defines."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DefinitionLoss(nn.Module):
    """Cross-entropy of the defined word among the words of a frozen output table.

    The pooled vector of a definition goes through the host's own word-prediction head, which stays as pre-training left
    it: so the vector comes to lie where the model keeps the word. Words that are several tokens have no row of their
    own and are to be dropped, not cut to their first token.

    Args:
        table: ``(words, dim)`` output rows of the words to choose from; of a model with tied embeddings, its embedding
            table, or the rows of some words. They do not learn.
        bias: ``(words,)`` of the head; None for a head without one.
        transform: what the head does before the table, e.g. the dense layer and norm of a masked language model; it
            does not learn either, but gradients pass through it.
        temperature: divides the logits; 1 as the head was trained.

    Raises:
        ValueError: if table and bias do not fit.

    Source: DefSent: Sentence Embeddings using Definition Sentences, arXiv 2105.04339; Comparison and Combination of
    Sentence Embeddings Derived from Different Supervision Signals, arXiv 2202.02990.

    Example:
        >>> loss = DefinitionLoss(torch.eye(3), temperature=0.1)
        >>> definitions, words = torch.eye(3)[[2, 0]], torch.tensor([2, 0])
        >>> bool(loss(definitions, words) < loss(definitions, words.flip(0)))
        True
    """

    def __init__(
        self, table: Tensor, bias: Tensor | None = None, transform: nn.Module | None = None, temperature: float = 1.0
    ) -> None:
        super().__init__()
        if table.ndim != 2 or (bias is not None and bias.shape != table.shape[:1]):
            raise ValueError(
                f"table has shape {list(table.shape)} and bias {None if bias is None else list(bias.shape)}; "
                "expected (words, dim) and (words,)"
            )
        self.table: Tensor
        self.bias: Tensor | None
        self.register_buffer("table", table.detach().clone())
        self.register_buffer("bias", None if bias is None else bias.detach().clone())
        self.transform = None if transform is None else transform.requires_grad_(False)
        self.temperature = temperature

    def logits(self, vectors: Tensor) -> Tensor:
        """``(batch, words)`` logits of pooled vectors ``(batch, dim)``."""
        hidden = vectors if self.transform is None else self.transform(vectors)
        return F.linear(hidden, self.table, self.bias) / self.temperature

    def forward(self, definitions: Tensor, words: Tensor) -> Tensor:
        """The mean loss.

        Args:
            definitions: ``(batch, dim)`` pooled vectors of definitions.
            words: ``(batch,)`` rows of the table: the words defined.
        """
        return F.cross_entropy(self.logits(definitions), words)

    def accuracy(self, definitions: Tensor, words: Tensor) -> float:
        """Share of definitions whose word comes out on top."""
        with torch.no_grad():
            return float((self.logits(definitions).argmax(dim=1) == words).float().mean())
