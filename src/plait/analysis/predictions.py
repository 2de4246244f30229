"""Next-token predictions at a fixed sample of positions, and how far one set of them is from another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plait.plan import plan_batches
from plait.types import DataError, Floats, Ints, Tokens, ranges

if TYPE_CHECKING:
    import torch

    from plait.encoders.transformer import Transformer

CHUNK = 32
"""Positions whose scores are held at once: of 262,000 tokens they take 34 MB a set."""
FIGURES = ("agreement", "kl", "loss_delta", "entropy")


@dataclass(frozen=True, eq=False)
class Sample:
    """Positions at which a next token is predicted.

    Attributes:
        tokens: of all texts.
        places: ``[P]`` positions in ``tokens.ids``, ascending; a decoder's first token is never among them.
        targets: ``[P]`` ids of the tokens that follow.
    """

    tokens: Tokens
    places: Ints
    targets: Ints

    @classmethod
    def draw(cls, tokens: Tokens, count: int, seed: int) -> Sample:
        """That many positions, or all there are.

        Raises:
            DataError: if no token has one after it.
        """
        item = np.repeat(np.arange(len(tokens)), tokens.lengths)
        able = tokens.index[tokens.index + 1 < tokens.offsets[item[tokens.index] + 1]]
        if not len(able):
            raise DataError("no text has two tokens, so that none can be predicted; give longer texts")
        places = np.sort(np.random.default_rng(seed).permutation(able)[:count])
        return cls(tokens, places, tokens.ids[places + 1].astype(np.int64))

    def states(self, encoder: Transformer, layers: tuple[int, ...]) -> Floats:
        """``[L, P, D]`` states at the sampled positions."""
        out = np.zeros((len(layers), len(self.places), encoder.width), np.float32)
        slot = np.full(len(self.tokens.ids), -1)
        slot[self.places] = np.arange(len(self.places))
        for rows in plan_batches(self.tokens, encoder.budget):
            here = slot[ranges(self.tokens.offsets[rows], self.tokens.offsets[rows + 1])]
            if (here >= 0).any():
                states = encoder.states(self.tokens.take(rows), layers)
                out[:, here[here >= 0]] = states.values[:, here >= 0]
        return out


Scores = Callable[["torch.Tensor"], "torch.Tensor"]


def compared(
    base: Floats, others: Sequence[Floats], targets: Ints, head: Scores, of_base: Scores
) -> NDArray[np.float64]:
    """How far predictions from some states are from those of the base: ``[K, 4]``, in the order of `FIGURES`.

    Args:
        base: ``[P, D]`` states behind the last norm.
        others: K times ``[P, D]`` states.
        targets: ``[P]`` ids of the right tokens.
        head: scores of the others' states.
        of_base: scores of the base's states.

    Returns:
        Share of equal first choices; KL(base ‖ other) in nats; loss of the other less that of the base, in nats;
        entropy of the other in bits.
    """
    import torch

    sums = np.zeros((len(others), len(FIGURES)))
    with torch.inference_mode():
        for start in range(0, len(base), CHUNK):
            part = slice(start, start + CHUNK)
            right = torch.from_numpy(targets[part])[:, None]
            plain = torch.log_softmax(of_base(torch.from_numpy(base[part])), dim=-1)
            chance, first = plain.exp(), plain.argmax(dim=-1)
            own = (chance * plain).sum(dim=-1)
            for number, states in enumerate(others):
                changed = torch.log_softmax(head(torch.from_numpy(states[part])), dim=-1)
                sums[number] += [
                    float((changed.argmax(dim=-1) == first).sum()),
                    float((own - (chance * changed).sum(dim=-1)).sum()),
                    float((plain.gather(1, right) - changed.gather(1, right)).sum()),
                    float(-(changed.exp() * changed).sum()) / float(np.log(2)),
                ]
    return sums / len(base)
