"""Networks that differ in nothing but their seed, to be set side by side; and one network distilled from them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.training.loop import Schedule, train
from plait.types import DataError, RecipeError

Network = TypeVar("Network", bound=nn.Module)
RowLoss = Callable[[Network, Tensor], Tensor]
"""Loss of a network on the examples with these row numbers."""


def train_seeds(
    factory: Callable[[int], Network],
    seeds: Iterable[int],
    loss: RowLoss[Network],
    examples: int,
    *,
    batch_size: int = 64,
    schedule: Schedule | None = None,
    same_order: bool = False,
) -> list[Network]:
    """Train one network a seed on the same examples.

    Each keeps another part of what the task can be solved with. Their features side by side add little on the task
    itself, and more on other tasks and on shifted data than one network of that width. Fine-tune members one by one
    (a factory that copies member ``seed``) and join them then: jointly fine-tuned they lose their difference.

    Args:
        factory: makes an untrained network, given the seed; torch draws its numbers from that seed meanwhile.
        seeds: one a network.
        loss: of a network on rows of the examples.
        examples: how many rows there are.
        batch_size: rows in a batch.
        schedule: None takes the defaults; its seed is replaced by the network's.
        same_order: show all networks the examples in one order, so that only initialisation and dropout differ. Off,
            as published, the order differs too.

    Returns:
        The networks in the order of the seeds, in evaluation mode.

    Raises:
        DataError: if there is no example.
        RecipeError: if a network has nothing to learn, or its loss stops being a number.

    Source: Learning useful representations for shifting tasks and distributions, arXiv 2212.07346.

    Example:
        >>> points = torch.arange(8.0)[:, None]
        >>> one, other = train_seeds(lambda seed: nn.Linear(1, 1), [0, 1],
        ...                          lambda net, rows: ((net(points[rows]) - points[rows]) ** 2).mean(), examples=8)
        >>> bool(one.weight == other.weight)
        False
    """
    networks = []
    for seed in seeds:
        network = _made(factory, seed)
        plan = replace(schedule or Schedule(), seed=seed)
        _train(network, loss, examples, batch_size, plan, order=0 if same_order else seed)
        networks.append(network)
    return networks


def train_snapshots(
    factory: Callable[[int], Network],
    count: int,
    loss: RowLoss[Network],
    examples: int,
    *,
    batch_size: int = 64,
    schedule: Schedule | None = None,
) -> list[Network]:
    """Snapshots of one long training whose step rises again after each: cheaper members than `train_seeds` gives.

    Args:
        factory: makes an untrained network, given the schedule's seed.
        count: how many snapshots.
        loss: of a network on rows of the examples.
        examples: how many rows there are.
        batch_size: rows in a batch.
        schedule: of each stretch up to a snapshot; a rather large ``lr`` keeps the snapshots apart.

    Returns:
        The snapshots, first to last, in evaluation mode.

    Raises:
        DataError: if there is no example.
        RecipeError: if the network has nothing to learn, or its loss stops being a number.

    Example:
        >>> points = torch.arange(8.0)[:, None]
        >>> found = train_snapshots(lambda seed: nn.Linear(1, 1), 3,
        ...                         lambda net, rows: ((net(points[rows]) - points[rows]) ** 2).mean(), examples=8)
        >>> len({float(network.weight.detach()) for network in found})
        3
    """
    plan = schedule or Schedule()
    network = _made(factory, plan.seed)
    snapshots = []
    for stretch in range(count):
        # each stretch goes on with another order, or it would see the very batches of the first again
        _train(network, loss, examples, batch_size, plan, order=plan.seed + 7919 * stretch)
        snapshots.append(copy.deepcopy(network))
    return snapshots


class DistilledConcat(nn.Module):
    """One network that learns to give the features of several: a linear head for each, and the network is kept.

    Train it with ``loss`` on unlabelled inputs; afterwards ``forward`` gives the network's own features, which hold
    most of what the concatenation holds, at the width of one.

    Args:
        student: the network; inputs to ``(batch, width)``.
        width: of the student's features.
        teachers: width of each teacher's features (or the number of its classes, for "kl").
        loss: "cosine" distance of a head's output to the teacher's features, best standardised; or "kl", the divergence
            from the teacher's class probabilities, for teachers given by their logits.

    Raises:
        RecipeError: if there is no teacher, or the loss is unknown.

    Source: Learning useful representations for shifting tasks and distributions, arXiv 2212.07346.

    Example:
        >>> both = DistilledConcat(nn.Linear(3, 2), 2, [4, 5])
        >>> both(torch.zeros(1, 3)).shape, both.loss(torch.ones(1, 3), [torch.ones(1, 4), torch.ones(1, 5)]).shape
        (torch.Size([1, 2]), torch.Size([]))
    """

    def __init__(
        self, student: nn.Module, width: int, teachers: Sequence[int], loss: Literal["cosine", "kl"] = "cosine"
    ) -> None:
        super().__init__()
        if not teachers or loss not in ("cosine", "kl"):
            raise RecipeError(
                f'teachers are {list(teachers)} and loss {loss!r}; expected one or more, "cosine" or "kl"'
            )
        self.student, self.kind = student, loss
        self.heads = nn.ModuleList(nn.Linear(width, teacher) for teacher in teachers)

    def forward(self, inputs: Tensor) -> Tensor:
        """``(batch, width)`` features of the student."""
        features: Tensor = self.student(inputs)
        return features

    def loss(self, inputs: Tensor, targets: Sequence[Tensor]) -> Tensor:
        """Mean over the teachers of the distance to each.

        Args:
            inputs: what the student takes.
            targets: ``(batch, dim)`` of each teacher, in their order.
        """
        features = self(inputs)
        pairs = zip(self.heads, targets, strict=True)
        return torch.stack([self._distance(head(features), target) for head, target in pairs]).mean()

    def _distance(self, given: Tensor, target: Tensor) -> Tensor:
        if self.kind == "cosine":
            return 1 - F.cosine_similarity(given, target, dim=-1).mean()
        return F.kl_div(given.log_softmax(dim=-1), target.log_softmax(dim=-1), log_target=True, reduction="batchmean")


def _made(factory: Callable[[int], Network], seed: int) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return factory(seed)


def _train(
    network: Network, loss: RowLoss[Network], examples: int, batch_size: int, schedule: Schedule, order: int
) -> None:
    if examples < 1:
        raise DataError(f"there are {examples} examples; give at least one")

    def batches(epoch: int) -> Sequence[Tensor]:
        rows = np.random.default_rng([order, epoch]).permutation(examples)
        return list(torch.from_numpy(rows).split(batch_size))

    train(network, batches, lambda rows: loss(network, rows), schedule=schedule)
