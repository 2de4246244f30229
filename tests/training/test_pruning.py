"""Gradual pruning against its cubic schedule."""

import pytest
import torch
from torch import nn

from plait.training import GradualPruning
from plait.types import RecipeError


def test_follows_the_schedule_and_takes_the_smallest() -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(20, 10), nn.Linear(10, 30)]
    before = torch.cat([layer.weight.detach().abs().flatten() for layer in layers])
    pruning = GradualPruning(layers, final=0.8, begin=0.1, end=0.7)
    for done in (0.05, 0.1, 0.3, 0.5, 0.7, 1.0):
        pruning.step(done)
        t = min(1.0, max(0.0, (done - 0.1) / 0.6))
        wanted = 0.8 * (1 - (1 - t) ** 3)
        zero = torch.cat([(layer.weight == 0).flatten() for layer in layers])
        assert zero.float().mean().item() == pytest.approx(wanted, abs=1 / len(zero))
        if zero.any():
            assert before[zero].max() <= before[~zero].min()


def test_pruned_weights_stay_zero_while_others_learn() -> None:
    layer = nn.Linear(8, 8)
    pruning = GradualPruning([layer], final=0.5, begin=0.0, end=1.0)
    pruning.step(1.0)
    zero = layer.weight == 0
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.1)
    layer(torch.ones(1, 8)).square().sum().backward()
    optimiser.step()
    layer(torch.ones(1, 8))
    assert ((layer.weight == 0) == zero).all()


@pytest.mark.parametrize("settings", [{"final": 0.0}, {"final": 1.0}, {"final": 0.5, "begin": 0.7, "end": 0.1}])
def test_wrong_shares(settings: dict[str, float]) -> None:
    with pytest.raises(RecipeError, match="expected"):
        GradualPruning([nn.Linear(2, 2)], **settings)
