"""What the token states of every layer look like: how spread within a text, how bent, how long, how alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from plait.analysis.entropy import matrix_entropy
from plait.analysis.result import Diagnosis, Row
from plait.analysis.streaming import chosen_layers, stream, tokenized
from plait.analysis.trajectory import curvature
from plait.roles import Encoder
from plait.types import DataError, Floats, Items, States

FIGURES = ("entropy", "curvature", "norm", "anisotropy")


@dataclass(frozen=True, eq=False)
class LayerProfile(Diagnosis):
    """What `layer_profile` found.

    Attributes:
        layers: ``L`` layers that were looked at.
        entropy: ``[L]`` mean entropy of a text's token states, as a share of the largest its length allows.
        curvature: ``[L]`` mean angle, in radians, by which a text's path through its tokens turns.
        norm: ``[L]`` mean length of a token state.
        anisotropy: ``[L]`` mean cosine of tokens of different texts.
        texts: how many texts had the three tokens that are needed.
    """

    axes = ("layer", "entropy")

    layers: tuple[int, ...]
    entropy: NDArray[np.float64]
    curvature: NDArray[np.float64]
    norm: NDArray[np.float64]
    anisotropy: NDArray[np.float64]
    texts: int

    def table(self) -> list[Row]:
        return [
            {"layer": layer} | {name: float(getattr(self, name)[number]) for name in FIGURES}
            for number, layer in enumerate(self.layers)
        ]


def layer_profile(encoder: Encoder, items: Items, layers: Sequence[int] | None = None) -> LayerProfile:
    """Four figures of the token states of every layer, each the mean over the texts.

    A decoder's first token, which is the same for all texts and dwarfs the others, is left out.

    Args:
        encoder: whose states are looked at.
        items: texts; those of fewer than three tokens are left out. A few hundred are enough.
        layers: which layers; None looks at all.

    Raises:
        DataError: if fewer than two texts have three tokens.
        RecipeError: for a layer that the encoder does not have.

    Example:
        >>> from plait import StaticTable
        >>> layer_profile(StaticTable("wordllama"), ["a first short text", "here is a second one"]).layers
        (0,)

    Source: Layer by Layer: Uncovering Hidden Representations in Language Models, arXiv 2502.02013.
    """
    chosen = chosen_layers(encoder, layers)
    tokens = tokenized(encoder, items)
    counts = np.diff(tokens.bounds[tokens.units])
    long = np.flatnonzero(counts >= 3)
    if len(long) < 2:
        raise DataError(f"{len(long)} of {len(items)} texts have three tokens; give at least two such texts")
    sums, directions = np.zeros((3, len(chosen))), np.zeros((len(chosen), encoder.width))
    alone = np.zeros(len(chosen))
    for states in stream(encoder, tokens.take(long), chosen):
        for number, plane in enumerate(states.values):
            for text in _texts(states, plane):
                lengths = np.linalg.norm(text, axis=1)
                mean = (text / np.where(lengths > 0, lengths, 1)[:, None]).mean(axis=0)
                sums[:, number] += matrix_entropy(text, normalization="rows"), curvature(text), lengths.mean()
                directions[number] += mean
                alone[number] += mean @ mean
    pairs = len(long) * (len(long) - 1)
    anisotropy = ((directions**2).sum(axis=1) - alone) / pairs  # all pairs of texts, less each with itself
    entropy, turns, norms = sums / len(long)
    return LayerProfile(chosen, entropy, turns, norms, anisotropy, len(long))


def _texts(states: States, plane: Floats) -> list[NDArray[np.float64]]:
    """``[T, D]`` states of each text's own tokens."""
    tokens = states.tokens
    bounds = tokens.bounds[tokens.units]
    return [plane[tokens.index[start:end]].astype(np.float64) for start, end in pairwise(bounds)]
