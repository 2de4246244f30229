"""Texts as one vector a token, and how two of them are compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from plait.plan import Progress, plan_batches
from plait.roles import Encoder, LayerMix, Pooling
from plait.step import Chain, Step, unit_rows
from plait.types import DataError, Floats, Ints, RecipeError, Tokens


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """States of the tokens of some texts.

    Attributes:
        rows: ``[N]`` numbers of the texts among all.
        tokens: of these texts.
        states: ``[T, D]``, layers mixed.
        own: ``[T]`` which tokens are pooled and stand for something in their text: neither specials nor a prompt.
    """

    rows: Ints
    tokens: Tokens
    states: Floats
    own: NDArray[np.bool_]

    @property
    def texts(self) -> Ints:
        """``[T]`` position in ``rows`` of the text that each token belongs to."""
        return np.repeat(np.arange(len(self.rows)), self.tokens.lengths)


class TokenEncoder:
    """The vectors of a text's tokens, as an encoder and a mix of its layers give them.

    Args:
        recipe: an encoder, with a layer step behind it if it is not the last layer that is read. Its weights are loaded
            at once.

    Attributes:
        width: D, numbers in a vector.

    Raises:
        RecipeError: if the recipe holds something else.

    Example:
        >>> from plait import Layer, Transformer
        >>> tokens = TokenEncoder(Transformer("all-MiniLM-L6-v2") | Layer(4))
        >>> [vectors.shape for vectors in tokens.vectors(["a", "two words"], "query")]
        [(3, 384), (4, 384)]
    """

    def __init__(self, recipe: Encoder | Chain) -> None:
        self.recipe = recipe
        steps = list(recipe.steps) if isinstance(recipe, Chain) else [recipe]
        encoder, *mixes = steps
        if not isinstance(encoder, Encoder) or not all(isinstance(mix, LayerMix) for mix in mixes) or len(mixes) > 1:
            raise RecipeError(
                f"{recipe} gives no token vectors; expected an encoder, and perhaps a layer step behind it"
            )
        self.encoder, self.width = encoder, encoder.width
        self.mix = mixes[0].mix(encoder.depth) if mixes else ((encoder.depth, 1.0),)

    @classmethod
    def of(cls, recipe: Step) -> TokenEncoder:
        """The token vectors that a recipe pools.

        Raises:
            RecipeError: if it has several encoders, changes its encoder, or pools something else than states.
        """
        steps = list(recipe.steps) if isinstance(recipe, Chain) else [recipe]
        kept = list(takewhile(lambda step: isinstance(step, Encoder | LayerMix), steps))
        if not kept or len(kept) == len(steps) or not isinstance(steps[len(kept)], Pooling):
            raise RecipeError(
                f"{recipe} has no one kind of token vectors; expected an encoder, perhaps a layer step, and a pooling"
            )
        return cls(Chain(kept))

    def batches(
        self, texts: Sequence[str], role: str = "document", progress: Progress | None = None
    ) -> Iterator[TokenBatch]:
        """States of all texts, batch by batch, longest first; texts without a token are in none.

        Args:
            texts: N texts.
            role: "query" or "document".
            progress: called with a label, tokens read, tokens in all.

        Raises:
            RecipeError: if the encoder does not tell where its tokens stand in a text.
            DataError: if one of the texts is none.
        """
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise DataError(f"{repr(texts)[:60]} is no list of texts; token vectors are made of texts only")
        encoder = self.encoder.asked(role)
        tokens, done = encoder.spanned(list(texts)), 0
        for rows in plan_batches(tokens, encoder.budget):
            part = tokens.take(rows)
            yield TokenBatch(rows, part, self._mixed(encoder, part), _own(part, [len(texts[row]) for row in rows]))
            done += len(part.ids)
            if progress:
                progress("reading", done, len(tokens.ids))

    def _mixed(self, encoder: Encoder, tokens: Tokens) -> Floats:
        states = encoder.states(tokens, tuple(sorted(layer for layer, _ in self.mix)))
        mixed: Floats = np.sum([np.float32(weight) * states.layer(layer) for layer, weight in self.mix], axis=0)
        return mixed

    def vectors(self, texts: Sequence[str], role: str = "document") -> list[Floats]:
        """``[T, D]`` vectors of length 1 for each text, one for each token that is pooled."""
        encoder = self.encoder.asked(role)
        tokens = encoder.tokenize(list(texts))
        out = [np.zeros((0, self.width), np.float32)] * len(texts)
        for rows in plan_batches(tokens, encoder.budget):
            part = tokens.take(rows)
            unit = unit_rows(self._mixed(encoder, part)[part.index])
            for row, start, end in zip(rows.tolist(), part.bounds[:-1].tolist(), part.bounds[1:].tolist(), strict=True):
                out[row] = unit[start:end]
        return out


def _own(tokens: Tokens, sizes: Sequence[int]) -> NDArray[np.bool_]:
    """``[T]`` which pooled tokens stand for characters of their text; ``sizes`` are the texts' characters."""
    assert tokens.spans is not None
    starts, ends = tokens.spans.T
    pooled = np.zeros(len(tokens.ids), np.bool_)
    pooled[tokens.index] = True
    own: NDArray[np.bool_] = pooled & (ends > np.maximum(starts, 0)) & (starts < np.repeat(sizes, tokens.lengths))
    return own


def max_similarity(query: Floats, document: Floats) -> float:
    """Mean over the query's tokens of the best dot product with a token of the document.

    Args:
        query: ``[T, D]``.
        document: ``[S, D]``.

    Returns:
        0 where either has no token.

    Source: ColBERT: Efficient and Effective Passage Search via Contextualized Late Interaction over BERT, arXiv
    2004.12832.

    Example:
        >>> max_similarity(np.eye(2, dtype=np.float32), np.array([[1, 0], [0.5, 0.5]], np.float32))
        0.75
    """
    if not len(query) or not len(document):
        return 0.0
    return float((query @ document.T).max(axis=1).mean())
