"""Teaching an encoder to speak to a frozen language model, before it is joined with others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from plait.modalities.token_grids import ChannelConcat, Projector
from plait.training.loop import History, Schedule, train
from plait.types import DataError


def pre_align(
    eyes: ChannelConcat,
    language_model: nn.Module,
    loss: Callable[[nn.Module, Tensor], Tensor],
    examples: int,
    *,
    dim: int,
    batch_size: int = 64,
    schedule: Schedule | None = None,
) -> History:
    """Train an image encoder, with a projector of its own, on the loss of a frozen language model.

    Encoders that never saw text learn to say what the language model can use. The projector is thrown away: join the
    encoders in a `ChannelConcat` with a new one. Use the same language model for each of them.

    Args:
        eyes: a single encoder on the grid that all will share; learned in place.
        language_model: left as it is; its parameters need no gradient meanwhile.
        loss: of a module that maps pictures to ``(batch, tokens, dim)``, on these rows of the examples.
        examples: how many rows there are.
        dim: width of the language model.
        batch_size: rows in a batch.
        schedule: None takes the defaults; its seed is also that of the projector and of the order of the rows.

    Raises:
        DataError: if there is no example.
        RecipeError: if the loss stops being a number.

    Source: Eagle: Exploring The Design Space for Multimodal LLMs with Mixture of Encoders, arXiv 2408.15998.

    Example:
        >>> import torch
        >>> encoder, reader = nn.Conv2d(1, 3, 2, stride=2), nn.Linear(4, 1)
        >>> encoder.image_size, encoder.out_channels = (4, 4), 3
        >>> pictures, wanted = torch.rand(8, 1, 4, 4), torch.rand(8)
        >>> seen = pre_align(ChannelConcat([encoder], (2, 2)), reader, examples=8, dim=4, loss=lambda see, rows:
        ...                  ((reader(see(pictures[rows])).mean(dim=(1, 2)) - wanted[rows]) ** 2).mean())
        >>> seen.losses[-1] < seen.losses[0]
        True
    """
    if examples < 1:
        raise DataError(f"there are {examples} examples; give at least one")
    plan = schedule or Schedule()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        see = nn.Sequential(eyes, Projector(eyes.width, dim))

    def batches(epoch: int) -> Sequence[Tensor]:
        order = torch.from_numpy(np.random.default_rng([plan.seed, epoch]).permutation(examples))
        return list(order.split(batch_size))

    with frozen(language_model):
        return train(see, batches, lambda rows: loss(see, rows), schedule=plan)


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """No parameter of the module needs a gradient, and it is in evaluation mode; afterwards all is as it was."""
    learned, training = [p for p in module.parameters() if p.requires_grad], module.training
    for parameter in learned:
        parameter.requires_grad_(False)
    module.eval()
    try:
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)
        module.train(training)
