"""Bias tuning: what learns, what stays bit for bit, and what it counts."""

import numpy as np
import pytest
import torch
from torch import nn

from plait import MeanPool, Transformer
from plait.encoders.tuning import TunedHost
from plait.training import InfoNCE, Schedule, bitfit, train
from plait.types import ModelError, RecipeError
from tests.tiny import SENTENCES


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 2, bias=False))


def learn(module: nn.Module, steps: int = 20) -> dict[str, torch.Tensor]:
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    x = torch.randn(16, 4)
    train(module, lambda epoch: [x], lambda batch: module(batch).square().mean(), schedule=Schedule(steps, lr=0.1))
    return before


def changed(module: nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, p in module.named_parameters() if not torch.equal(p, before[name])}


def test_biases_learn_and_weights_stay_bit_for_bit():
    module = net()
    found = bitfit(module)
    assert changed(module, learn(module)) == {"0.bias", "1.bias", "2.bias"}
    assert (found.trained, found.added) == (3 + 3 + 2, ("2.bias",))
    assert found.total == sum(p.numel() for p in module.parameters())


def test_added_biases_change_nothing_at_first():
    module, x = net(), torch.randn(5, 4)
    before = module(x)
    bitfit(module)
    assert torch.equal(module(x), before)


def test_without_adding():
    module = net()
    assert bitfit(module, add=False).trained == 6
    assert module[2].bias is None


def test_full_tuning_is_told_apart():
    module = net()
    assert "0.weight" in changed(module, learn(module))


def test_what_is_frozen_stays_frozen():
    module = net()
    module[0].requires_grad_(False)
    assert bitfit(module).trained == 5
    assert changed(module, learn(module)) == {"1.bias", "2.bias"}


def test_rows_of_a_table_learn_beside_the_biases():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Embedding(6, 3), nn.Linear(3, 2))
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    assert bitfit(module, rows={"0.weight": [1, 4]}).trained == 2 * 3 + 2
    ids = torch.arange(6)
    train(module, lambda epoch: [ids], lambda batch: module(batch).square().mean(), schedule=Schedule(10, lr=0.1))
    moved = (module[0].weight != before["0.weight"]).any(dim=1)
    assert moved.tolist() == [False, True, False, False, True, False]
    assert torch.equal(module[1].weight, before["1.weight"])


def test_a_tuned_host(tiny_bert, tmp_path):
    tuned = TunedHost(Transformer(str(tiny_bert)), MeanPool(), 1)
    bitfit(tuned)
    before = {name: value.clone() for name, value in tuned.model.state_dict().items()}
    texts, loss = tuned.read(SENTENCES), InfoNCE()
    near, far = np.array([0, 2, 4]), np.array([1, 3, 5])
    train(
        tuned,
        lambda epoch: [(near, far)],
        lambda batch: loss(*(tuned(texts.take(part)) for part in batch)),
        schedule=Schedule(5, lr=1e-2),
    )
    moved = {name for name, value in tuned.model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert all(name.endswith("bias") and name.startswith(("encoder.layer.1", "encoder.layer.2")) for name in moved)
    assert tuned.save(tmp_path / "tuned").exists()


def test_a_host_with_added_biases_cannot_be_saved(tiny_decoder, tmp_path):
    tuned = TunedHost(Transformer(str(tiny_decoder)), MeanPool(), 1)
    assert bitfit(tuned).added
    with pytest.raises(ModelError, match="no place for"):
        tuned.save(tmp_path / "tuned")


def test_nothing_to_learn():
    with pytest.raises(RecipeError, match="no bias that may learn"):
        bitfit(nn.Linear(2, 2, bias=False), add=False)
    with pytest.raises(RecipeError, match="table is no parameter"):
        bitfit(net(), rows={"table": [0]})
