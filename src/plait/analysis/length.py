"""What the length of a text does to its vector."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from plait.analysis.result import Diagnosis, Row
from plait.encoders.transformer import Transformer
from plait.plan import Strand
from plait.step import Chain, unit_rows
from plait.types import DataError, Floats, RecipeError, Vectors

LENGTHS = (16, 32, 64, 128, 256)
BATCH = 4
"""Texts whose attention weights are held at once: 4 texts of 256 tokens and 12 heads are 12 MB a block."""


def low_pass_rate(attention: ArrayLike) -> NDArray[np.float64]:
    """How much of the differences between tokens an attention matrix can keep.

    The largest singular value of ``(I − 11ᵀ/T) A``: 0 when every token becomes the mean of all, so that a layer is a
    perfect low-pass filter.

    Args:
        attention: ``[..., T, T]`` attention weights, rows summing to 1.

    Returns:
        ``[...]``, one number a matrix.

    Raises:
        DataError: if the matrices are not square.

    Example:
        >>> low_pass_rate([np.full((4, 4), 0.25), np.eye(4)]).round(6).tolist()
        [0.0, 1.0]

    Source: Length-Induced Embedding Collapse in Transformer-based Models, arXiv 2410.24200.
    """
    weights = np.asarray(attention, np.float64)
    if weights.ndim < 2 or weights.shape[-1] != weights.shape[-2] or not weights.shape[-1]:
        raise DataError(f"attention has shape {weights.shape}; expected [..., T, T] with T above 0")
    high = weights - weights.mean(axis=-2, keepdims=True)
    # the square of a singular value is an eigenvalue of the Gram matrix, which is far cheaper to have
    largest = np.linalg.eigvalsh(np.swapaxes(high, -1, -2) @ high)[..., -1]
    return np.asarray(np.sqrt(np.maximum(largest, 0)))


@dataclass(frozen=True, eq=False)
class LengthProfile(Diagnosis):
    """What `length_profile` found.

    Attributes:
        lengths: ``K`` numbers of tokens that the texts were cut to.
        mean_cosine: ``[K]`` mean cosine of all pairs of texts.
        centre_distance: ``[K]`` mean Euclidean distance of a text's vector of length 1 to the mean of all.
        rates: ``[K, L]`` `low_pass_rate` of each block, averaged over heads and texts; None for encoders without
            attention.
        scores: ``[K]`` what the caller's ``score`` gave; None without one.
        texts: how many texts were long enough.
    """

    axes = ("length", "mean_cosine")

    lengths: tuple[int, ...]
    mean_cosine: NDArray[np.float64]
    centre_distance: NDArray[np.float64]
    rates: NDArray[np.float64] | None
    scores: NDArray[np.float64] | None
    texts: int

    def table(self) -> list[Row]:
        rows: list[Row] = []
        for number, length in enumerate(self.lengths):
            row: Row = {
                "length": length,
                "mean_cosine": float(self.mean_cosine[number]),
                "centre_distance": float(self.centre_distance[number]),
            }
            if self.rates is not None:
                row["low_pass_rate"] = float(self.rates[number].mean())
            if self.scores is not None:
                row["score"] = float(self.scores[number])
            rows.append(row)
        return rows


def length_profile(
    recipe: Chain,
    texts: Sequence[str],
    lengths: Sequence[int] = LENGTHS,
    score: Callable[[Floats], float] | None = None,
    rate_texts: int = 8,
) -> LengthProfile:
    """How alike the vectors of texts become as the same texts get longer.

    Every text is cut to each of the lengths, so that what they are about stays the same. Texts shorter than the longest
    length are left out.

    Args:
        recipe: a chain that starts with an encoder that takes ``max_length``; changes of its inside are in force.
        texts: long ones.
        lengths: tokens to cut to, specials included; up to the encoder's limit.
        score: of the ``[N, D]`` vectors at one length, such as an accuracy; optional.
        rate_texts: texts whose attention matrices are looked at; they cost the most.

    Raises:
        RecipeError: if the recipe does not start so, or gives no float vectors.
        DataError: if fewer than two texts are long enough.

    Example:
        >>> from plait import MeanPool, StaticTable
        >>> profile = length_profile(StaticTable("wordllama") | MeanPool(), ["one two three", "four five six"], [1, 2])
        >>> profile.lengths, profile.rates
        ((1, 2), None)

    Source: Length-Induced Embedding Collapse in Transformer-based Models, arXiv 2410.24200.
    """
    encoder = recipe.steps[0] if isinstance(recipe, Chain) else recipe
    if not isinstance(recipe, Chain) or not hasattr(encoder, "max_length") or recipe.gives is not Vectors:
        raise RecipeError(f"{recipe} cannot be cut to lengths: it must start with one encoder and end in float vectors")
    wanted = tuple(sorted(set(lengths)))
    strand = next(Chain([_cut(encoder, wanted[-1]), *recipe.steps[1:]]).strands())
    tokens = strand.encoder.tokenize(texts)
    long = [text for text, size in zip(texts, tokens.lengths, strict=True) if size >= wanted[-1]]
    if len(long) < 2:
        raise DataError(f"{len(long)} of {len(texts)} texts have {wanted[-1]} tokens; give longer ones or cut shorter")
    cosines, distances, rates, scores = [], [], [], []
    for length in wanted:
        chain = Chain([_cut(encoder, length), *recipe.steps[1:]])
        encoded = chain.encode(long)
        assert isinstance(encoded, Vectors)
        unit = unit_rows(encoded.values).astype(np.float64)
        cosines.append((np.square(unit.sum(axis=0)).sum() - len(unit)) / (len(unit) * (len(unit) - 1)))
        distances.append(np.linalg.norm(unit - unit.mean(axis=0), axis=1).mean())
        if isinstance(encoder, Transformer):
            rates.append(_rates(next(chain.strands()), long[:rate_texts]))
        if score is not None:
            scores.append(score(encoded.values))
    return LengthProfile(
        wanted,
        np.array(cosines),
        np.array(distances),
        np.array(rates) if rates else None,
        np.array(scores) if scores else None,
        len(long),
    )


def _cut(encoder: object, length: int) -> Transformer:
    """The encoder, reading that many tokens."""
    cut: Transformer = clone(encoder).set_params(max_length=length)
    return cut


def _rates(strand: Strand, texts: Sequence[str]) -> NDArray[np.float64]:
    """``[L]`` rates of every block; all texts have the same number of tokens."""
    assert isinstance(strand.encoder, Transformer)
    tokens = strand.encoder.tokenize(texts)
    ids = tokens.ids.reshape(len(texts), -1)
    total = np.zeros(strand.encoder.depth)
    with contextlib.ExitStack() as stack:
        for change in strand.changes:
            stack.enter_context(change.change(strand.encoder))
        for start in range(0, len(ids), BATCH):
            weights = strand.encoder.host.attention(ids[start : start + BATCH])
            total += [low_pass_rate(block).mean(axis=1).sum() for block in weights]
    return total / len(ids)
