"""The maps of several image encoders, brought to one grid and fused into visual tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.types import ModelError, RecipeError


class ImageEncoder(Protocol):
    """What an image encoder says of itself.

    Attributes:
        image_size: height and width of the pictures it takes.
        out_channels: numbers in one cell of its map.
    """

    image_size: tuple[int, int]
    out_channels: int

    def __call__(self, images: Tensor) -> Tensor:
        """A map ``(batch, channels, height, width)``, or ``(batch, tokens, channels)``, a class token first or none."""


class ChannelConcat(nn.Module):
    """Several image encoders read as one.

    Each gets the picture at its own size; its map is resampled to the common grid; the maps are set side by side in
    every cell. However many encoders there are, a language model has to read ``h · w`` tokens.

    Args:
        encoders: modules with ``image_size`` and ``out_channels``, as in `ImageEncoder`. Their parameters are learned
            along unless they are frozen.
        grid: height and width of the common grid.
        mode: "channel" joins the numbers of each cell; "sequence" appends the tokens of one encoder to those of
            another, each mapped to the widest one's width, and needs K times as many.
        interpolation: how maps are resampled: "bilinear", as published, or "area", the mean of the cells that fall
            together, which leaves out none where a map is more than twice as fine as the grid.
        normalize: bring the map of each encoder to mean 0 and variance 1 first, over all cells of a picture, so that
            none drowns the others; off in the published code.

    Raises:
        RecipeError: without an encoder, for a grid without a cell, or for an unknown mode or interpolation.

    Source: Eagle: Exploring The Design Space for Multimodal LLMs with Mixture of Encoders, arXiv 2408.15998.

    Example:
        >>> def made(channels, stride):
        ...     encoder = nn.Conv2d(3, channels, stride, stride=stride)
        ...     encoder.image_size, encoder.out_channels = (16, 16), channels
        ...     return encoder
        >>> both = ChannelConcat([made(5, 4), made(7, 2)], grid=(4, 4))
        >>> both(torch.zeros(2, 3, 32, 32)).shape, both.width
        (torch.Size([2, 16, 12]), 12)
    """

    def __init__(
        self,
        encoders: Sequence[nn.Module],
        grid: tuple[int, int],
        mode: Literal["channel", "sequence"] = "channel",
        interpolation: Literal["bilinear", "area"] = "bilinear",
        normalize: bool = True,
    ) -> None:
        super().__init__()
        if not encoders or min(grid) < 1:
            raise RecipeError(f"there are {len(encoders)} encoders and the grid is {grid}; expected one cell or more")
        if mode not in ("channel", "sequence") or interpolation not in ("bilinear", "area"):
            raise RecipeError(
                f'mode is {mode!r} and interpolation {interpolation!r}; expected "channel" or "sequence", '
                'and "bilinear" or "area"'
            )
        self.encoders = nn.ModuleList(encoders)
        self.grid, self.mode, self.interpolation, self.normalize = grid, mode, interpolation, normalize
        widths = [_known(encoder).out_channels for encoder in encoders]
        self.width = sum(widths) if mode == "channel" else max(widths)
        narrow = [mode == "sequence" and width < self.width for width in widths]
        self.widen = nn.ModuleList(
            nn.Linear(width, self.width) if less else nn.Identity() for width, less in zip(widths, narrow, strict=True)
        )

    @property
    def tokens(self) -> int:
        """Visual tokens of a picture."""
        return self.grid[0] * self.grid[1] * (1 if self.mode == "channel" else len(self.encoders))

    def forward(self, images: Tensor) -> Tensor:
        """``(batch, channels, height, width)`` pictures to ``(batch, tokens, width)``."""
        return self.fuse(list(self.maps(images)))

    def maps(self, images: Tensor) -> Iterator[Tensor]:
        """``(batch, h · w, channels)`` of each encoder on the grid, unfused; of frozen encoders they can be kept."""
        for encoder in self.encoders:
            size = _known(encoder).image_size
            given = images if images.shape[2:] == size else _resampled(images, size, "bilinear")
            found = _as_map(encoder(given), _known(encoder))
            found = found if found.shape[2:] == self.grid else _resampled(found, self.grid, self.interpolation)
            yield found.flatten(2).transpose(1, 2)

    def fuse(self, maps: Sequence[Tensor]) -> Tensor:
        """``(batch, tokens, width)`` from what `maps` gave."""
        if self.normalize:
            # over the whole map: token by token, the noise of empty cells would become as loud as what is seen
            maps = [F.layer_norm(found, found.shape[1:]) for found in maps]
        if self.mode == "channel":
            return torch.cat(list(maps), dim=2)
        return torch.cat([widen(found) for widen, found in zip(self.widen, maps, strict=True)], dim=1)


class Projector(nn.Sequential):
    """Visual tokens to the width of a language model: two layers with a GELU between.

    Args:
        width: of a visual token.
        dim: of the language model.

    Example:
        >>> Projector(12, 8)(torch.zeros(2, 16, 12)).shape
        torch.Size([2, 16, 8])
    """

    def __init__(self, width: int, dim: int) -> None:
        super().__init__(nn.Linear(width, dim), nn.GELU(), nn.Linear(dim, dim))


def _known(encoder: nn.Module) -> ImageEncoder:
    for name in ("image_size", "out_channels"):
        if not hasattr(encoder, name):
            raise ModelError(f"{type(encoder).__name__} has no {name}; an image encoder says its image_size (height, "
                             "width) and out_channels")  # fmt: skip
    return cast(ImageEncoder, encoder)


def _resampled(values: Tensor, size: tuple[int, int], how: str) -> Tensor:
    """At another height and width, worked out in float32: half precision would lose cells."""
    corners = True if how == "bilinear" else None
    return F.interpolate(values.float(), size=size, mode=how, align_corners=corners).to(values.dtype)


def _as_map(output: Tensor, encoder: ImageEncoder) -> Tensor:
    """``(batch, channels, height, width)``; tokens are laid out as the picture is, without the class token."""
    if output.ndim == 4:
        return output
    count, (height, width) = output.shape[1], encoder.image_size
    for extra in (0, 1):
        rows = round(((count - extra) * height / width) ** 0.5)
        if rows and (count - extra) % rows == 0 and (count - extra) // rows * height == rows * width:
            grid: Tensor = output[:, extra:].transpose(1, 2).unflatten(2, (rows, (count - extra) // rows))
            return grid
    raise ModelError(
        f"{count} tokens, with or without a class token, make no grid of the shape of a {height} x {width} picture; "
        "give the encoder's map as (batch, channels, height, width)"
    )
