"""Rows of digits among clutter, small image encoders that learned other things, and a small decoder that reads them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from _images import digits
from numpy.typing import NDArray
from scipy.ndimage import zoom
from torch import Tensor, nn
from torch.nn import functional as F

from plait.modalities.token_grids import ChannelConcat, Projector
from plait.training import Schedule, train

HEIGHT, WIDTH, SIDE, SLOT = 32, 64, 20, 21
GRID = (2, 8)
DIM, CHANNELS = 64, 24
END, START, LONGEST = 10, 11, 3
SIZES = {"train": 6000, "dev": 500, "test": 1000}
BOUNDS = {"train": (3000, 10000), "dev": (2000, 3000), "test": (0, 2000)}
"""Which of the MNIST test digits each part is put together from: no digit stands in two parts."""
FRAGMENTS, FAINT = 6, 0.4

Doubles = NDArray[np.float32]


class Scenes(NamedTuple):
    """Pictures and the digits in them, left to right.

    Attributes:
        images: ``(batch, 1, height, width)``.
        text: ``(batch, 4)`` digits, then END to the end.
    """

    images: Tensor
    text: Tensor


class Drawer:
    """Puts pictures together from one part of the digits."""

    def __init__(self, data: Path, part: str) -> None:
        start, stop = BOUNDS[part]
        images, labels = digits(data)
        factor = SIDE / images.shape[1]
        self.small = np.clip(zoom(images[start:stop], (1, factor, factor), order=1), 0, 1)
        self.labels = labels[start:stop]

    def row(self, rng: np.random.Generator, count: int, width: int) -> tuple[Doubles, list[int]]:
        """A picture of that many digits side by side, at random heights and distances, over fragments of others."""
        canvas = np.zeros((HEIGHT, width), np.float32)
        for _ in range(FRAGMENTS * width // WIDTH):
            piece = self.small[rng.integers(len(self.small))][6:13, 6:13]
            y, x = rng.integers(HEIGHT - 6), rng.integers(width - 6)
            canvas[y : y + 7, x : x + 7] = np.maximum(canvas[y : y + 7, x : x + 7], FAINT * piece)
        chosen = rng.integers(len(self.small), size=count)
        for place, number in enumerate(chosen):
            y, x = rng.integers(HEIGHT - SIDE + 1), SLOT * place + rng.integers(SLOT - SIDE + 1)
            window = canvas[y : y + SIDE, x : x + SIDE]
            np.maximum(window, self.small[number], out=window)
        return canvas, self.labels[chosen].tolist()

    def scenes(self, count: int, seed: int) -> Scenes:
        rng = np.random.default_rng(seed)
        rows = [self.row(rng, int(rng.integers(2, LONGEST + 1)), WIDTH) for _ in range(count)]
        text = np.full((count, LONGEST + 1), END, np.int64)
        for place, (_, read) in enumerate(rows):
            text[place, : len(read)] = read
        return Scenes(torch.from_numpy(np.stack([image for image, _ in rows]))[:, None], torch.from_numpy(text))

    def single(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Square pictures of one digit, and which it is."""
        rng = np.random.default_rng(seed)
        rows = [self.row(rng, 1, HEIGHT) for _ in range(count)]
        images = torch.from_numpy(np.stack([image for image, _ in rows]))[:, None]
        return images, torch.tensor([read[0] for _, read in rows])


class Encoder(nn.Module):
    """Convolutions with a map of 24 channels, at one size of picture.

    Args:
        size: height and width of the pictures it takes.
        strides: of its convolutions.
    """

    def __init__(self, size: tuple[int, int], strides: Sequence[int]) -> None:
        super().__init__()
        widths = [1, *(16 * 2**n for n in range(len(strides)))]
        pairs = zip(widths[:-1], widths[1:], strides, strict=True)
        layers = [
            layer for a, b, step in pairs for layer in (nn.Conv2d(a, b, 5, step, 2), nn.BatchNorm2d(b), nn.ReLU())
        ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], CHANNELS, 3, padding=1))
        self.image_size, self.out_channels = size, CHANNELS

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.layers(images)
        return found


def _learn(encoder: nn.Module, head: nn.Module, loss: Callable[[Tensor], Tensor], count: int, seed: int) -> nn.Module:
    def batches(epoch: int) -> Sequence[Tensor]:
        return torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(count)).split(64)

    train(nn.ModuleList([encoder, head]), batches, loss, schedule=Schedule(epochs=4, lr=6e-3, seed=seed))
    return encoder


def digit_encoder(drawer: Drawer, seed: int) -> nn.Module:
    """Learned to name a digit, at half the resolution."""
    torch.manual_seed(seed)
    encoder, head = Encoder((HEIGHT // 2, WIDTH // 2), (2, 2)), nn.Linear(CHANNELS, 10)
    images, labels = drawer.single(6000, seed)
    small = F.avg_pool2d(images, 2)
    return _learn(
        encoder,
        head,
        lambda rows: F.cross_entropy(head(encoder(small[rows]).amax(dim=(2, 3))), labels[rows]),
        6000,
        seed,
    )


def turn_encoder(drawer: Drawer, seed: int) -> nn.Module:
    """Learned to tell by how many quarters a digit was turned, at full resolution."""
    torch.manual_seed(seed)
    encoder, head = Encoder((HEIGHT, WIDTH), (2, 2)), nn.Linear(CHANNELS, 4)
    images, _ = drawer.single(4000, seed)
    turns = torch.from_numpy(np.random.default_rng(seed).integers(4, size=4000))
    turned = torch.stack([torch.rot90(image, int(turn), (1, 2)) for image, turn in zip(images, turns, strict=True)])
    return _learn(
        encoder,
        head,
        lambda rows: F.cross_entropy(head(encoder(turned[rows]).amax(dim=(2, 3))), turns[rows]),
        4000,
        seed,
    )


def copy_encoder(drawer: Drawer, seed: int) -> nn.Module:
    """Learned to give the picture back from its map, at full resolution."""
    torch.manual_seed(seed)
    encoder = Encoder((HEIGHT, WIDTH), (2, 2, 2))
    head = nn.Sequential(nn.ConvTranspose2d(CHANNELS, 32, 4, 4), nn.ReLU(), nn.ConvTranspose2d(32, 1, 2, 2))
    images = drawer.scenes(3000, seed).images
    return _learn(encoder, head, lambda rows: F.mse_loss(head(encoder(images[rows])), images[rows]), 3000, seed)


class Reader(nn.Module):
    """A causal decoder: visual tokens first, then the digits one by one."""

    def __init__(self, visual: int) -> None:
        super().__init__()
        self.words = nn.Embedding(12, DIM)
        self.places = nn.Parameter(0.02 * torch.randn(visual + LONGEST + 1, DIM))
        layer = nn.TransformerEncoderLayer(DIM, 4, 2 * DIM, 0.0, F.gelu, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, nn.LayerNorm(DIM), enable_nested_tensor=False)
        self.head = nn.Linear(DIM, END + 1)

    def forward(self, visual: Tensor, text: Tensor) -> Tensor:
        """``(batch, length, 11)`` scores of the next sign after each of ``text``."""
        given = torch.cat([visual, self.words(text)], dim=1)
        given = given + self.places[: given.shape[1]]
        mask = nn.Transformer.generate_square_subsequent_mask(given.shape[1])
        scores: Tensor = self.head(self.layers(given, mask=mask, is_causal=True)[:, visual.shape[1] :])
        return scores

    def loss(self, visual: Tensor, text: Tensor) -> Tensor:
        shifted = torch.cat([torch.full_like(text[:, :1], START), text[:, :-1]], dim=1)
        return F.cross_entropy(self(visual, shifted).flatten(0, 1), text.flatten())

    def read(self, visual: Tensor) -> Tensor:
        """``(batch, 4)`` most likely signs, one after the other."""
        text = torch.full((len(visual), 1), START)
        for _ in range(LONGEST + 1):
            text = torch.cat([text, self(visual, text)[:, -1:].argmax(dim=2)], dim=1)
        return text[:, 1:]


def on_grid(encoders: Sequence[nn.Module], mode: str = "channel") -> ChannelConcat:
    """Encoders on the grid; means of cells, since the finest map is four times as fine."""
    return ChannelConcat(encoders, GRID, mode, "area")  # type: ignore[arg-type]


class Model(nn.Module):
    """Encoders, a new projector, and the decoder."""

    def __init__(self, encoders: Sequence[nn.Module], mode: str = "channel", reader: Reader | None = None) -> None:
        super().__init__()
        self.eyes = on_grid(encoders, mode)
        self.projector = Projector(self.eyes.width, DIM)
        self.reader = copy.deepcopy(reader) if reader else Reader(self.eyes.tokens)

    def see(self, maps: Sequence[Tensor]) -> Tensor:
        tokens: Tensor = self.projector(self.eyes.fuse(maps))
        return tokens

    def right(self, maps: Sequence[Tensor], text: Tensor) -> NDArray[np.bool_]:
        """``[N]`` whether all digits were read."""
        with torch.no_grad():
            read = [self.reader.read(self.see(part)) for part in zip(*(one.split(250) for one in maps), strict=True)]
        found = torch.cat(read)
        # what is written after the end does not count
        ended = torch.cat([torch.zeros(len(found), 1), (found == END).cumsum(dim=1)[:, :-1]], dim=1) > 0
        return np.asarray((found.masked_fill(ended, END) == text).all(dim=1))


def kept_maps(encoder: nn.Module, images: Tensor) -> Tensor:
    """Maps of a frozen encoder on the grid."""
    with torch.no_grad():
        return torch.cat([next(on_grid([encoder]).maps(part)) for part in images.split(250)])


def rows_of(count: int, seed: int, size: int) -> Callable[[int], Iterator[Tensor]]:
    def batches(epoch: int) -> Iterator[Tensor]:
        yield from torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(count)).split(size)

    return batches
