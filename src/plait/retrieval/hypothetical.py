"""Queries by the documents that would answer them: written by a generator, embedded, averaged."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import numpy as np

from plait.chunks import refuse_chunks
from plait.retrieval.generation import Draw, Generator
from plait.step import Composite, unit_rows
from plait.store.blocks import float_part
from plait.types import Codes, Floats, RecipeError

STYLES = ("completion", "instruction")


@cache
def hypothetical_prompts() -> dict[str, dict[str, str]]:
    """Prompts by kind of search and style of the generator; ``{query}`` is the query's place.

    >>> sorted(hypothetical_prompts()["web_search"])
    ['completion', 'instruction']
    """
    text = files("plait.retrieval").joinpath("hypothetical_prompts.toml").read_text(encoding="utf-8")
    return {name: dict(styles) for name, styles in tomllib.loads(text).items()}


@dataclass(frozen=True)
class HypotheticalDocuments:
    """A query's vector made the mean of its own and those of documents that a generator writes for it.

    The encoder's bottleneck is to filter what the generator makes up. Works before any search by vectors; helps weak
    encoders, and may hurt strong ones.

    Args:
        generator: who writes.
        prompt: name of a kind of search (see `hypothetical_prompts`), or a text with ``{query}`` in it.
        style: "completion" for base models, "instruction" for tuned ones.
        draw: how many documents a query, and how; none at all leaves the query as it is.
        include_query: whether the query's own vector is part of the mean, as published.
        language: for the prompts that name one.

    Raises:
        RecipeError: for an unknown prompt or style.

    Source: Precise Zero-Shot Dense Retrieval without Relevance Labels, arXiv 2212.10496.

    Example:
        >>> from plait import MeanPool, StaticTable
        >>> from plait.retrieval import RecordedGenerator
        >>> written = RecordedGenerator({"Q: who?": ["a man with a flute"]})
        >>> hyde = HypotheticalDocuments(written, "Q: {query}", draw=Draw(count=1))
        >>> hyde.transform(["who?"], StaticTable("wordllama") | MeanPool()).shape
        (1, 256)
    """

    generator: Generator
    prompt: str = "web_search"
    style: str = "completion"
    draw: Draw = field(default_factory=Draw)
    include_query: bool = True
    language: str = "English"

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise RecipeError(f"style is {self.style!r}; expected one of {', '.join(STYLES)}")
        if "{query}" not in self.prompt and self.prompt not in hypothetical_prompts():
            known = ", ".join(hypothetical_prompts())
            raise RecipeError(
                f"the prompt {self.prompt!r} has no {{query}} in it and is no name: expected one of {known}"
            )
        if self.draw.count == 0 and not self.include_query:
            raise RecipeError("no documents are written and the query is left out: nothing would be searched for")

    def documents(self, queries: Sequence[str]) -> list[list[str]]:
        """What the generator writes for each query; it sees nothing else."""
        if self.draw.count == 0:
            return [[] for _ in queries]
        template = hypothetical_prompts()[self.prompt][self.style] if "{query}" not in self.prompt else self.prompt
        filled = template.replace("{language}", self.language)
        return self.generator.generate([filled.replace("{query}", query) for query in queries], self.draw)

    def transform(self, queries: Sequence[str], recipe: Composite) -> Floats:
        """``[Q, D]`` vectors to search with, in the place of the queries' own.

        Args:
            queries: Q texts.
            recipe: that made the vectors which are searched; each of a mean's vectors is brought to length 1.
        """
        refuse_chunks(recipe.strands(), "a mean of hypothetical documents")
        written = self.documents(queries)
        floats = float_part(recipe)
        out = _unit(floats, queries, "query") if self.include_query else 0
        flat = [text for texts in written for text in texts]
        if flat:
            rows = np.repeat(np.arange(len(queries)), [len(texts) for texts in written])
            sums = np.zeros((len(queries), _unit(floats, flat[:1], "document").shape[1]), np.float32)
            np.add.at(sums, rows, _unit(floats, flat, "document"))
            out = out + sums
        parts = np.array([len(texts) + self.include_query for texts in written], np.float32)
        return np.asarray(out / parts[:, None], np.float32)


def _unit(recipe: Composite, texts: Sequence[str], role: str) -> Floats:
    made = recipe.encode(list(texts), role)
    assert not isinstance(made, Codes)
    return unit_rows(made.values)
