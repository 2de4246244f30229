"""Vectors with the tokens that each text cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plait import plan
from plait.roles import Quantiser
from plait.step import Composite
from plait.store.blocks import float_part
from plait.types import Floats, Ints, Items, Tokens


@dataclass(frozen=True, eq=False)
class Counted:
    """Vectors of some texts.

    Attributes:
        values: ``[N, D]``; of a recipe that ends in codes, a query as it goes into a search and a document as its code
            decodes, so that their cosine is the score of a search.
        tokens: ``[N]`` that the encoders read for each text.
        cut: ``[N]`` that the length limit dropped.
    """

    values: Floats
    tokens: Ints
    cut: Ints

    def __getitem__(self, rows: slice) -> Counted:
        return Counted(self.values[rows], self.tokens[rows], self.cut[rows])

    @classmethod
    def joined(cls, parts: Sequence[Counted]) -> Counted:
        """One after the other."""
        if len(parts) == 1:
            return parts[0]
        columns = zip(*((part.values, part.tokens, part.cut) for part in parts), strict=True)
        return cls(*map(np.concatenate, columns))


def encode_counted(recipe: Composite, texts: Sequence[str], role: str) -> Counted:
    """Encode texts, equal ones once, and count the tokens of each.

    Args:
        recipe: a fitted recipe that gives one vector a text.
        texts: what to encode, one at least.
        role: "query" or "document".

    Example:
        >>> from plait import MeanPool, StaticTable
        >>> counted = encode_counted(StaticTable("wordllama") | MeanPool(), ["a text", "a", "a text"], "document")
        >>> counted.tokens.tolist(), counted.values.shape
        ([2, 1, 2], (3, 256))
    """
    place = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    readers: dict[str, _Counting] = {}
    for strand in recipe.strands():
        readers.setdefault(strand.source, _Counting(strand.encoder))
    strands = [replace(strand, encoder=readers[strand.source]) for strand in recipe.strands()]
    given, _ = plan.run(strands, list(place), role=role)
    whole = Counted(
        _floats(recipe, given, role),
        np.sum([reader.lengths for reader in readers.values()], axis=0),
        np.max([reader.cut for reader in readers.values()], axis=0),
    )
    if len(place) == len(texts):
        return whole
    rows = np.array([place[text] for text in texts])
    return Counted(whole.values[rows], whole.tokens[rows], whole.cut[rows])


def _floats(recipe: Composite, given: dict[str, Floats], role: str) -> Floats:
    quantiser = recipe.quantiser
    if quantiser is None or role == "query":
        return np.asarray(float_part(recipe).weave(given), np.float32)
    assert isinstance(quantiser, Quantiser)
    return quantiser.inverse_transform(recipe.weave(given))


class _Counting:
    """An encoder that remembers how long the texts were that it tokenised."""

    def __init__(self, encoder: plan.EncoderLike) -> None:
        self.encoder = encoder

    def __getattr__(self, name: str) -> Any:
        return getattr(self.encoder, name)

    def asked(self, role: str) -> _Counting:
        self.encoder = self.encoder.asked(role)
        return self

    def tokenize(self, items: Items) -> Tokens:
        tokens = self.encoder.tokenize(items)
        self.lengths, self.cut = tokens.lengths, tokens.cut
        return tokens
