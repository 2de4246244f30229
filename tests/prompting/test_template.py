"""Templates against what `str.format` and slices of the filled text say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.prompting.template import Slot, Template, as_sentence
from plait.types import RecipeError

ANY_TEXT = st.text(max_size=40)
PIECES = st.lists(st.tuples(st.text(max_size=12), st.booleans()), min_size=1, max_size=4)
"""Words, then a slot that is pooled or not."""


def written(pieces: list[tuple[str, bool]], end: str) -> str:
    """A template's text, from what stands before each slot and after the last one."""
    slots = ("".join((_escaped(words), "{text:pool}" if pool else "{text}")) for words, pool in pieces)
    return "".join(slots) + _escaped(end)


def _escaped(words: str) -> str:
    return words.replace("{", "{{").replace("}", "}}")


@settings(deadline=None)
@given(PIECES, st.text(max_size=12), ANY_TEXT)
def test_filling_puts_the_text_into_every_slot(pieces: list[tuple[str, bool]], end: str, text: str) -> None:
    template = Template.parse(written(pieces, end))
    filled = template.fill(text)
    assert filled.whole == "".join(words + text for words, _ in pieces) + end
    assert template.slots == len(pieces)
    assert [filled.whole[start:stop] for start, stop in filled.text] == [text] * len(pieces)
    assert list(filled.pooled) == [span for span, (_, pool) in zip(filled.text, pieces, strict=True) if pool]


def test_a_template_is_pieces_and_slots() -> None:
    template = Template.parse("{{a}} {text:sentence} b {blank}{text:pool, sentence}{eos:pool}")
    assert [piece for piece in template.pieces if isinstance(piece, Slot)] == [
        Slot("text", sentence=True),
        Slot("blank"),
        Slot("text", pool=True, sentence=True),
        Slot("eos", pool=True),
    ]
    filled = template.fill("x", {"eos": "</s>", "blank": "<b>"})
    assert filled.whole == "{a} x. b <b>x.</s>"
    assert [filled.whole[start:end] for start, end in filled.pooled] == ["x.", "</s>"]


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("{text}", ""),
        ("query: {text}", "query: "),
        ("query: {text:pool}", None),
        ("query: {text:sentence}", None),
        ("query: {text} ", None),
        ("{text}{text}", None),
        ("{blank}{text}", None),
    ],
)
def test_prefix_is_only_what_mere_words_in_front_are(text: str, prefix: str | None) -> None:
    assert Template.parse(text).prefix == prefix


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no slot", "no place for the text"),
        ("{eos}", "no place for the text"),
        ("{text", "double a brace"),
        ("text}", "double a brace"),
        ("{text} {word}", r"has \{word\}; names are text, eos, blank"),
        ("{text} {}", r"has \{\}"),
        ("{text:pol}", r"has \{text:pol\}; .*flags pool, sentence"),
        ("{text!r}", r"has \{text!r\}"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Template.parse(text)


@pytest.mark.parametrize("specials", [None, {}, {"blank": ""}])
def test_a_special_that_the_model_lacks_is_named(specials: dict[str, str] | None) -> None:
    with pytest.raises(RecipeError, match=r"asks for \{blank\}, which this model's tokenizer does not have"):
        Template.parse("{blank} {text}").fill("x", specials)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("A dog", "A dog."),
        (" A dog.\n", "A dog."),
        ("A dog?", "A dog."),
        ('"A dog"', "'A dog'"),
        ("A dog!", "A dog!."),
        ("", "."),
        ("?", "."),
    ],
)
def test_a_sentence_is_written_as_the_published_code_does(text: str, sentence: str) -> None:
    assert as_sentence(text) == sentence


@settings(deadline=None)
@given(ANY_TEXT)
def test_a_sentence_never_closes_the_quotation(text: str) -> None:
    written = as_sentence(text)
    assert '"' not in written
    assert written.endswith((".", "'"))
    assert as_sentence(written) == written
