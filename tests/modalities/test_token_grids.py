"""Maps of several encoders on one grid: against resampling and normalising written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import zoom
from torch import Tensor, nn

from plait.modalities import ChannelConcat, Projector
from plait.types import ModelError, RecipeError


class Encoder(nn.Module):
    """A convolution whose map is given as a map, or as tokens with or without a class token."""

    def __init__(self, channels: int, stride: int, size: tuple[int, int] = (8, 16), form: str = "map") -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, channels, stride, stride=stride)
        self.image_size, self.out_channels, self.form = size, channels, form
        self.seen: list[tuple[int, ...]] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(tuple(images.shape))
        found = self.convolution(images)
        if self.form == "map":
            return found
        tokens = found.flatten(2).transpose(1, 2)
        return torch.cat([torch.full_like(tokens[:, :1], 9.0), tokens], dim=1) if self.form == "class" else tokens


IMAGES = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 1, 8, 16)).astype(np.float32))


@pytest.mark.parametrize("form", ["map", "tokens", "class"])
@pytest.mark.parametrize("mode", ["channel", "sequence"])
def test_cells_stand_where_the_picture_has_them(form: str, mode: str) -> None:
    encoders = [Encoder(2, 4, form=form), Encoder(2, 4)]
    fused = ChannelConcat(encoders, (2, 4), mode, normalize=False)  # type: ignore[arg-type]
    out = fused(IMAGES)
    assert out.shape == (3, fused.tokens, fused.width)
    for place, encoder in enumerate(encoders):
        expected = encoder.convolution(IMAGES)
        for row in range(2):
            for column in range(4):
                cell = row * 4 + column
                found = out[:, cell, 2 * place : 2 * place + 2] if mode == "channel" else out[:, 8 * place + cell]
                torch.testing.assert_close(found, expected[:, :, row, column])


def test_tokens_and_widths_of_both_ways() -> None:
    encoders = [Encoder(2, 4), Encoder(5, 2)]
    channel, sequence = (ChannelConcat(encoders, (2, 4), mode) for mode in ("channel", "sequence"))  # type: ignore[arg-type]
    assert (channel.tokens, channel.width) == (8, 7)
    assert (sequence.tokens, sequence.width) == (16, 5)
    assert sequence(IMAGES).shape == (3, 16, 5)
    assert [type(widen) for widen in sequence.widen] == [nn.Linear, nn.Identity]


def test_each_encoder_gets_the_picture_at_its_size() -> None:
    encoders = [Encoder(2, 4, (16, 32)), Encoder(2, 4)]
    out = ChannelConcat(encoders, (2, 4), normalize=False)(IMAGES)
    assert [encoder.seen for encoder in encoders] == [[(3, 1, 16, 32)], [(3, 1, 8, 16)]]
    assert out.shape == (3, 8, 4)


def test_bilinear_resampling_keeps_the_corners() -> None:
    encoder = Encoder(1, 1, (8, 16))
    out = ChannelConcat([encoder], (3, 5), normalize=False)(IMAGES).detach().numpy().reshape(3, 3, 5)
    maps = encoder.convolution(IMAGES).detach().numpy()[:, 0]
    expected = np.stack([zoom(one, (3 / 8, 5 / 16), order=1, grid_mode=False) for one in maps])
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_area_resampling_is_the_mean_of_the_cells() -> None:
    encoder = Encoder(1, 1, (8, 16))
    out = ChannelConcat([encoder], (2, 4), interpolation="area", normalize=False)(IMAGES).detach().numpy()
    maps = encoder.convolution(IMAGES).detach().numpy().reshape(3, 2, 4, 4, 4)
    np.testing.assert_allclose(out[:, :, 0], maps.mean(axis=(2, 4)).reshape(3, 8), atol=1e-6)


def test_normalising_takes_scale_and_level_off_each_encoder() -> None:
    encoders = [Encoder(4, 4), Encoder(6, 4)]
    before = ChannelConcat(encoders, (2, 4))(IMAGES).detach().numpy()
    with torch.no_grad():
        encoders[0].convolution.weight *= 1000
        encoders[0].convolution.bias *= 1000
    np.testing.assert_allclose(ChannelConcat(encoders, (2, 4))(IMAGES).detach().numpy(), before, atol=0.02)
    for part in (before[..., :4], before[..., 4:]):
        np.testing.assert_allclose(part.mean(axis=(1, 2)), 0, atol=1e-5)
        np.testing.assert_allclose(part.std(axis=(1, 2)), 1, atol=0.02)


@settings(max_examples=25, deadline=None)
@given(
    grid=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    strides=st.lists(st.sampled_from([1, 2, 4]), min_size=1, max_size=3),
    batch=st.integers(0, 3),
)
def test_any_grid_has_its_tokens(grid: tuple[int, int], strides: list[int], batch: int) -> None:
    fused = ChannelConcat([Encoder(2, stride) for stride in strides], grid)
    out = fused(IMAGES[:batch]) if batch else fused(IMAGES)[:0]
    assert out.shape == (batch, grid[0] * grid[1], 2 * len(strides))
    assert bool(torch.isfinite(out).all())


def test_half_precision_is_resampled_in_full() -> None:
    whole = ChannelConcat([Encoder(2, 1)], (3, 5), normalize=False)
    with torch.no_grad():
        expected = whole(IMAGES)
        out = whole.half()(IMAGES.half())
    assert out.dtype == torch.float16
    torch.testing.assert_close(out.float(), expected, atol=5e-3, rtol=5e-3)


def test_gradients_reach_every_encoder_and_stop_at_frozen_ones() -> None:
    encoders = [Encoder(2, 4), Encoder(3, 4)]
    encoders[1].requires_grad_(False)
    Projector(5, 4)(ChannelConcat(encoders, (2, 4))(IMAGES)).square().sum().backward()
    assert encoders[0].convolution.weight.grad is not None
    assert encoders[1].convolution.weight.grad is None


@pytest.mark.parametrize(
    ("encoders", "grid", "options"),
    [
        ([], (2, 2), {}),
        ([Encoder(2, 4)], (0, 2), {}),
        ([Encoder(2, 4)], (2, 2), {"mode": "sum"}),
        ([Encoder(2, 4)], (2, 2), {"interpolation": "cubic"}),
    ],
)
def test_what_cannot_be_fused_is_refused(encoders: list[nn.Module], grid: tuple[int, int], options: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises(RecipeError, match="expected"):
        ChannelConcat(encoders, grid, **options)


def test_an_encoder_that_does_not_say_its_size_is_refused() -> None:
    with pytest.raises(ModelError, match="Conv2d has no image_size"):
        ChannelConcat([nn.Conv2d(1, 2, 4)], (2, 2))


def test_tokens_that_make_no_grid_are_refused() -> None:
    with pytest.raises(ModelError, match="make no grid"):
        ChannelConcat([Encoder(2, 3, (8, 16), "tokens")], (2, 4))(IMAGES)
