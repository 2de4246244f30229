"""Low-rank changes: they start at nothing, have the rank they say, and fold into the weights."""

import numpy as np
import pytest
import torch
from torch import nn

from plait import MeanPool, Transformer
from plait.encoders.tuning import TunedHost
from plait.training import Schedule, fold_lora, lora, train
from plait.types import RecipeError
from tests.tiny import SENTENCES


def test_rank_start_and_fold():
    torch.manual_seed(0)
    module, x = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4)), torch.randn(32, 6)
    before, names = {name: p.detach().clone() for name, p in module.named_parameters()}, [*module.state_dict()]
    start = module(x)
    found = lora(module, rank=2, alpha=4)
    assert torch.equal(module(x), start)
    assert found.trained == 2 * (6 + 5) + 2 * (5 + 4)
    assert found.total == sum(value.numel() for value in before.values())
    train(module, lambda epoch: [x], lambda batch: module(batch).square().mean(), schedule=Schedule(30, lr=0.05))
    learned = module(x)
    fold_lora(module)
    torch.testing.assert_close(module(x), learned)
    assert sorted(module.state_dict()) == sorted(names)
    for number in (0, 2):
        change = (module[number].weight - before[f"{number}.weight"]).detach().numpy()
        assert np.linalg.matrix_rank(change, tol=1e-5) == 2
        assert torch.equal(module[number].bias, before[f"{number}.bias"])


def test_same_seed_same_start():
    def downs(seed: int) -> torch.Tensor:
        module = nn.Linear(4, 4)
        lora(module, rank=2, seed=seed)
        return module.parametrizations.weight[0].down.detach()

    assert torch.equal(downs(1), downs(1))
    assert not torch.equal(downs(1), downs(2))


def test_a_tuned_host_is_saved_with_its_changes(tiny_bert, tmp_path):
    tuned = TunedHost(Transformer(str(tiny_bert)), MeanPool(), 2)
    lora(tuned, rank=2)
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if name.endswith(".up"):
                parameter.fill_(0.05)
    expected = tuned.vectors(tuned.read(SENTENCES))
    fold_lora(tuned)
    opened = (Transformer(str(tuned.save(tmp_path / "tuned"))) | MeanPool()).encode(SENTENCES).values
    np.testing.assert_allclose(opened, expected, atol=1e-5)
    assert np.abs(expected - (Transformer(str(tiny_bert)) | MeanPool()).encode(SENTENCES).values).max() > 0.01


def test_nothing_to_change():
    with pytest.raises(RecipeError, match="0 linear layers"):
        lora(nn.LayerNorm(3))
    with pytest.raises(RecipeError, match="rank is 0"):
        lora(nn.Linear(3, 3), rank=0)
