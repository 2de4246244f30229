"""Pre-alignment: the encoder learns, the language model stays."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from plait.modalities import ChannelConcat, pre_align
from plait.modalities.pre_alignment import frozen
from plait.training import Schedule
from plait.types import DataError

PICTURES = torch.rand(32, 1, 4, 8, generator=torch.Generator().manual_seed(0))
WANTED = PICTURES.mean(dim=(1, 2, 3))


def parts() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    encoder = nn.Conv2d(1, 3, 2, stride=2)
    encoder.image_size, encoder.out_channels = (4, 8), 3  # type: ignore[assignment]
    return encoder, nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5), nn.Linear(6, 1))


def aligned(seed: int = 0) -> tuple[nn.Module, nn.Module, list[float], list[bool]]:
    encoder, reader = parts()
    modes: list[bool] = []

    def loss(see: nn.Module, rows: Tensor) -> Tensor:
        modes.append(reader.training)
        tokens = see(PICTURES[rows])
        assert tokens.shape == (len(rows), 8, 6)
        return ((reader(tokens).mean(dim=(1, 2)) - WANTED[rows]) ** 2).mean()

    torch.seed()
    schedule = Schedule(epochs=10, lr=0.01, seed=seed)
    history = pre_align(ChannelConcat([encoder], (2, 4)), reader, loss, 32, dim=6, batch_size=8, schedule=schedule)
    return encoder, reader, history.losses, modes


def test_only_the_encoder_moves() -> None:
    encoder, reader, losses, modes = aligned()
    first, same = parts()
    assert losses[-1] < 0.5 * losses[0]
    assert not torch.equal(encoder.weight, first.weight)
    assert all(torch.equal(a, b) for a, b in zip(reader.parameters(), same.parameters(), strict=True))
    assert all(parameter.requires_grad and parameter.grad is None for parameter in reader.parameters())
    assert not any(modes)
    assert reader.training


def test_same_seed_same_encoder_and_another_order_for_another() -> None:
    one, again, other = (aligned(seed)[0].weight.detach() for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_frozen_leaves_what_was_frozen_before() -> None:
    _, reader = parts()
    reader[0].weight.requires_grad_(False)
    with pytest.raises(RuntimeError, match="inside"), frozen(reader):
        assert not any(parameter.requires_grad for parameter in reader.parameters())
        raise RuntimeError("inside")
    assert [parameter.requires_grad for parameter in reader.parameters()] == [False, True, True, True]


def test_no_example_is_refused() -> None:
    encoder, reader = parts()
    with pytest.raises(DataError, match="at least one"):
        pre_align(ChannelConcat([encoder], (2, 4)), reader, lambda see, rows: torch.zeros(()), 0, dim=6)
