"""`InfoNCE`: the contrastive loss, on tensors."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class InfoNCE(nn.Module):
    """Cross-entropy of finding each query's positive among the positives of the batch and the hard negatives.

    Args:
        temperature: divides the cosine. 0.05 is the value that most published embedders share (a scale of 20).
        learned: train the temperature too, as its logarithm.
        symmetric: also find each positive's query, and average the two.
        in_batch: whether the other positives of the batch are negatives; off where they are often right as well,
            as with the classes of a classification.
        hardest: of the negatives that all queries share, only that many are counted, those most similar to a query;
            None counts all.
        cosine: compare by the cosine; off where vectors are searched by the dot product, such as sparse ones, whose
            length says something.

    Raises:
        ValueError: if ``in_batch`` is off and there is no hard negative to tell the positive from.

    Source: Representation Learning with Contrastive Predictive Coding, arXiv 1807.03748.

    Example:
        >>> loss, texts = InfoNCE(temperature=0.1), torch.eye(3)
        >>> bool(loss(texts, texts) < loss(texts, texts.roll(1, 0)))
        True
    """

    def __init__(
        self,
        temperature: float = 0.05,
        learned: bool = False,
        symmetric: bool = False,
        in_batch: bool = True,
        hardest: int | None = None,
        cosine: bool = True,
    ) -> None:
        super().__init__()
        self.symmetric, self.in_batch, self.hardest, self.cosine = symmetric, in_batch, hardest, cosine
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)), requires_grad=learned)

    def forward(
        self,
        queries: Tensor,
        positives: Tensor,
        negatives: Tensor | None = None,
        same: Tensor | None = None,
        shared: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """The mean loss.

        Args:
            queries: ``(batch, dim)``.
            positives: ``(batch, dim)``, row by row the queries' own.
            negatives: ``(batch, hard, dim)`` hard negatives of each query.
            same: ``(batch, batch)``, True where another row's positive is right as well and must not be pushed away.
            shared: ``(pool, dim)`` negatives of all queries, such as a queue of earlier positives, and
                ``(batch, pool)``, True where one of them is right for a query.
        """
        if negatives is None and shared is None and not self.in_batch:
            raise ValueError("without in-batch negatives each query needs hard negatives: give some, or in_batch=True")
        queries, positives = self._compared(queries), self._compared(positives)
        scale = torch.exp(-self.log_temperature)
        logits = scale * queries @ positives.T
        own = torch.eye(len(queries), dtype=torch.bool, device=logits.device)
        if not self.in_batch:
            logits = logits.masked_fill(~own, -torch.inf)
        elif same is not None:
            logits = logits.masked_fill(same & ~own, -torch.inf)
        target = torch.arange(len(queries), device=logits.device)
        backward = F.cross_entropy(logits.T, target) if self.symmetric else None
        if negatives is not None:
            hard = scale * torch.einsum("bd,bhd->bh", queries, self._compared(negatives))
            logits = torch.cat([logits, hard], dim=1)
        if shared is not None:
            logits = torch.cat([logits, scale * self._shared(queries, *shared)], dim=1)
        forward = F.cross_entropy(logits, target)
        return forward if backward is None else (forward + backward) / 2

    def _compared(self, vectors: Tensor) -> Tensor:
        return F.normalize(vectors, dim=-1) if self.cosine else vectors

    def _shared(self, queries: Tensor, pool: Tensor, right: Tensor) -> Tensor:
        cosines = (queries @ self._compared(pool).T).masked_fill(right, -torch.inf)
        if self.hardest is None or self.hardest >= len(pool):
            return cosines
        return cosines.topk(self.hardest, dim=1).values
