"""Which neurons of a decoder's blocks write towards a few tokens, and which write away from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plait.encoders.vocabulary_head import VocabularyHead
from plait.types import ModelError

if TYPE_CHECKING:
    import torch

    from plait.encoders.hosts import Host

TAILED = 10.0
"""Fourth standardised moment above which a neuron singles out a few tokens; a normal distribution has 3."""
_OUTPUTS = ("down_proj", "dense_4h_to_h", "fc2", "fc_out", "w2", "mlp.c_proj")


class NeuronCounts(NamedTuple):
    """``[L]`` neurons of each block that raise the scores of a few tokens, and that lower them."""

    prediction: NDArray[np.int64]
    suppression: NDArray[np.int64]


def neuron_counts(host: Host, head: VocabularyHead, vocabulary: int = 8192, seed: int = 0) -> NeuronCounts:
    """Count neurons by the shape of the cosines of their output weights with all tokens' output vectors.

    A neuron whose cosines have a heavy tail is one of prediction if they lean to the positive side, else one of
    suppression.
    The gains of norms are not folded into the weights.

    Args:
        host: a decoder.
        head: its vocabulary head.
        vocabulary: tokens that are looked at, drawn without replacement; 8,192 of Gemma's 262,144 take seconds.
        seed: of the draw.

    Raises:
        ModelError: if the blocks have no output matrix under a known name.
    """
    import torch

    rows = np.random.default_rng(seed).permutation(len(head.table))[:vocabulary]
    table = head.table[torch.from_numpy(rows)]
    unit = torch.nn.functional.normalize(table - head.table.mean(dim=0), dim=1)
    counts = [_roles(unit, _output(block)) for block in host.blocks]
    return NeuronCounts(*np.array(counts).T)


def _roles(unit: torch.Tensor, weight: torch.Tensor) -> tuple[int, int]:
    """Neurons of prediction and of suppression among the columns of ``(dim, neurons)``."""
    import torch

    with torch.inference_mode():
        cosine = unit @ torch.nn.functional.normalize(weight.float(), dim=0)
        away = (cosine - cosine.mean(dim=0)) / cosine.std(dim=0, correction=0)
        tailed = (away**4).mean(dim=0) > TAILED
        skew = (away**3).mean(dim=0)
    return int((tailed & (skew > 0)).sum()), int((tailed & (skew < 0)).sum())


def _output(block: Any) -> torch.Tensor:
    """``(dim, neurons)`` matrix that a block's neurons write with."""
    for name, module in block.named_modules():
        if name.endswith(_OUTPUTS):
            weight: torch.Tensor = module.weight.detach()
            return weight.T if name.endswith("c_proj") else weight  # GPT-2 keeps its matrices the other way round
    raise ModelError(f"{type(block).__name__} has no output matrix of neurons (looked for {', '.join(_OUTPUTS)})")
