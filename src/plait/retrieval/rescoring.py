"""A slower, better look at the few that a search found."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from plait._lazy import need
from plait.recipe import parse
from plait.retrieval.late_interaction import TokenEncoder, max_similarity
from plait.retrieval.rank_fusion import NORMS
from plait.retrieval.settings import TOKENS
from plait.step import Chain, Composite
from plait.store.ranking import Hit
from plait.types import Floats, ModelError, RecipeError


class Scorer(Protocol):
    """How well texts answer a query."""

    def scores(self, query: str, texts: Sequence[str]) -> Floats:
        """``[N]`` scores of N texts; larger is better."""


class CrossEncoder:
    """A model that reads query and text together.

    Args:
        model: a folder or Hugging Face id that sentence-transformers opens as a cross-encoder.
        max_length: tokens of a pair that are read; None takes the model's own limit.

    Raises:
        ModelError: if it cannot be loaded.
        MissingExtra: if sentence-transformers is not installed.
    """

    def __init__(self, model: str, max_length: int | None = None) -> None:
        self.model, self.max_length = model, max_length

    @cached_property
    def _loaded(self) -> Any:
        library: Any = need("sentence_transformers", "torch")
        try:
            return library.CrossEncoder(self.model, max_length=self.max_length)
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"cannot load the cross-encoder {self.model!r}: {reason}") from error

    def scores(self, query: str, texts: Sequence[str]) -> Floats:
        found = self._loaded.predict([(query, text) for text in texts], show_progress_bar=False)
        return np.asarray(found, np.float32).reshape(len(texts), -1)[:, 0]


class LateInteraction:
    """The sum of each query token's best match among a text's tokens.

    Args:
        encoder: gives vectors of tokens.
    """

    def __init__(self, encoder: TokenEncoder) -> None:
        self.encoder = encoder

    def scores(self, query: str, texts: Sequence[str]) -> Floats:
        (asked,) = self.encoder.vectors([query], "query")
        return np.array(
            [max_similarity(asked, tokens) for tokens in self.encoder.vectors(texts, "document")], np.float32
        )


def scorer(text: str, recipe: Composite) -> Scorer:
    """Who looks at the best again, by what names it.

    Args:
        text: "tokens" compares token vectors of the recipe's own encoder, the text of an encoder those of another;
            anything else names a cross-encoder.
        recipe: of the index.

    Raises:
        RecipeError: if the text has brackets and is no encoder.

    Example:
        >>> from plait import MeanPool, StaticTable
        >>> own = scorer("tokens", StaticTable("wordllama") | MeanPool())
        >>> own.scores("a flute", ["a man plays the flute", "rain"]).argmax()
        np.int64(0)
    """
    if text == TOKENS:
        return LateInteraction(TokenEncoder.of(recipe))
    if "(" not in text:
        return CrossEncoder(text)
    step = parse(text)
    if not isinstance(step, Chain):
        raise RecipeError(f"{text} gives no token vectors; expected an encoder, and perhaps a layer step behind it")
    return LateInteraction(TokenEncoder(step))


def rescore(query: str, hits: Sequence[Hit], scorer: Scorer, k: int, share: float = 1.0) -> list[Hit]:
    """The best k of some hits by another score; of equal scores the earlier hit comes first.

    Args:
        query: a text.
        hits: best first.
        scorer: looks at their texts.
        k: how many to keep.
        share: what the new score weighs beside the old, both brought to 0 … 1 over the hits; 1 forgets the old.

    Example:
        >>> class Shorter:
        ...     def scores(self, query, texts):
        ...         return np.array([-len(text) for text in texts])
        >>> [hit.text for hit in rescore("?", [Hit("1", "long text", 0.9), Hit("2", "text", 0.1)], Shorter(), k=1)]
        ['text']
    """
    if not hits:
        return []
    scores = np.asarray(scorer.scores(query, [hit.text for hit in hits]), np.float32)
    if share < 1:
        before = np.array([hit.score for hit in hits], np.float32)
        scores = np.float32(share) * NORMS["minmax"](scores) + np.float32(1 - share) * NORMS["minmax"](before)
    order = np.argsort(-scores, kind="stable")[:k].tolist()
    return [Hit(hits[place].id, hits[place].text, float(scores[place]), hits[place].metadata) for place in order]
