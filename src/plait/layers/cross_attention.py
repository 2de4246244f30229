"""Cross-attention between vectors and trained latents, read either way round."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.types import RecipeError

DIRECTIONS = ("latent_query", "token_query")


class CrossAttention(nn.Module):
    """Pool vectors through trained latents: attention, residual, gated feed-forward, residual, mean.

    With ``direction="latent_query"`` the latents ask and the vectors answer; the mean runs over latents. With
    ``"token_query"`` the vectors ask a dictionary of latents; the mean runs over the real vectors.

    Args:
        dim: of a vector.
        latents: how many.
        heads: of the attention.
        head_dim: of one head.
        direction: who asks.
        expansion: width of the feed-forward part, in dims.
        residual: add what came in, after attention and after the feed-forward part.

    Source: NV-Embed, arXiv 2405.17428 (token_query); Pooling And Attention: What Are Effective Designs For LLM-Based
    Embedding Models?, arXiv 2409.02727 (latent_query).

    Example:
        >>> CrossAttention(8, latents=4, heads=2, head_dim=4)(torch.ones(3, 5, 8)).shape
        torch.Size([3, 8])
    """

    def __init__(
        self,
        dim: int,
        latents: int = 32,
        heads: int = 4,
        head_dim: int = 64,
        direction: str = "latent_query",
        expansion: int = 4,
        residual: bool = True,
    ) -> None:
        super().__init__()
        if direction not in DIRECTIONS:
            raise RecipeError(f"direction is {direction!r}; expected one of {', '.join(DIRECTIONS)}")
        self.heads, self.direction, self.residual = heads, direction, residual
        self.latents = nn.Parameter(torch.randn(latents, dim))
        self.norm_queries, self.norm_keys = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.to_queries = nn.Linear(dim, heads * head_dim, bias=False)
        self.to_keys_values = nn.Linear(dim, 2 * heads * head_dim, bias=False)
        self.to_out = nn.Linear(heads * head_dim, dim, bias=False)
        self.norm_feed = nn.LayerNorm(dim)
        self.feed_in, self.feed_out = nn.Linear(dim, 2 * expansion * dim), nn.Linear(expansion * dim, dim)

    def forward(self, vectors: Tensor, mask: Tensor | None = None, pool: Tensor | None = None) -> Tensor:
        """Pool ``(batch, length, dim)`` to ``(batch, dim)``.

        Args:
            vectors: what to pool.
            mask: ``(batch, length)``, True = real; None: all are.
            pool: ``(batch, length)``, True = in the mean, where that is fewer than are real ("token_query" only).
        """
        real = torch.ones(vectors.shape[:2], dtype=torch.bool, device=vectors.device) if mask is None else mask
        latents = self.latents[None]
        if self.direction == "latent_query":
            out, inner = self._attend(latents, vectors, real[:, None, None, :], len(vectors))
            share = out.new_full((*out.shape[:2], 1), 1 / out.shape[1])
        else:
            out, inner = self._attend(vectors, latents, None, len(vectors))
            chosen = (real if pool is None else real & pool).to(out.dtype)[..., None]
            share = chosen / chosen.sum(dim=1, keepdim=True).clamp(min=1)
        # the last map is linear, so it may follow the mean: it runs once an item instead of once a latent or token
        fed = F.linear((inner * share).sum(dim=1), self.feed_out.weight) + self.feed_out.bias * share.sum(dim=1)
        final: Tensor = (out * share).sum(dim=1) + fed if self.residual else fed
        return final

    def _attend(self, queries: Tensor, keys: Tensor, mask: Tensor | None, batch: int) -> tuple[Tensor, Tensor]:
        """What attention gives, and what the last map of the feed-forward part reads; latents are the same for all."""
        asked = self._heads(self.to_queries(self.norm_queries(queries))).expand(batch, -1, -1, -1)
        parts = self.to_keys_values(self.norm_keys(keys)).chunk(2, dim=-1)
        key, value = (self._heads(part).expand(batch, -1, -1, -1) for part in parts)
        found = F.scaled_dot_product_attention(asked, key, value, attn_mask=mask)
        out = self.to_out(found.transpose(1, 2).flatten(2))
        out = out + queries if self.residual else out
        gate, up = self.feed_in(self.norm_feed(out)).chunk(2, dim=-1)
        return out, F.gelu(gate) * up

    def _heads(self, x: Tensor) -> Tensor:
        split: Tensor = x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return split
