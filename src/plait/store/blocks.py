"""Texts to vectors, block by block: what a store writes, and what was lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from plait import plan
from plait.chunks import common, refuse_chunks
from plait.items import Expansion
from plait.roles import Encoder
from plait.step import Chain, Composite, walk
from plait.types import Codes, Ints

STATIC_BLOCK = 8192
"""Texts in a block of a recipe of static tables: enough to keep the arithmetic busy, little enough to hold."""
HOST_BLOCK = 1024
"""Texts in a block of a recipe with a transformer: what a kill may cost."""
_STATIC_BUDGET = 1 << 16

Item = TypeVar("Item")
Told = Callable[[float, int], None]
"""Told how much of the work is done (texts, or the share of a block), and how many tokens were read for it."""


@dataclass(frozen=True, eq=False)
class Block:
    """Vectors of some texts.

    Attributes:
        values: ``[N, B]`` float32 numbers, or codes.
        tokens: that the encoders read; equal texts are read once.
        cut_texts: different texts that a length limit cut.
        cut_tokens: tokens they lost.
        chunks: where a text has a vector a chunk: which rows are whose, and the characters of each.
    """

    values: NDArray[np.generic]
    tokens: int
    cut_texts: int
    cut_tokens: int
    chunks: tuple[Ints, Ints] | None = None


@dataclass(frozen=True)
class Layout:
    """What one vector of a recipe looks like.

    Attributes:
        dtype: "float32", or "int8" or "uint8" of codes.
        width: numbers, or bytes of codes.
    """

    dtype: str
    width: int

    @classmethod
    def of(cls, recipe: Composite, role: str = "document") -> Layout:
        """Try the recipe on one text.

        Raises:
            RecipeError: if it is not fitted, or gives no vectors.
        """
        out = recipe.encode(["a text"], role)
        return cls(str(out.values.dtype), int(out.values.shape[1]))

    @property
    def nbytes(self) -> int:
        """Bytes of one vector."""
        return self.width * np.dtype(self.dtype).itemsize

    @property
    def is_codes(self) -> bool:
        """Whether vectors are codes."""
        return self.dtype != "float32"


def block_size(recipe: Composite) -> int:
    """How many texts a block has unless somebody says otherwise."""
    encoders = [step for step in walk(recipe) if isinstance(step, Encoder)]
    return STATIC_BLOCK if all(step.budget >= _STATIC_BUDGET for step in encoders) else HOST_BLOCK


def encode_block(
    recipe: Composite,
    texts: Sequence[str],
    role: str,
    told: Told = lambda done, tokens: None,
    chunks: bool = False,
) -> Block:
    """Encode some texts, equal ones once.

    Args:
        recipe: a fitted recipe.
        texts: what to encode.
        role: "query" or "document".
        told: how the work goes on.
        chunks: whether a text may have several vectors, as `SpanPool` gives them.

    Raises:
        RecipeError: if it has several and may not.
    """
    if role != "query" and not chunks:
        refuse_chunks(recipe.strands(), "a table of vectors")
    unique = list(dict.fromkeys(texts))
    sources: dict[str, list[plan.Strand]] = {}
    for strand in recipe.strands():
        sources.setdefault(strand.source, []).append(strand)
    given: dict[str, NDArray[np.float32]] = {}
    reports: list[plan.PassReport] = []
    for number, strands in enumerate(sources.values()):
        read = sum(report.tokens for report in reports)

        def progress(_: str, done: int, total: int, before: int = number, read: int = read) -> None:
            told((before + done / max(1, total)) / len(sources), read + done)

        vectors, report = plan.run(strands, unique, None, progress, role)
        given |= vectors
        reports += report.values()
    chunked = common(given, (report.chunked for report in reports))
    expand = Expansion.of(unique, texts, chunked.units if chunked else None)
    cut = max(reports, key=lambda report: report.cut_items)
    return Block(
        expand(recipe.weave(given)),
        sum(report.tokens for report in reports),
        cut.cut_items,
        cut.cut_tokens,
        None if chunked is None or expand.units is None else (expand.units, expand(chunked.spans)),
    )


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of ``size`` items; the last one may be shorter.

    >>> list(batched(["a", "b", "c"], 2))
    [['a', 'b'], ['c']]
    """
    source = iter(items)
    while block := list(islice(source, size)):
        yield block


def float_part(recipe: Composite) -> Composite:
    """The recipe without its compression: what a query goes through."""
    return recipe if recipe.quantiser is None else Chain(recipe.children()[:-1])


def encode_queries(recipe: Composite, queries: Sequence[str]) -> NDArray[np.float32]:
    """``[Q, D]`` floats of queries, in one pass."""
    out = float_part(recipe).encode(list(queries), "query")
    assert not isinstance(out, Codes)
    return out.values
