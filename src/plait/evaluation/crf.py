"""A linear-chain conditional random field."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Crf(nn.Module):
    """Scores of tag sequences: emissions plus transitions, with the exact sum and maximum over all paths.

    Masked positions are skipped, so that padding at the end changes nothing; the first position is never masked.

    Args:
        classes: C, number of tags.

    Source: Conditional Random Fields: Probabilistic Models for Segmenting and Labeling Sequence Data, ICML 2001.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.zeros(classes))
        self.end = nn.Parameter(torch.zeros(classes))
        self.transitions = nn.Parameter(torch.zeros(classes, classes))

    def forward(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Negative log-likelihood of each sequence.

        Args:
            emissions: ``[B, T, C]``.
            tags: ``[B, T]`` numbers below C; anything where masked.
            mask: ``[B, T]`` true where there is a word.

        Returns:
            ``[B]``.
        """
        return self.partition(emissions, mask) - self.path_score(emissions, tags, mask)

    def path_score(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """``[B]`` score of the given paths."""
        tags = tags.masked_fill(~mask, 0)
        emitted = (emissions.gather(2, tags[:, :, None])[:, :, 0] * mask).sum(1)
        moved = (self.transitions[tags[:, :-1], tags[:, 1:]] * mask[:, 1:]).sum(1)
        last = tags.gather(1, mask.sum(1, keepdim=True) - 1)[:, 0]
        return self.start[tags[:, 0]] + emitted + moved + self.end[last]

    def partition(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """``[B]`` log of the sum over all paths of exp(score)."""
        alpha = self.start + emissions[:, 0]
        for step in range(1, emissions.shape[1]):
            following = (alpha[:, :, None] + self.transitions).logsumexp(1) + emissions[:, step]
            alpha = torch.where(mask[:, step, None], following, alpha)
        return (alpha + self.end).logsumexp(1)

    def viterbi(self, emissions: Tensor, mask: Tensor) -> list[list[int]]:
        """The best path of each sequence, as long as the sequence is."""
        alpha = self.start + emissions[:, 0]
        stay = torch.arange(emissions.shape[2], device=emissions.device).expand_as(alpha)
        origins = []
        for step in range(1, emissions.shape[1]):
            best, origin = (alpha[:, :, None] + self.transitions).max(1)
            inside = mask[:, step, None]
            alpha = torch.where(inside, best + emissions[:, step], alpha)
            origins.append(torch.where(inside, origin, stay))
        paths = [(alpha + self.end).argmax(1)]
        for origin in reversed(origins):
            paths.append(origin.gather(1, paths[-1][:, None])[:, 0])
        joined = torch.stack(paths[::-1], dim=1).tolist()
        return [path[:length] for path, length in zip(joined, mask.sum(1).tolist(), strict=True)]
