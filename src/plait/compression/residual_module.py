"""`ResidualBinariser`: a small network from a vector to a sum of sign vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ResidualBinariser(nn.Module):
    """Vectors to ``b_0 + b_1 / 2 + b_2 / 4 + …`` with vectors of signs b.

    Each further b is made from what a decoder of the sum so far misses of the vector.

    Args:
        dim: D, numbers in a vector.
        width: m, signs in each b.
        loops: u, how many b beyond the first.

    Source: Binary Embedding-based Retrieval at Tencent, arXiv 2302.08714.

    Example:
        >>> codes = ResidualBinariser(8, 16, loops=1).eval()(torch.ones(2, 8))
        >>> codes.shape, sorted(codes.abs().unique().tolist())
        (torch.Size([2, 16]), [0.5, 1.5])
    """

    def __init__(self, dim: int, width: int, loops: int) -> None:
        super().__init__()
        # the norm in front of a sign keeps its bits balanced
        self.encoders = nn.ModuleList(_Residual(dim, width) for _ in range(loops + 1))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width, affine=False) for _ in range(loops + 1))
        self.decoders = nn.ModuleList(_Residual(width, dim) for _ in range(loops))
        self.reader = nn.Linear(width, dim).requires_grad_(False)
        self._begin()

    @torch.no_grad()
    def _begin(self) -> None:
        """Start as a scalar quantiser: signs of a turned vector, then of what they miss, in the same directions."""
        rotation = nn.init.orthogonal_(torch.empty(self.reader.in_features, self.reader.out_features))
        for part in self.encoders:
            part.start(rotation)  # type: ignore[operator]
        for part in self.decoders:
            part.start(rotation.T)  # type: ignore[operator]

    def forward(self, vectors: Tensor) -> Tensor:
        """``(batch, dim)`` vectors, of any length, to ``(batch, width)`` sums of signs."""
        vectors = F.normalize(vectors, dim=-1)
        code = _sign(self.norms[0](self.encoders[0](vectors)))
        for loop, decoder in enumerate(self.decoders, start=1):
            missed = vectors - F.normalize(decoder(code), dim=-1)
            code = code + 0.5**loop * _sign(self.norms[loop](self.encoders[loop](missed)))
        return code

    @torch.no_grad()
    def fit_reader(self, codes: Tensor, vectors: Tensor) -> None:
        """Make ``reader`` the linear map from codes to vectors of length 1 that is closest, in closed form."""
        inputs = torch.cat([codes, torch.ones(len(codes), 1)], dim=1).double()
        target = F.normalize(vectors, dim=-1).double()
        square = inputs.T @ inputs
        ridge = 1e-3 * square.diagonal().mean() * torch.eye(len(square), dtype=torch.float64)
        solved = torch.linalg.solve(square + ridge, inputs.T @ target).float()
        self.reader.weight.copy_(solved[:-1].T)
        self.reader.bias.copy_(solved[-1])


class _Residual(nn.Module):
    """A linear map and one residual block."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, width)
        self.inner, self.norm = nn.Linear(width, width), nn.BatchNorm1d(width)

    def start(self, weight: Tensor) -> None:
        """Be this linear map and nothing more."""
        self.linear.weight.copy_(weight)
        self.linear.bias.zero_()
        self.norm.weight.zero_()

    def forward(self, values: Tensor) -> Tensor:
        values = self.linear(values)
        out: Tensor = values + F.relu(self.norm(self.inner(values)))
        return out


def _sign(values: Tensor) -> Tensor:
    """-1 or 1, with the gradient of the identity between them and none beyond, without which values would only grow."""
    soft = values.clamp(-1, 1)
    signs: Tensor = torch.where(values > 0, 1.0, -1.0) + (soft - soft.detach())
    return signs
