"""All that a model's layers say about some data, in two passes: curves over depth, cosines of pairs, and a map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from plait.analysis.entropy import matrix_entropy
from plait.analysis.layer_choice import choose_layer, view_vectors
from plait.analysis.pairs import Similarities, TextPairs, labels_of_task, pairs_of_task, similarities, text_of
from plait.analysis.result import Diagnosis, Row
from plait.analysis.streaming import chosen_layers
from plait.analysis.token_states import layer_profile
from plait.data.tasks import Task
from plait.layers.single import Layer
from plait.plan import run
from plait.pooling.mean import MeanPool
from plait.roles import Encoder
from plait.step import unit_rows
from plait.types import DataError, Floats

Listener = Callable[[str, int, int], None]
"""Called with a stage, tokens (or steps) done and in all."""


@dataclass(frozen=True, eq=False)
class Inspection(Diagnosis):
    """What `inspect_layers` found.

    Attributes:
        model: the encoder's text.
        data: the task's name.
        layers: ``L`` layers.
        curves: by name, ``[L]``: "score" (Spearman × 100 with gold scores, or the separation of pairs × 100),
            "infonce", "dime", "entropy", "text_entropy", "curvature", "norm" and "anisotropy".
        score: what the curve of that name is, for people.
        pairs: what makes a pair, for people.
        labelled: whether people said what belongs together.
        similarities: by layer.
        points: by layer, ``[N, 2]`` the texts' first two principal components.
        shares: by layer, the two components' shares of the variance.
        labels: one a point; "" for none.
        texts: one a point.
    """

    axes = ("layer", "score")

    model: str
    data: str
    layers: tuple[int, ...]
    curves: Mapping[str, NDArray[np.float64]]
    score: str
    pairs: str
    labelled: bool
    similarities: Mapping[int, Similarities]
    points: Mapping[int, NDArray[np.float64]]
    shares: Mapping[int, tuple[float, float]]
    labels: tuple[str, ...]
    texts: tuple[str, ...]

    @property
    def best(self) -> int:
        """The layer with the highest score."""
        return self.layers[int(self.curves["score"].argmax())]

    def table(self) -> list[Row]:
        return [
            {"layer": layer} | {name: float(curve[number]) for name, curve in self.curves.items()}
            for number, layer in enumerate(self.layers)
        ]


def inspect_layers(
    encoder: Encoder,
    task: Task,
    texts: int = 300,
    pairs: int = 500,
    layers: Sequence[int] | None = None,
    seed: int = 0,
    listener: Listener | None = None,
) -> Inspection:
    """Measure every layer of an encoder on some data, mean-pooled.

    Args:
        encoder: whose layers are looked at.
        task: its texts, and its labels if it has any.
        texts: drawn for everything that needs no labels; the cost of DiME grows with their cube.
        pairs: drawn, of texts that belong together.
        layers: which layers; None takes all.
        seed: of all draws.
        listener: called as it goes on.

    Raises:
        DataError: if there are fewer than three texts of three tokens.
        RecipeError: for a layer that the encoder does not have.

    Example:
        >>> from plait import StaticTable, read
        >>> inspect_layers(StaticTable("wordllama"), read("demo:stsb"), texts=20, pairs=50).layers
        (0,)
    """
    chosen = chosen_layers(encoder, layers)
    documents = list(dict.fromkeys(text_of(item) for item in [*task.documents, *task.queries]))
    sample = [documents[n] for n in np.random.default_rng(seed).permutation(len(documents))[:texts]]
    if len(sample) < 3:
        raise DataError(f"{task.name} has {len(sample)} different texts; at least three are needed")
    found = pairs_of_task(task, pairs, seed)
    vectors = _Vectors(encoder, [*sample, *found.texts], chosen, listener)
    told = _steps(listener, "token states")
    told(0)
    profile = layer_profile(encoder, sample, chosen)
    told(1)
    views = view_vectors(encoder, sample, 2, layers=chosen, seed=seed, progress=_named(listener, "misspelt copies"))
    compared = {layer: similarities(*vectors.of(layer, found.left, found.right)) for layer in chosen}
    score, scores = _scores(vectors, found, compared)
    maps = {layer: _map(vectors.of(layer, sample)[0]) for layer in chosen}
    curves = {
        "score": scores,
        "infonce": choose_layer(views, "infonce", seed).scores,
        "dime": choose_layer(views, "dime", seed).scores,
        "entropy": profile.entropy,
        "text_entropy": np.array([matrix_entropy(vectors.of(layer, sample)[0]) for layer in chosen]),
        "curvature": profile.curvature,
        "norm": profile.norm,
        "anisotropy": profile.anisotropy,
    }
    labels = labels_of_task(task)
    return Inspection(
        str(encoder),
        task.name,
        chosen,
        curves,
        score,
        found.source,
        found.labelled,
        compared,
        {layer: points for layer, (points, _) in maps.items()},
        {layer: shares for layer, (_, shares) in maps.items()},
        tuple(labels.get(text, "") for text in sample),
        tuple(sample),
    )


class _Vectors:
    """Mean-pooled vectors of texts at every layer, of one pass."""

    def __init__(
        self, encoder: Encoder, texts: Sequence[str], layers: Sequence[int], listener: Listener | None
    ) -> None:
        unique = list(dict.fromkeys(texts))
        self.row = {text: number for number, text in enumerate(unique)}
        strands = {layer: next((encoder | Layer(layer) | MeanPool()).strands()) for layer in layers}
        vectors, _ = run(strands.values(), unique, progress=_named(listener, "texts and pairs"))
        self.vectors = {layer: vectors[strand.text] for layer, strand in strands.items()}

    def of(self, layer: int, *groups: Sequence[str]) -> list[Floats]:
        """``[N, D]`` vectors of each group of texts."""
        return [self.vectors[layer][[self.row[text] for text in group]] for group in groups]


def _scores(
    vectors: _Vectors, pairs: TextPairs, compared: Mapping[int, Similarities]
) -> tuple[str, NDArray[np.float64]]:
    """What is scored, and the score of every layer."""
    if pairs.graded is None or len(set(pairs.graded[2].tolist())) < 3:
        scores = np.array([100 * found.separation for found in compared.values()])
        return "separation × 100: how often a pair that belongs together has a higher cosine than two others", scores
    left, right, gold = pairs.graded
    values = []
    for layer in compared:
        first, second = map(unit_rows, vectors.of(layer, left, right))
        cosine = np.einsum("nd,nd->n", first, second)
        values.append(100 * float(spearmanr(cosine, gold).statistic) if np.ptp(cosine) > 0 else 0.0)
    return "Spearman × 100 of cosines with the gold scores", np.array(values)


def _map(vectors: Floats) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """``[N, 2]`` first principal components of the directions, and their shares of the variance."""
    unit = unit_rows(vectors).astype(np.float64)
    centred = unit - unit.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    total = float(np.square(values).sum()) or 1.0
    first, second = (float(value) ** 2 / total for value in values[:2])
    return left[:, :2] * values[:2], (first, second)


def _named(listener: Listener | None, stage: str) -> Listener | None:
    return None if listener is None else lambda label, done, total: listener(stage, done, total)


def _steps(listener: Listener | None, stage: str) -> Callable[[int], None]:
    return lambda done: None if listener is None else listener(stage, done, 1)
