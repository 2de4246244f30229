"""What becomes of a model when one of its blocks is left out, exchanged with the next, or run twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plait.analysis.predictions import FIGURES, Sample, compared
from plait.analysis.result import Diagnosis, Row
from plait.analysis.streaming import tokenized
from plait.encoders.interventions import reordered
from plait.encoders.transformer import Transformer
from plait.encoders.vocabulary_head import vocabulary_head
from plait.pooling.mean import MeanPool
from plait.roles import Pooling
from plait.step import Chain, unit_rows
from plait.types import Floats, ModelError, RecipeError, Vectors

Done = Callable[[int, int], None]

ORDERS: Mapping[str, Callable[[list[int], int], list[int]]] = {
    "delete": lambda blocks, n: [*blocks[: n - 1], *blocks[n:]],
    "swap": lambda blocks, n: [*blocks[: n - 1], n + 1, n, *blocks[n + 1 :]],
    "repeat": lambda blocks, n: [*blocks[:n], n, *blocks[n:]],
}
"""The blocks in the order that each kind of intervention runs them in."""


@dataclass(frozen=True, eq=False)
class LayerIntervention(Diagnosis):
    """What `layer_intervention` found.

    Attributes:
        kind: "delete", "swap" or "repeat".
        layers: ``L`` numbers of the blocks; a swap exchanges a block with the next.
        figures: by name, ``[L]``. Always "agreement": of a decoder the share of positions with the same first choice of
            a next token, of another encoder the mean cosine of a text's vector and what it was. Of decoders also
            "kl" (nats, from the unchanged predictions), "loss_delta" (nats) and "entropy" (bits).
    """

    axes = ("layer", "agreement")

    kind: str
    layers: tuple[int, ...]
    figures: Mapping[str, NDArray[np.float64]]

    @property
    def agreement(self) -> NDArray[np.float64]:
        """``[L]`` how much of what the unchanged model says is kept; 1 is all."""
        return self.figures["agreement"]

    def table(self) -> list[Row]:
        return [
            {"layer": layer} | {name: float(values[number]) for name, values in self.figures.items()}
            for number, layer in enumerate(self.layers)
        ]


def layer_intervention(
    encoder: Transformer,
    texts: Sequence[str],
    kind: str = "delete",
    layers: Sequence[int] | None = None,
    positions: int = 600,
    pooling: Pooling | None = None,
    seed: int = 0,
    progress: Done | None = None,
) -> LayerIntervention:
    """Change the order of a model's blocks, one block after the other, and compare with the model as it is.

    Args:
        encoder: a decoder that uses its token table for output is judged by its next-token predictions, any other
            model by its text vectors.
        texts: ordinary ones, a few dozen.
        kind: "delete" leaves a block out, "swap" exchanges it with the next, "repeat" runs it twice.
        layers: blocks, 1 … depth; None takes all (for a swap, all but the last).
        positions: at which predictions are compared, drawn from all but first tokens; the output matrix of a large
            vocabulary is what takes the time.
        pooling: for models that are judged by text vectors; None takes the mean.
        seed: of the positions.
        progress: called with blocks done and blocks in all.

    Raises:
        RecipeError: for another kind, a block that is not there, or a model without blocks that can be exchanged.
        DataError: if the texts hold no token.

    Example:
        >>> layer_intervention(Transformer("all-MiniLM-L6-v2"), ["a text", "and another"], layers=[3]).layers
        (3,)

    Source: The Remarkable Robustness of LLMs: Stages of Inference?, arXiv 2406.19384.
    """
    chosen = _blocks(encoder, kind, layers)
    if _predicts(encoder):
        figures = _predictions(encoder, texts, kind, chosen, (positions, seed), progress)
    else:
        figures = {"agreement": _vectors(encoder | (pooling or MeanPool()), encoder, texts, kind, chosen, progress)}
    return LayerIntervention(kind, chosen, figures)


def _blocks(encoder: Transformer, kind: str, layers: Sequence[int] | None) -> tuple[int, ...]:
    if kind not in ORDERS:
        raise RecipeError(f"kind is {kind!r}; expected one of {', '.join(ORDERS)}")
    if not isinstance(encoder, Transformer):
        raise RecipeError(f"{encoder} has no blocks to {kind}; give a Transformer")
    last = encoder.depth - (kind == "swap")
    chosen = tuple(range(1, last + 1)) if layers is None else tuple(layers)
    if not chosen or any(not 1 <= layer <= last for layer in chosen):
        raise RecipeError(f"layers is {list(chosen)}; {encoder} has blocks 1 to {last} to {kind}")
    if kind == "delete" and encoder.depth == 1:
        raise RecipeError(f"{encoder} has one block; without it there is no model")
    return chosen


def _predicts(encoder: Transformer) -> bool:
    try:
        vocabulary_head(encoder.host)
    except ModelError:
        return False
    return True


def _predictions(
    encoder: Transformer,
    texts: Sequence[str],
    kind: str,
    chosen: tuple[int, ...],
    drawn: tuple[int, int],
    progress: Done | None,
) -> dict[str, NDArray[np.float64]]:
    sample = Sample.draw(tokenized(encoder, texts), *drawn)
    base = sample.states(encoder, (encoder.depth,))[0]
    changed = [
        states[0] for states in _rewired(encoder, kind, chosen, lambda last: sample.states(encoder, (last,)), progress)
    ]
    head = vocabulary_head(encoder.host)
    found = compared(base, changed, sample.targets, head.logits, head.logits)
    return dict(zip(FIGURES, found.T, strict=True))


def _vectors(
    recipe: Chain,
    encoder: Transformer,
    texts: Sequence[str],
    kind: str,
    chosen: tuple[int, ...],
    progress: Done | None,
) -> NDArray[np.float64]:
    def encode() -> Floats:
        vectors = recipe.encode(texts)
        assert isinstance(vectors, Vectors)
        return unit_rows(vectors.values)

    tokenized(encoder, texts)
    base = encode()
    kept = _rewired(encoder, kind, chosen, lambda last: encode(), progress)
    return np.array([np.einsum("nd,nd->", base, vectors, dtype=np.float64) / len(base) for vectors in kept])


def _rewired(
    encoder: Transformer, kind: str, chosen: tuple[int, ...], measure: Callable[[int], Floats], progress: Done | None
) -> list[Floats]:
    """What ``measure`` gives, called with the number of the last layer, for every block that is changed."""
    blocks, out = list(range(1, encoder.depth + 1)), []
    for number, layer in enumerate(chosen, 1):
        order = ORDERS[kind](blocks, layer)
        with reordered(encoder.host, order):
            out.append(measure(len(order)))
        if progress:
            progress(number, len(chosen))
    return out
