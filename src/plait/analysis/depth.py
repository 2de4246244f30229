"""What changes over the depth of a model: where it looks, how much it writes, when it knows the next token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plait.analysis.neurons import neuron_counts
from plait.analysis.predictions import Sample, compared
from plait.analysis.result import Diagnosis, Row
from plait.analysis.streaming import tokenized
from plait.encoders.transformer import Transformer
from plait.encoders.vocabulary_head import VocabularyHead, vocabulary_head
from plait.types import DataError, Floats, ModelError, RecipeError, Tokens

BACK = 5
"""How many tokens before its own a token's attention counts as local."""
LONGEST = 500
"""Tokens of a text whose attention is looked at; its matrix grows with their square."""


@dataclass(frozen=True, eq=False)
class DepthProfile(Diagnosis):
    """What `depth_profile` found.

    Attributes:
        figures: by name, ``[L]``, one figure a block. Always "local_attention": share of a token's attention that goes
            to the five tokens before it. Of decoders also "lens_entropy" (bits) and "lens_kl" (nats, from the final
            predictions) of what the block's states predict when they are read as if they were the last, and
            "prediction_neurons" and "suppression_neurons", as `neuron_counts` counts them.
    """

    axes = ("layer", "local_attention")

    figures: Mapping[str, NDArray[np.float64]]

    @property
    def layers(self) -> tuple[int, ...]:
        """Numbers of the blocks, from 1."""
        return tuple(range(1, len(self.figures["local_attention"]) + 1))

    def table(self) -> list[Row]:
        return [
            {"layer": layer} | {name: float(values[layer - 1]) for name, values in self.figures.items()}
            for layer in self.layers
        ]


@dataclass(frozen=True, eq=False)
class Stages(Diagnosis):
    """Last blocks of the four stages that `stages` reads off a profile.

    Attributes:
        detokenization: tokens are joined with those before them.
        feature_engineering: what the text is about is worked out.
        prediction: the next token takes shape.
        sharpening: the last block; what speaks against the prediction is worked in.
    """

    axes = ("stage", "last_block")

    detokenization: int
    feature_engineering: int
    prediction: int
    sharpening: int

    def table(self) -> list[Row]:
        ends = (self.detokenization, self.feature_engineering, self.prediction, self.sharpening)
        return [{"stage": number, "last_block": end} for number, end in enumerate(ends, 1)]


def depth_profile(
    encoder: Transformer, texts: Sequence[str], positions: int = 600, vocabulary: int = 8192, seed: int = 0
) -> DepthProfile:
    """Local attention of every block, and of decoders the logit lens and the kinds of neurons.

    Args:
        encoder: a transformer; the lens needs a decoder that uses its token table for output.
        texts: ordinary ones, a few dozen, of seven tokens or more.
        positions: at which the lens is read, drawn from all but first tokens.
        vocabulary: tokens that neurons are compared with.
        seed: of both draws.

    Raises:
        RecipeError: for an encoder without blocks.
        DataError: if no text has seven tokens.

    Example:
        >>> profile = depth_profile(Transformer("all-MiniLM-L6-v2"), ["a text that is of seven tokens or more"])
        >>> profile.layers, list(profile.figures)
        ((1, 2, 3, 4, 5, 6), ['local_attention'])

    Source: The Remarkable Robustness of LLMs: Stages of Inference?, arXiv 2406.19384.
    """
    if not isinstance(encoder, Transformer):
        raise RecipeError(f"{encoder} has no blocks to look at; give a Transformer")
    tokens = tokenized(encoder, texts)
    figures = {"local_attention": local_attention(encoder, tokens)}
    try:
        head = vocabulary_head(encoder.host)
    except ModelError:
        return DepthProfile(figures)
    figures |= _lens(encoder, head, Sample.draw(tokens, positions, seed))
    counts = neuron_counts(encoder.host, head, vocabulary, seed)
    figures |= {f"{kind}_neurons": values.astype(np.float64) for kind, values in counts._asdict().items()}
    return DepthProfile(figures)


def local_attention(encoder: Transformer, tokens: Tokens, back: int = BACK) -> NDArray[np.float64]:
    """``[L]`` share of attention that goes to the ``back`` tokens before a token's own; means over heads and texts.

    Only tokens that have so many before them, the first token of the text not counted, are looked at.

    Raises:
        DataError: if no text is long enough.
    """
    long = np.flatnonzero(tokens.lengths > back + 1)
    if not len(long):
        raise DataError(f"no text has {back + 2} tokens; give longer ones")
    total = np.zeros(encoder.depth)
    for row in long:
        start = tokens.offsets[row]
        ids = tokens.ids[start : min(tokens.offsets[row + 1], start + LONGEST)]
        total += [_local(block[0], back) for block in encoder.host.attention(ids[None])]
    return total / len(long)


def _local(weights: Floats, back: int) -> float:
    """Of ``[H, T, T]`` weights."""
    after = np.arange(back + 1, weights.shape[-1])
    near = after[:, None] - np.arange(1, back + 1)
    return float(weights[:, after[:, None], near].sum(axis=-1).mean())


def _lens(encoder: Transformer, head: VocabularyHead, sample: Sample) -> dict[str, NDArray[np.float64]]:
    *inner, last = sample.states(encoder, tuple(range(1, encoder.depth + 1)))
    found = compared(last, inner, sample.targets, head.lens, head.logits) if inner else np.zeros((0, 4))
    final = compared(last, [last], sample.targets, head.logits, head.logits)
    rows = np.concatenate([found, final])
    return {"lens_entropy": rows[:, 3], "lens_kl": rows[:, 1]}


def stages(profile: DepthProfile) -> Stages:
    """Where the four stages of a decoder end: a heuristic, to be looked at beside the profile.

    The first ends where local attention, from the first block on, has fallen below the middle between its largest and
    its least value; the second where the lens begins to come closer to the final predictions for good, by a tenth of
    its largest distance; the third before the blocks at the end in which more neurons suppress tokens than predict
    them, and before the last block in any case.

    Raises:
        DataError: for a profile without a lens, or of fewer than four blocks.

    Example:
        >>> figures = {
        ...     "local_attention": [0.6, 0.5, 0.2, 0.2, 0.1, 0.1],
        ...     "lens_kl": [9, 9, 9, 5, 2, 0],
        ...     "prediction_neurons": [0, 0, 2, 5, 9, 3],
        ...     "suppression_neurons": [0, 0, 1, 2, 3, 8],
        ... }
        >>> stages(DepthProfile({name: np.array(values) for name, values in figures.items()})).table()[:2]
        [{'stage': 1, 'last_block': 2}, {'stage': 2, 'last_block': 3}]
    """
    figures, depth = profile.figures, len(profile.layers)
    if "lens_kl" not in figures or depth < 4:
        raise DataError(
            f"stages are read off a decoder's profile of four blocks or more; got {depth} of {list(figures)}"
        )
    local, far = figures["local_attention"], figures["lens_kl"]
    high = local > (local.max() + local.min()) / 2
    first = max(1, int(np.argmin(high)) if not high.all() else 1)
    distant = np.flatnonzero(far > 0.9 * far.max())
    sharp = figures["suppression_neurons"] > figures["prediction_neurons"]
    tail = next((n + 1 for n in range(depth - 1, -1, -1) if not sharp[n]), 0)
    second = min(max(first, int(distant[-1]) + 1), depth - 1)
    third = min(max(tail, second), depth - 1)
    return Stages(min(first, second), second, third, depth)
