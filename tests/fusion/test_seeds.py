"""Networks of several seeds, snapshots of one, and the network distilled from them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from plait.fusion.seeds import DistilledConcat, train_seeds, train_snapshots
from plait.training import Schedule
from plait.types import DataError, RecipeError

RNG = np.random.default_rng(0)
X = torch.from_numpy(RNG.normal(size=(64, 3)).astype(np.float32))
Y = X @ torch.tensor([[1.0], [-2.0], [0.5]])
SHORT = Schedule(epochs=2, lr=0.01)


def made(seed: int) -> nn.Module:
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Dropout(0.1), nn.Linear(5, 1))


def squares(network: nn.Module, rows: Tensor) -> Tensor:
    return ((network(X[rows]) - Y[rows]) ** 2).mean()


def weights(network: nn.Module) -> bytes:
    return b"".join(p.detach().numpy().tobytes() for p in network.parameters())


def test_same_seed_same_bytes_whatever_was_trained_before() -> None:
    one = train_seeds(made, [0, 1, 2], squares, 64, schedule=SHORT)
    torch.manual_seed(99)
    again = train_seeds(made, [2, 0], squares, 64, schedule=SHORT)
    assert [weights(again[1]), weights(again[0])] == [weights(one[0]), weights(one[2])]
    assert len({weights(network) for network in one}) == 3
    assert not any(network.training for network in one)


def test_the_callers_random_numbers_are_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train_seeds(made, [1], squares, 64, schedule=SHORT)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("same_order", [True, False])
def test_order_of_the_examples(same_order: bool) -> None:
    seen: dict[int, list[int]] = {}

    def factory(seed: int) -> nn.Module:
        network = made(seed)
        network.seed = seed  # type: ignore[assignment]
        return network

    def watched(network: nn.Module, rows: Tensor) -> Tensor:
        seen.setdefault(int(network.seed), []).extend(rows.tolist())  # type: ignore[arg-type]
        return squares(network, rows)

    train_seeds(factory, [3, 4], watched, 64, schedule=SHORT, same_order=same_order)
    assert (seen[3] == seen[4]) == same_order
    assert sorted(seen[3]) == sorted([*range(64), *range(64)])
    assert seen[3][:64] != seen[3][64:]


def test_it_learns() -> None:
    (network,) = train_seeds(lambda seed: nn.Linear(3, 1), [0], squares, 64, schedule=Schedule(epochs=200, lr=0.05))
    np.testing.assert_allclose(network.weight.detach().numpy(), [[1, -2, 0.5]], atol=0.01)


def test_two_stages_start_from_the_members_and_leave_them_alone() -> None:
    members = train_seeds(made, [0, 1], squares, 64, schedule=SHORT)
    before = [weights(member) for member in members]
    tuned = train_seeds(lambda seed: copy.deepcopy(members[seed]), [0, 1], squares, 64, schedule=SHORT)
    assert [weights(member) for member in members] == before
    losses = [[float(squares(net, torch.arange(64)).detach()) for net in nets] for nets in (members, tuned)]
    assert all(after < first for first, after in zip(*losses, strict=True))


def test_snapshots_are_stages_of_one_training() -> None:
    found = train_snapshots(made, 3, squares, 64, schedule=SHORT)
    (first,) = train_seeds(made, [0], squares, 64, schedule=SHORT)
    assert weights(found[0]) == weights(first)
    losses = [float(squares(net, torch.arange(64)).detach()) for net in found]
    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) == 3


@pytest.mark.parametrize("function", [train_seeds, train_snapshots])
def test_nothing_to_learn_from_is_refused(function: object) -> None:
    with pytest.raises(DataError, match="at least one"):
        function(made, [0] if function is train_seeds else 1, squares, 0)  # type: ignore[operator]


def test_cosine_is_the_mean_over_teachers_and_examples() -> None:
    both = DistilledConcat(nn.Linear(3, 2), 2, [4, 5])
    targets = [torch.randn(7, 4), torch.randn(7, 5)]
    given = [head(both.student(X[:7])) for head in both.heads]
    by_hand = [
        1 - float((a @ b) / (a.norm() * b.norm()))
        for left, right in zip(given, targets, strict=True)
        for a, b in zip(left.detach(), right, strict=True)
    ]
    assert float(both.loss(X[:7], targets).detach()) == pytest.approx(np.mean(by_hand), abs=1e-6)


def test_divergence_is_that_of_the_class_probabilities() -> None:
    both = DistilledConcat(nn.Linear(3, 2), 2, [4], loss="kl")
    target = torch.randn(7, 4)
    p, q = target.softmax(1).numpy(), both.heads[0](both.student(X[:7])).softmax(1).detach().numpy()
    expected = (p * np.log(p / q)).sum(axis=1).mean()
    assert float(both.loss(X[:7], [target]).detach()) == pytest.approx(expected, abs=1e-5)


def test_a_student_as_wide_as_its_teacher_learns_to_be_one() -> None:
    teacher = nn.Linear(3, 4)
    both = DistilledConcat(nn.Linear(3, 4), 4, [4])
    with torch.no_grad():
        target = teacher(X)
    train_seeds(
        lambda seed: both, [0], lambda net, rows: net.loss(X[rows], [target[rows]]), 64, schedule=Schedule(400, 0.02)
    )
    assert float(both.loss(X, [target]).detach()) < 0.01


@pytest.mark.parametrize(("teachers", "loss"), [([], "cosine"), ([3], "mse")])
def test_no_teacher_and_unknown_losses_are_refused(teachers: list[int], loss: str) -> None:
    with pytest.raises(RecipeError, match="expected"):
        DistilledConcat(nn.Linear(3, 2), 2, teachers, loss)  # type: ignore[arg-type]


def test_a_wrong_number_of_targets_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        DistilledConcat(nn.Linear(3, 2), 2, [4, 4]).loss(X, [torch.zeros(64, 4)])
