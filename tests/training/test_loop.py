"""The loop: what it learns, when it stops, and that a killed run ends where an unbroken one does."""

import numpy as np
import pytest
import torch
from torch import nn

from plait.training import Schedule, train
from plait.types import DataError, RecipeError

POINTS = torch.linspace(-1, 1, 32)[:, None]


def line(seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(1, 1)


def squares(module: nn.Module):
    return lambda batch: ((module(batch) - 3 * batch + 1) ** 2).mean()


def shuffled(epoch: int) -> list[torch.Tensor]:
    order = torch.from_numpy(np.random.default_rng(epoch).permutation(32))
    return list(POINTS[order].split(8))


def test_finds_the_least_squares_line():
    module = line()
    train(module, shuffled, squares(module), schedule=Schedule(epochs=150, lr=0.05))
    expected = np.polyfit(POINTS[:, 0].numpy(), 3 * POINTS[:, 0].numpy() - 1, 1)
    assert np.allclose([module.weight.item(), module.bias.item()], expected, atol=1e-2)


def test_keeps_the_best_epoch_and_stops_after_patience():
    module, scores = line(), iter([0.1, 0.7, 0.6, 0.5, 0.4, 0.9])
    kept = []

    def dev() -> float:
        kept.append(module.weight.item())
        return next(scores)

    history = train(module, shuffled, squares(module), dev=dev, schedule=Schedule(epochs=20, lr=0.1, patience=3))
    assert history.best == 1
    assert len(history.losses) == 5
    assert module.weight.item() == kept[1]


def test_resumes_to_the_same_weights(tmp_path):
    dropout = nn.Dropout(0.2)
    whole, broken = line(), line()
    schedule = Schedule(epochs=6, lr=0.1)

    def noisy(module: nn.Module):
        return lambda batch: squares(module)(dropout(batch))

    train(whole, shuffled, noisy(whole), dev=lambda: -float(squares(whole)(POINTS)), schedule=schedule)

    class Killed(Exception):
        pass

    def until_third(epoch: int) -> list[torch.Tensor]:
        if epoch == 3:
            raise Killed
        return shuffled(epoch)

    path, score = tmp_path / "run.safetensors", lambda: -float(squares(broken)(POINTS))
    with pytest.raises(Killed):
        train(broken, until_third, noisy(broken), dev=score, schedule=schedule, checkpoint=path)
    assert path.exists()
    again = line(seed=5)  # other weights: all must come from the checkpoint
    history = train(
        again, shuffled, noisy(again), dev=lambda: -float(squares(again)(POINTS)), schedule=schedule, checkpoint=path
    )
    assert len(history.losses) == 6
    assert torch.equal(again.weight, whole.weight)
    assert torch.equal(again.bias, whole.bias)
    assert not path.exists()


def test_refuses_a_checkpoint_of_another_run(tmp_path):
    path = tmp_path / "run.safetensors"
    path.write_bytes(b"not a checkpoint")
    module = line()
    with pytest.raises(DataError, match="delete it"):
        train(module, shuffled, squares(module), checkpoint=path)


def test_rates_by_name():
    module = nn.ModuleDict({"a": line(), "b": line()})
    before = module["b"].weight.item()
    train(
        module,
        shuffled,
        lambda x: (module["a"](x) + module["b"](x) - x).square().mean(),
        rates={"b": 1e-9},
        schedule=Schedule(epochs=5, lr=0.1),
    )
    assert abs(module["b"].weight.item() - before) < 1e-5
    assert abs(module["a"].weight.item() - line().weight.item()) > 0.01


def test_a_loss_that_breaks_is_named():
    module = line()
    with pytest.raises(RecipeError, match="lr"):
        train(module, shuffled, lambda x: squares(module)(x) * torch.inf)


def test_nothing_to_learn_and_no_batch():
    module = line().requires_grad_(False)
    with pytest.raises(RecipeError, match="gradient"):
        train(module, shuffled, squares(module))
    module = line()
    with pytest.raises(DataError, match="batch"):
        train(module, lambda epoch: [], squares(module))
