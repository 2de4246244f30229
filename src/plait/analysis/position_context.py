"""Token states as a mean, an effect of the position, an effect of the text and a rest: analysis of variance."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.analysis.result import Diagnosis, Row
from plait.analysis.singular_values import energy_rank, screenot_rank
from plait.analysis.streaming import chosen_layers, first_positions, long_enough, tokenized
from plait.plan import plan_batches
from plait.roles import Encoder
from plait.types import DataError, Items

Effects = NDArray[np.float64]


class Shares(NamedTuple):
    """What part of the states' variance each effect makes up; together 1."""

    position: float
    context: float
    residual: float


class Contrast(NamedTuple):
    """Mean cosine of the context effects of one group, and of different groups."""

    within: float
    between: float


@dataclass(frozen=True, eq=False)
class PositionContext(Diagnosis):
    """States ``[C, T, D]`` of C texts at T positions, taken apart: ``mean + position[t] + context[c] + residual``.

    Attributes:
        mean: ``[D]`` of all states.
        position: ``[T, D]`` what states at a position have more than the mean; sums to 0 over positions.
        context: ``[C, D]`` what states of a text have more than the mean; sums to 0 over texts.
        variance: mean squared distance of a state from the mean.
        residual: ``[C, T, D]`` the rest, which sums to 0 over texts and over positions; None if the states were
            streamed.
    """

    axes = ("position", "context")

    mean: Effects
    position: Effects
    context: Effects
    variance: float
    residual: Effects | None = None

    @property
    def spectrum(self) -> Effects:
        """Singular values of the position effects, descending."""
        return np.asarray(np.linalg.svd(self.position, compute_uv=False), np.float64)

    def rank(self, method: str = "screenot") -> int:
        """How many directions the position effects need.

        Args:
            method: "screenot" counts singular values above an adaptive threshold, as in the published table;
                "energy" takes the fewest that hold 95 % of the squares.
        """
        if method == "energy":
            return energy_rank(self.spectrum)
        if method == "screenot":
            return screenot_rank(self.spectrum, self.position.shape)
        raise DataError(f"method is {method!r}; expected screenot or energy")

    def stable_rank(self) -> float:
        """Sum of squared singular values of the position effects over the largest square; 0 if there are none."""
        squares = self.spectrum**2
        return float(squares.sum() / squares[0]) if squares[0] > 0 else 0.0

    def explained_ratio(self, rank: int) -> float:
        """Share of the first singular values (not of their squares) of the position effects."""
        values = self.spectrum
        return float(values[:rank].sum() / values.sum()) if values.sum() > 0 else 1.0

    def relative_norm(self) -> float:
        """Operator norm of the position effects, one row a state, over that of mean, position and context together."""
        texts, places = len(self.context), len(self.position)
        gram = texts * places * np.outer(self.mean, self.mean)  # the effects sum to 0, so that no cross term is left
        gram += texts * self.position.T @ self.position + places * self.context.T @ self.context
        return float(np.sqrt(texts) * self.spectrum[0] / np.sqrt(np.linalg.eigvalsh(gram)[-1]))

    def smoothness(self, k: int = 10) -> float:
        """Share of the lowest k × k frequencies in the energy of the position effects' cosines, less the constant.

        Near 1 if neighbours are alike, about (k / T)² if positions stand in no order.
        """
        from scipy.fft import dctn

        unit = _unit(self.position)
        energy = np.square(dctn(unit @ unit.T, type=2, norm="ortho"))
        energy[0, 0] = 0
        return float(energy[:k, :k].sum() / energy.sum()) if energy.sum() > 0 else 0.0

    def incoherence(self) -> float:
        """Mean absolute cosine of position and context effects: near 0 if the two use different directions."""
        return float(np.abs(_unit(self.position) @ _unit(self.context).T).mean())

    def cluster_contrast(self, labels: Sequence[Hashable], absolute: bool = True) -> Contrast:
        """Mean cosine of two texts' context effects with the same label, and with different ones.

        Args:
            labels: one a text, such as its topic or its source.
            absolute: take absolute cosines, as in the published table.

        Raises:
            DataError: if there is not one label a text, or no pair of either kind.
        """
        if len(labels) != len(self.context):
            raise DataError(f"{len(labels)} labels were given for {len(self.context)} texts; give one a text")
        numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
        unit, kind = _unit(self.context), np.array([numbers[label] for label in labels])
        cosine = unit @ unit.T
        same, others = kind[:, None] == kind, ~np.eye(len(kind), dtype=bool)
        if not (same & others).any() or same.all():
            raise DataError("a contrast needs two labels, and one of them on two texts or more")
        value = np.abs(cosine) if absolute else cosine
        return Contrast(float(value[same & others].mean()), float(value[~same].mean()))

    def explained_variance(self) -> Shares:
        """Shares of position, context and the rest in the variance."""
        position, context = (np.square(effect).sum(axis=1).mean() for effect in (self.position, self.context))
        if self.variance == 0:
            return Shares(0.0, 0.0, 0.0)
        shares = float(position / self.variance), float(context / self.variance)
        return Shares(*shares, max(0.0, 1 - sum(shares)))

    def remove_position(self, hidden: ArrayLike) -> Effects:
        """States ``[..., T, D]``, of these texts or others, without the effect of the position."""
        states = np.asarray(hidden, np.float64)
        if states.shape[-2:] != self.position.shape:
            places, dims = self.position.shape
            raise DataError(f"states have shape {states.shape}; expected [..., {places}, {dims}]")
        return np.asarray(states - self.position)

    def table(self) -> list[Row]:
        shares = self.explained_variance()
        return [
            {
                **shares._asdict(),
                "rank": self.rank(),
                "stable_rank": self.stable_rank(),
                "smoothness": self.smoothness(),
                "incoherence": self.incoherence(),
                "relative_norm": self.relative_norm(),
            }
        ]


class PositionContextSums:
    """What `decompose_position_context` needs of states that come batch by batch; the states are not kept.

    Example:
        >>> states = np.random.default_rng(0).normal(size=(6, 4, 8))
        >>> from plait.analysis import decompose_position_context
        >>> sums = PositionContextSums().partial_fit(states[:2]).partial_fit(states[2:])
        >>> bool(np.allclose(sums.effects().position, decompose_position_context(states).position))
        True
    """

    def __init__(self) -> None:
        self._places: Effects | None = None
        self._texts: list[Effects] = []
        self._squares = 0.0

    def partial_fit(self, hidden: ArrayLike) -> Self:
        """Add states ``[C, T, D]`` of further texts.

        Raises:
            DataError: if they are no finite ``[C, T, D]`` array with a text, or of another T or D than before.
        """
        states = np.asarray(hidden, np.float64)
        if states.ndim != 3 or not states.size or not np.isfinite(states).all():
            raise DataError(f"states have shape {states.shape}; expected finite [C, T, D] with at least one text")
        sums = states.sum(axis=0)
        if self._places is not None and self._places.shape != sums.shape:
            places, dims = self._places.shape
            raise DataError(f"states have shape {states.shape}; those before had [C, {places}, {dims}]")
        self._places = sums if self._places is None else self._places + sums
        self._texts.append(states.mean(axis=1))
        self._squares += float(np.square(states).sum())
        return self

    def effects(self) -> PositionContext:
        """The decomposition of all states so far, without a residual.

        Raises:
            DataError: before any states.
        """
        if self._places is None:
            raise DataError("no states were given yet; call partial_fit first")
        texts = np.concatenate(self._texts)
        places = self._places / len(texts)
        mean = places.mean(axis=0)
        variance = self._squares / (len(texts) * len(places)) - float(mean @ mean)
        return PositionContext(mean, places - mean, texts - mean, max(0.0, variance))


def decompose_position_context(hidden: ArrayLike) -> PositionContext:
    """Take the states of one layer apart into a mean, effects of position, effects of text, and the rest.

    Args:
        hidden: ``[C, T, D]`` states of C texts at the same T positions. Leave the first position out where all texts
            share it, start texts anywhere in a document rather than at its start, and give some hundred of them: the
            error of a position's effect falls with 1 / √C only, and what is left of it looks like rank.

    Raises:
        DataError: if it is no finite ``[C, T, D]`` array with a text.

    Example:
        >>> effects = decompose_position_context(np.random.default_rng(0).normal(size=(6, 4, 8)))
        >>> float(abs(effects.position.sum(axis=0)).max()) < 1e-12
        True

    Source: Uncovering hidden geometry in Transformers via disentangling position and context, arXiv 2310.04861.
    """
    found = PositionContextSums().partial_fit(hidden).effects()
    fitted = found.mean + found.position + found.context[:, None]
    residual = np.asarray(hidden, np.float64) - fitted
    return PositionContext(found.mean, found.position, found.context, found.variance, residual)


def effects_by_layer(
    encoder: Encoder, items: Items, positions: int = 128, layers: Sequence[int] | None = None
) -> dict[int, PositionContext]:
    """`decompose_position_context` of every layer of an encoder, batch by batch.

    Of every text the tokens at positions 1 to ``positions`` are taken: the first token, often a special one that dwarfs
    the others, is not.

    Args:
        encoder: whose states are taken apart.
        items: texts of more than ``positions`` + 1 tokens, specials included; others are left out.
        positions: T.
        layers: which layers; None takes all.

    Returns:
        By layer; contexts stand in the order of the items that are long enough.

    Raises:
        DataError: if fewer than ten texts are long enough.
        RecipeError: for a layer that the encoder does not have.

    Example:
        >>> from plait import StaticTable
        >>> texts = [f"{n} {' '.join(['word'] * 12)}" for n in range(20)]
        >>> effects_by_layer(StaticTable("wordllama"), texts, positions=8)[0].context.shape
        (20, 256)
    """
    chosen = chosen_layers(encoder, layers)
    tokens = tokenized(encoder, items)
    tokens = tokens.take(long_enough(tokens, positions))
    sums = {layer: PositionContextSums() for layer in chosen}
    batches = plan_batches(tokens, encoder.budget)
    for rows in batches:
        states = first_positions(encoder.states(tokens.take(rows), chosen), positions)
        for plane, total in zip(states, sums.values(), strict=True):
            total.partial_fit(plane)
    back = np.argsort(np.concatenate(batches))
    return {layer: _ordered(total.effects(), back) for layer, total in sums.items()}


def _ordered(effects: PositionContext, order: NDArray[np.int64]) -> PositionContext:
    return PositionContext(effects.mean, effects.position, effects.context[order], effects.variance)


def _unit(rows: Effects) -> Effects:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1))
