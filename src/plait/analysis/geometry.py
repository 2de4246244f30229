"""Which way vectors point, and the few dimensions that decide it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.analysis.result import Diagnosis, Row
from plait.analysis.streaming import chosen_layers, stream, tokenized
from plait.roles import Encoder
from plait.step import unit_rows
from plait.types import DataError, Items


def anisotropy(X: ArrayLike, n_pairs: int = 10_000, random_state: int = 0) -> float:
    """Mean cosine of random pairs of different rows: 0 when they point every way, near 1 when all point one way.

    Args:
        X: ``[N, D]`` vectors, of tokens or of texts.
        n_pairs: pairs drawn, with replacement; at 10,000 the standard error is at most 0.01.
        random_state: seed of the pairs.

    Raises:
        DataError: for fewer than two rows, or a number that is not finite.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(500, 50))
        >>> abs(anisotropy(X)) < 0.02, anisotropy(X + 10) > 0.9
        (True, True)

    Source: How Contextual are Contextualized Word Representations?, arXiv 1909.00512.
    """
    vectors = np.asarray(X, np.float32)
    if vectors.ndim != 2 or len(vectors) < 2 or n_pairs < 1:
        raise DataError(f"pairs need two rows or more; got vectors of shape {vectors.shape} and n_pairs={n_pairs}")
    if not np.isfinite(vectors).all():
        raise DataError("vectors hold NaN or infinity: look for empty inputs or a damaged model")
    rng = np.random.default_rng(random_state)
    left = rng.integers(len(vectors), size=n_pairs)
    right = (left + rng.integers(1, len(vectors), size=n_pairs)) % len(vectors)
    unit = unit_rows(vectors)
    return float(np.einsum("ij,ij->", unit[left], unit[right], dtype=np.float64) / n_pairs)


@dataclass(frozen=True, eq=False)
class OutlierDimensions(Diagnosis):
    """What `outlier_dimensions` found.

    Attributes:
        layers: ``L`` layers that were looked at.
        means: ``[L, D]`` mean of each dimension over all tokens.
        largest: ``[L, D]`` share of the tokens at which the dimension has the largest magnitude of all.
        tokens: how many tokens were looked at.
        n_std: how many standard deviations count as far.
    """

    axes = ("layer", "z", "dim")

    layers: tuple[int, ...]
    means: NDArray[np.float64]
    largest: NDArray[np.float64]
    tokens: int
    n_std: float

    @property
    def z(self) -> NDArray[np.float64]:
        """``[L, D]`` distance of each mean from the mean of all dimensions' means, in their standard deviations."""
        spread = self.means.std(axis=1, keepdims=True)
        distance = self.means - self.means.mean(axis=1, keepdims=True)
        return np.asarray(distance / np.where(spread > 0, spread, 1))

    def of(self, layer: int) -> list[int]:
        """Outlying dimensions of one layer, the farthest first."""
        distance = np.abs(self.z[self.layers.index(layer)])
        order = np.argsort(-distance, kind="stable")
        return [int(dim) for dim in order if distance[dim] > self.n_std]

    def run(self, dim: int) -> int:
        """The longest row of consecutive layers at which the dimension is an outlier."""
        longest = now = 0
        for far in np.abs(self.z[:, dim]) > self.n_std:
            now = now + 1 if far else 0
            longest = max(longest, now)
        return longest

    def persistent(self, layers: int = 3) -> list[int]:
        """Dimensions that are outliers at that many consecutive layers, in ascending order."""
        return [dim for dim in range(self.means.shape[1]) if self.run(dim) >= layers]

    def table(self) -> list[Row]:
        return [
            {
                "layer": layer,
                "dim": dim,
                "mean": float(self.means[number, dim]),
                "z": float(self.z[number, dim]),
                "argmax_share": float(self.largest[number, dim]),
            }
            for number, layer in enumerate(self.layers)
            for dim in self.of(layer)
        ]


def outlier_dimensions(
    encoder: Encoder, items: Items, layers: Sequence[int] | None = None, n_std: float = 3.0
) -> OutlierDimensions:
    """Dimensions whose mean over all tokens lies far from all other dimensions' means, layer by layer.

    Args:
        encoder: whose states are looked at.
        items: texts; or tuples of words, which leave special tokens such as ``[CLS]`` out (they have outliers of their
            own). The first token of a decoder is left out in any case.
        layers: which layers; None looks at all.
        n_std: standard deviations that count as far; 3 is the published rule.

    Raises:
        DataError: if the items hold no token.
        RecipeError: for a layer that the encoder does not have.

    Example:
        >>> from plait import StaticTable
        >>> outlier_dimensions(StaticTable("wordllama"), ["a first text", "a second one"]).layers
        (0,)

    Source: Positional Artefacts Propagate Through Masked Language Model Embeddings, arXiv 2011.04393.
    """
    chosen = chosen_layers(encoder, layers)
    tokens = tokenized(encoder, items)
    sums = np.zeros((len(chosen), encoder.width))
    wins = np.zeros((len(chosen), encoder.width), np.int64)
    for states in stream(encoder, tokens, chosen):
        for number, plane in enumerate(states.values):
            rows = plane[states.tokens.index]
            sums[number] += rows.sum(axis=0, dtype=np.float64)
            wins[number] += np.bincount(np.abs(rows).argmax(axis=1), minlength=encoder.width)
    count = len(tokens.index)
    return OutlierDimensions(chosen, sums / count, wins / count, count, n_std)
