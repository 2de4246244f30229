"""Which layer of an encoder to take when there are texts but no labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from plait.analysis.augmentation import augment
from plait.analysis.invariance import dime, infonce, lidar
from plait.analysis.result import Diagnosis, Row
from plait.analysis.streaming import chosen_layers
from plait.layers.single import Layer
from plait.plan import Progress, run
from plait.roles import Encoder, Pooling
from plait.step import unit_rows
from plait.types import DataError, Floats, RecipeError, Tokens


class Metric(NamedTuple):
    """A measure of views: how it is computed, whether more of it is better, and how many views it wants of a text."""

    measure: Callable[[Floats, int], float]
    sign: int
    views: int


class _MeanDirection(Pooling):
    """The mean of a text's states, each less the mean of all and brought to length 1 first."""

    def pool(self, values: Floats, tokens: Tokens) -> Floats:
        lengths = np.diff(tokens.bounds)
        states, unit = values[tokens.index], np.repeat(np.arange(len(lengths)), lengths)
        out = np.zeros((len(lengths), values.shape[1]), np.float32)
        full, starts = lengths > 0, tokens.bounds[:-1][lengths > 0]
        if full.any():
            out[full] = np.add.reduceat(states, starts) / lengths[full, None]
            out[full] = np.add.reduceat(unit_rows(states - out[unit]), starts) / lengths[full, None]
        return out


METRICS: Mapping[str, Metric] = {
    "dime": Metric(lambda views, seed: dime(views, random_state=seed), 1, 2),
    "infonce": Metric(lambda views, seed: infonce(views), -1, 2),
    "lidar": Metric(lambda views, seed: lidar(views), 1, 8),
}


@dataclass(frozen=True, eq=False)
class LayerChoice(Diagnosis):
    """What `select_layer` found.

    Attributes:
        metric: what was measured.
        layers: ``L`` layers that were looked at.
        scores: ``[L]`` figure of each.
        index: the layer to take.
    """

    axes = ("layer", "score")

    metric: str
    layers: tuple[int, ...]
    scores: NDArray[np.float64]
    index: int

    def table(self) -> list[Row]:
        rows = zip(self.layers, self.scores, strict=True)
        return [{"layer": layer, "score": float(score), "chosen": float(layer == self.index)} for layer, score in rows]


def select_layer(
    encoder: Encoder,
    texts: Sequence[str],
    metric: str = "dime",
    pooling: Pooling | None = None,
    layers: Sequence[int] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> LayerChoice:
    """Choose the layer whose text vectors change least with how a text is typed, beside how much they tell texts apart.

    No label is needed: every text is read in several misspelt copies, and a measure of invariance is taken of their
    vectors layer by layer. One forward pass serves all layers. Look at the scores before you trust the choice: where
    they differ little, or where labels can be had, score the layers themselves.

    Args:
        encoder: whose layers are compared.
        texts: a few hundred; like those that will be embedded.
        metric: "dime" (most is best) or "infonce" (least is best), with two copies of a text; "lidar" (most is best),
            with eight.
        pooling: how token states become a vector; None takes the mean of the states' directions from their own
            text's mean, as published: what all tokens of a text share would drown everything else.
        layers: which layers; None compares all.
        seed: of the misspellings and shuffles.
        progress: called as the pass goes on.

    Raises:
        DataError: for fewer than two texts.
        RecipeError: for a metric that is not there, or a layer that the encoder does not have.

    Example:
        >>> from plait import StaticTable
        >>> select_layer(StaticTable("wordllama"), ["a first text", "a second one"], metric="infonce").index
        0

    Source: Layer by Layer: Uncovering Hidden Representations in Language Models, arXiv 2502.02013.
    """
    if metric not in METRICS:
        raise RecipeError(f"metric is {metric!r}; expected one of {', '.join(METRICS)}")
    views = view_vectors(encoder, texts, METRICS[metric].views, pooling, layers, seed, progress)
    return choose_layer(views, metric, seed)


def choose_layer(views: Mapping[int, Floats], metric: str = "dime", seed: int = 0) -> LayerChoice:
    """The choice that `select_layer` makes, of views that are there already.

    Args:
        views: ``[N, q, D]`` by layer; two views of a text, or more for "lidar".
        metric: as in `select_layer`.
        seed: of the shuffles.

    Example:
        >>> random = np.random.default_rng(0)
        >>> texts = random.normal(size=(20, 1, 4))
        >>> views = {layer: texts + spread * random.normal(size=(20, 2, 4)) for layer, spread in ((0, 2), (1, 0.1))}
        >>> choose_layer(views).index
        1
    """
    measure, sign, _ = METRICS[metric]
    scores = np.array([measure(plane, seed) for plane in views.values()])
    return LayerChoice(metric, tuple(views), scores, list(views)[int((sign * scores).argmax())])


def view_vectors(
    encoder: Encoder,
    texts: Sequence[str],
    copies: int = 2,
    pooling: Pooling | None = None,
    layers: Sequence[int] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[int, Floats]:
    """Vectors of misspelt copies of every text: ``[N, copies, D]`` by layer, of one forward pass.

    Args:
        encoder: whose layers are looked at.
        texts: two or more.
        copies: of each text.
        pooling: as in `select_layer`.
        layers: which layers; None takes all.
        seed: of the misspellings.
        progress: called as the pass goes on.

    Raises:
        DataError: for fewer than two texts.
    """
    if len(texts) < 2:
        raise DataError(f"{len(texts)} texts were given; at least two are needed to tell texts apart")
    copied = augment(texts, copies, seed)
    unique = list(dict.fromkeys(copied))
    place = {text: number for number, text in enumerate(unique)}
    rows = [place[text] for text in copied]
    chosen = chosen_layers(encoder, layers)
    pool: Pooling = clone(pooling or _MeanDirection())
    pool.fit(encoder.tokenize(unique))
    strands = {layer: next((encoder | Layer(layer) | pool).strands()) for layer in chosen}
    vectors, _ = run(strands.values(), unique, progress=progress)
    return {layer: vectors[strand.text][rows].reshape(len(texts), copies, -1) for layer, strand in strands.items()}
