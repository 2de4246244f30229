"""How well a token's place in its text can be read off its state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plait.analysis.result import Diagnosis, Row
from plait.analysis.streaming import chosen_layers, first_positions, long_enough, stream, tokenized
from plait.roles import Encoder
from plait.types import Floats, Items, RecipeError

SHRINKAGE = 0.1
"""Share of a multiple of the identity in the covariance: rows may be few, and no direction is hidden."""


@dataclass(frozen=True, eq=False)
class PositionProbe(Diagnosis):
    """What `position_probe` found.

    Attributes:
        layers: ``L`` layers that were probed.
        accuracy: ``[L]`` share of held-out tokens whose place is right.
        chance: what guessing gets: all places are equally frequent.
        influence: ``[L, D]`` how much the probe moves, over all places, with one standard deviation of a dimension.
        texts: how many texts were long enough.
    """

    axes = ("layer", "accuracy")

    layers: tuple[int, ...]
    accuracy: NDArray[np.float64]
    chance: float
    influence: NDArray[np.float64]
    texts: int

    def rank(self, layer: int, dim: int) -> int:
        """Place of a dimension among all, by influence; 0 is the first."""
        row = self.influence[self.layers.index(layer)]
        return int((row > row[dim]).sum())

    def table(self) -> list[Row]:
        rows = zip(self.layers, self.accuracy, strict=True)
        return [{"layer": layer, "accuracy": float(value), "chance": self.chance} for layer, value in rows]


def position_probe(
    encoder: Encoder,
    items: Items,
    layers: Sequence[int] | None = None,
    drop_dims: Sequence[int] = (),
    positions: int = 16,
    random_state: int = 0,
) -> PositionProbe:
    """Learn, layer by layer, to tell a token's position from its state with a linear discriminant.

    Of every text that is long enough the tokens at positions 1 to ``positions`` are taken; the first and the last
    token, often special ones that give themselves away, are not. The probe learns on seven tenths of the texts and is
    scored on the others.

    Args:
        encoder: whose states are probed.
        items: texts of more than ``positions`` + 1 tokens; others are left out.
        layers: which layers; None probes all.
        drop_dims: dimensions that are set to 0 first.
        positions: how many places are told apart.
        random_state: seed of the split.

    Raises:
        DataError: if fewer than ten texts are long enough.
        RecipeError: for a layer or a dimension that the encoder does not have.

    Example:
        >>> from plait import StaticTable
        >>> texts = [f"{n} {' '.join(['word'] * 12)}" for n in range(20)]
        >>> position_probe(StaticTable("wordllama"), texts, positions=8).chance
        0.125

    Source: Positional Artefacts Propagate Through Masked Language Model Embeddings, arXiv 2011.04393.
    """
    chosen = chosen_layers(encoder, layers)
    tokens = tokenized(encoder, items)
    long = long_enough(tokens, positions)
    unknown = [dim for dim in drop_dims if not 0 <= dim < encoder.width]
    if unknown:
        raise RecipeError(f"drop_dims names {unknown}; states of {encoder} have dimensions 0 to {encoder.width - 1}")
    batches = stream(encoder, tokens.take(long), chosen)
    states = np.concatenate([first_positions(s, positions) for s in batches], axis=1)
    states[..., list(drop_dims)] = 0
    held = np.random.default_rng(random_state).permutation(len(long)) < 0.3 * len(long)
    found = [_probe(plane, held) for plane in states]
    return PositionProbe(
        chosen,
        np.array([accuracy for accuracy, _ in found]),
        1 / positions,
        np.stack([influence for _, influence in found]),
        len(long),
    )


def _probe(states: Floats, held: NDArray[np.bool_]) -> tuple[float, NDArray[np.float64]]:
    """Accuracy on the held-out texts and influence of each dimension, for ``[N, P, D]`` states."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    _, positions, width = states.shape
    train = states[~held].reshape(-1, width).astype(np.float64)
    scale = train.std(axis=0)
    safe = np.where(scale > 0, scale, 1)
    probe = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=SHRINKAGE)
    probe.fit(train / safe, np.tile(np.arange(positions), len(train) // positions))
    test = states[held].reshape(-1, width) / safe
    right = probe.predict(test) == np.tile(np.arange(positions), len(test) // positions)
    weights = probe.coef_ - probe.coef_.mean(axis=0)
    return float(right.mean()), np.where(scale > 0, np.sqrt(np.square(weights).mean(axis=0)), 0)
