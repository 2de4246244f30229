"""What stands in front of a passage so that it can be understood alone: titles, or a sentence that a model writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from plait.retrieval.generation import CachedGenerator, Draw, Generator, LocalGenerator
from plait.types import RecipeError

TITLE = "title"
PROMPT = (
    "Document:\n{document}\n\nPassage:\n{passage}\n\n"
    "One short sentence that says what the passage is about and where it stands in the document:"
)
ONE = Draw(count=1, temperature=0.0, max_tokens=40)
Context: TypeAlias = Callable[[str, Sequence[str]], Sequence[str]]
"""A document and its passages to what stands in front of each."""


@dataclass(frozen=True)
class WrittenContext:
    """A sentence for each passage, by a model that sees the document too.

    Args:
        generator: who writes.
        prompt: with the slots ``{document}`` and ``{passage}``.
        draw: how; the likeliest words, and few of them, since the passage is what is searched.
        most: characters of a document that the model sees: its beginning says what it is about.

    Raises:
        RecipeError: if the prompt has not both slots.

    Example:
        >>> from plait.retrieval import RecordedGenerator
        >>> known = {"Cats. They purr. / They purr.": ["What cats do."]}
        >>> WrittenContext(RecordedGenerator(known), "{document} / {passage}")("Cats. They purr.", ["They purr."])
        ['What cats do.']
    """

    generator: Generator
    prompt: str = PROMPT
    draw: Draw = ONE
    most: int = 4000

    def __post_init__(self) -> None:
        if "{document}" not in self.prompt or "{passage}" not in self.prompt:
            raise RecipeError(f"the prompt {self.prompt!r} has no slot {{document}} or none {{passage}}; give it both")

    def __call__(self, document: str, passages: Sequence[str]) -> list[str]:
        """What stands in front of each passage: the first line that was written, which may be empty."""
        prompts = [self._prompt(document[: self.most], passage) for passage in passages]
        return [(texts[0].strip().splitlines() or [""])[0] for texts in self.generator.generate(prompts, self.draw)]

    def _prompt(self, document: str, passage: str) -> str:
        given = {"document": document, "passage": passage}
        return re.sub(r"\{(document|passage)\}", lambda slot: given[slot[1]], self.prompt)


def context_of(name: str, folder: Path) -> str | Context:
    """What a setting names: "" and "title" are themselves, anything else is a decoder, whose sentences are kept.

    Args:
        name: of the setting.
        folder: where sentences are kept, so that none is written twice.
    """
    return name if name in ("", TITLE) else WrittenContext(CachedGenerator(LocalGenerator(name), folder))
