"""`Template`: a prompt as data: literal pieces and slots, each slot pooled or not."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass

from plait.types import RecipeError

FIELDS = ("text", "eos", "blank")
FLAGS = ("pool", "sentence")
_WANTED = 'expected a template such as "query: {text}", "Rewrite: {text}, again: {text:pool}"'
Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Slot:
    """A place in a template.

    Attributes:
        field: "text" is the text itself; "eos" the model's end marker; "blank" a token that no text uses.
        pool: whether its tokens are pooled.
        sentence: whether the text is written as one sentence first (see `as_sentence`).
    """

    field: str
    pool: bool = False
    sentence: bool = False


@dataclass(frozen=True)
class Filled:
    """A template with a text in it.

    Attributes:
        whole: what the tokenizer reads.
        text: where the text stands, once for each of its slots: (start, end) in characters.
        pooled: spans whose tokens are pooled; none when the template leaves the choice to the encoder.
    """

    whole: str
    text: Spans
    pooled: Spans


@dataclass(frozen=True)
class Template:
    """Literal pieces and slots.

    Written as text, ``{text}`` is the text's place and may come several times, ``{eos}`` is the model's end marker,
    ``{blank}`` a token that no text uses; ``:pool`` behind a name says that these tokens are pooled. Without any
    ``:pool`` every token is, as without a prompt. ``{text:sentence}`` first writes the text as one sentence. Braces
    themselves are doubled.

    Args:
        pieces: strings and slots, in order.

    Example:
        >>> template = Template.parse("Rewrite the sentence: {text}, rewritten sentence: {text:pool}")
        >>> filled = template.fill("a dog")
        >>> filled.whole
        'Rewrite the sentence: a dog, rewritten sentence: a dog'
        >>> [filled.whole[start:end] for start, end in filled.pooled]
        ['a dog']
    """

    pieces: tuple[str | Slot, ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read a template.

        Raises:
            RecipeError: if braces do not match, a name or flag is unknown, or there is no ``{text}``.
        """
        pieces: list[str | Slot] = []
        try:
            parsed = list(string.Formatter().parse(text))
        except ValueError as error:
            raise RecipeError(f"the prompt {text!r} cannot be read ({error}); double a brace that is meant") from error
        for literal, name, flags, conversion in parsed:
            if literal:
                pieces.append(literal)
            if name is not None:
                pieces.append(_slot(text, name, flags or "", conversion))
        template = cls(tuple(pieces))
        if not template.slots:
            raise RecipeError(f"the prompt {text!r} has no place for the text; {_WANTED}")
        return template

    @property
    def slots(self) -> int:
        """How often the text stands in it."""
        return sum(isinstance(piece, Slot) and piece.field == "text" for piece in self.pieces)

    @property
    def answers(self) -> bool:
        """Whether it ends in words of its own and marks nothing to pool: its last token then answers for the text."""
        marked = any(isinstance(piece, Slot) and piece.pool for piece in self.pieces)
        return isinstance(self.pieces[-1], str) and not marked

    @property
    def prefix(self) -> str | None:
        """What stands in front, if the template is nothing but some words and then the text."""
        match self.pieces:
            case (Slot("text", False, False),):
                return ""
            case (str(literal), Slot("text", False, False)):
                return literal
        return None

    def fill(self, text: str, specials: Mapping[str, str] | None = None) -> Filled:
        """Put a text in.

        Args:
            text: goes into every slot.
            specials: what "eos" and "blank" are for the model that reads it.

        Raises:
            RecipeError: if the model has no such special token.
        """
        whole, spans, pooled = "", list[tuple[int, int]](), list[tuple[int, int]]()
        for piece in self.pieces:
            start = len(whole)
            if isinstance(piece, str):
                whole += piece
                continue
            if piece.field == "text":
                whole += as_sentence(text) if piece.sentence else text
                spans.append((start, len(whole)))
            elif special := (specials or {}).get(piece.field):
                whole += special
            else:
                raise RecipeError(f"the prompt asks for {{{piece.field}}}, which this model's tokenizer does not have")
            if piece.pool:
                pooled.append((start, len(whole)))
        return Filled(whole, tuple(spans), tuple(pooled))


def as_sentence(text: str) -> str:
    """A text as one-word prompts want it: one full stop at its end, and no double quote, which would close theirs.

    >>> as_sentence(' Who said "no"?')
    "Who said 'no'."
    """
    text = text.strip().replace('"', "'")
    if text.endswith("?"):
        return text[:-1] + "."
    return text if text.endswith((".", "'")) else text + "."


def _slot(template: str, name: str, flags: str, conversion: str | None) -> Slot:
    given = [flag.strip() for flag in flags.split(",") if flag.strip()]
    if name not in FIELDS or conversion or not set(given) <= set(FLAGS):
        written = f"{{{name}{'!' + conversion if conversion else ''}{':' + flags if flags else ''}}}"
        raise RecipeError(
            f"the prompt {template!r} has {written}; names are {', '.join(FIELDS)}, flags {', '.join(FLAGS)}; {_WANTED}"
        )
    return Slot(name, "pool" in given, "sentence" in given)
