"""Quantisers as torch modules: rows in, the same bytes out."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn

from plait.compression.int8 import Int8
from plait.compression.product_quantizer import ProductQuantizer
from plait.compression.residual_binary import ResidualBinary
from plait.rows import learned


class Signs(nn.Module):
    """One bit a number, the first in the highest place of its byte."""

    places: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.padding = -width % 8
        self.register_buffer("places", 2 ** torch.arange(7, -1, -1))

    def forward(self, rows: Tensor) -> Tensor:
        """``(batch, dim)`` to ``(batch, ceil(dim / 8))`` uint8."""
        bits = nn.functional.pad((rows > 0).long(), (0, self.padding)).unflatten(1, (-1, 8))
        packed: Tensor = (bits * self.places).sum(dim=2).to(torch.uint8)
        return packed


class Steps256(nn.Module):
    """One byte a number."""

    low: Tensor
    size: Tensor
    varies: Tensor

    def __init__(self, step: Int8) -> None:
        super().__init__()
        low, size = learned(step, "low_"), learned(step, "step_")
        self.register_buffer("low", torch.from_numpy(np.asarray(low, np.float32)))
        self.register_buffer("size", torch.from_numpy(np.where(size > 0, size, 1).astype(np.float32)))
        self.register_buffer("varies", torch.from_numpy(size > 0))

    def forward(self, rows: Tensor) -> Tensor:
        """``(batch, dim)`` to the same, int8."""
        steps = ((rows - self.low) / self.size).round().clamp(0, 255)
        return (torch.where(self.varies, steps, 0.0) - 128).to(torch.int8)


class Centroids(nn.Module):
    """Each group of numbers as the number of its nearest centroid."""

    turn: Tensor
    books: Tensor
    halves: Tensor
    places: Tensor

    def __init__(self, step: ProductQuantizer) -> None:
        super().__init__()
        books = torch.from_numpy(np.array(learned(step, "codebooks_"), np.float32))
        self.missing, self.dims, self.bits = -step.fitted_width % step.dims, step.dims, step.bits
        turn = np.asarray(vars(step).get("rotation_", np.zeros((0, 0))), np.float32)
        self.register_buffer("turn", torch.from_numpy(turn.copy()))
        self.register_buffer("books", books)
        self.register_buffer("halves", (books.double() ** 2).sum(dim=2).float() / 2)
        self.register_buffer("places", 2 ** torch.arange(step.bits - 1, -1, -1))
        self.pack = Signs(len(books) * step.bits)

    def forward(self, rows: Tensor) -> Tensor:
        """``(batch, dim)`` to ``(batch, ceil(dim / dims * bits / 8))`` uint8."""
        rows = nn.functional.pad(rows, (0, self.missing))
        if self.turn.numel():
            rows = rows @ self.turn
        groups = rows.unflatten(1, (-1, self.dims))
        numbers = (torch.einsum("npd,pkd->npk", groups, self.books) - self.halves).argmax(dim=2)
        if self.bits == 8:
            return numbers.to(torch.uint8)
        packed: Tensor = self.pack((numbers[:, :, None] // self.places % 2).flatten(1))
        return packed


class Planes(nn.Module):
    """Sums of sign vectors, a plane of bits for each of them."""

    def __init__(self, step: ResidualBinary) -> None:
        super().__init__()
        self.inner, self.planes = copy.deepcopy(step.fitted()).eval(), step.loops + 1
        self.pack = Signs(step.width or step.fitted_width)

    def forward(self, rows: Tensor) -> Tensor:
        """``(batch, dim)`` to ``(batch, planes * ceil(width / 8))`` uint8."""
        most = 2**self.planes - 1
        numbers = (torch.round(self.inner(rows) * 2 ** (self.planes - 1)).long() + most) // 2
        return torch.cat([self.pack(numbers // 2**plane % 2) for plane in reversed(range(self.planes))], dim=1)
