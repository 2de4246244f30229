"""From texts in a template to tokens: each slot is shortened by itself, and only what the template names is pooled."""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.encoders.windows import NOWHERE, PlainTokenizer, joined, words_of
from plait.prompting.template import Filled, Slot, Spans, Template
from plait.types import Ints, Items, RecipeError, Tokens


def read_template(items: Items, template: Template, plain: PlainTokenizer, limit: int, skip: int) -> Tokens:
    """Tokens of items in a template.

    Args:
        items: texts, or tuples of words; each word is a unit, read in the slots that are pooled (or the last one).
        template: what stands around them.
        plain: the tokenizer.
        limit: tokens in all, specials not counted. A text beyond it loses its end in every slot; the rest stays whole.
        skip: first tokens of a text that are never pooled.

    Raises:
        RecipeError: if the template leaves no room for a text.
    """
    texts = [item if isinstance(item, str) else " ".join(item) for item in items]
    filled = [template.fill(text, plain.specials) for text in texts]
    encodings = plain.encode([one.whole for one in filled], offsets=True)
    cut = np.zeros(len(items), np.int64)
    for number, encoding in enumerate(encodings):
        if len(encoding.ids) > limit:
            shorter = _shorten(texts[number], encoding, filled[number], template, plain, limit)
            filled[number], encodings[number], cut[number] = shorter
    rows = [[*plain.prefix, *encoding.ids, *plain.suffix] for encoding in encodings]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    ids = np.fromiter((i for row in rows for i in row), np.int32, int(offsets[-1]))
    index: list[Ints] = []
    sizes: list[Ints] = []
    places = [np.zeros((0, 2), np.int64)]
    for item, one, encoding, start in zip(items, filled, encodings, offsets[:-1].tolist(), strict=True):
        spans = np.array(encoding.offsets, np.int64).reshape(-1, 2)
        if isinstance(item, str):
            tokens, size = _text_tokens(one, spans, skip, plain)
        else:
            tokens, size = _word_tokens(item, one, spans, len(plain.prefix))
        index.append(start + tokens)
        sizes.append(size)
        places.append(_in_text(spans, one.text, len(item), plain))
    units = [1 if isinstance(item, str) else len(item) for item in items]
    return Tokens(
        ids,
        offsets,
        *joined(index, np.concatenate([np.zeros(0, np.int64), *sizes]), units),
        cut,
        np.concatenate(places),
    )


def _in_text(spans: Ints, slots: Spans, length: int, plain: PlainTokenizer) -> Ints:
    """`Tokens.spans` of an item: from characters of the filled template to those of the text in its slots."""
    last = spans[:, 1] - 1
    found = np.where((last < slots[0][0])[:, None], spans - slots[0][0], np.array(NOWHERE))
    for start, end in slots:
        inside = (last >= start) & (last < end)
        found[inside] = spans[inside] - start
    found[last >= slots[-1][1]] = length, length + 1
    before, after = np.tile([[-1, 0]], (len(plain.prefix), 1)), np.tile([[length, length + 1]], (len(plain.suffix), 1))
    return np.concatenate([before, found, after])


def _text_tokens(filled: Filled, spans: Ints, skip: int, plain: PlainTokenizer) -> tuple[Ints, Ints]:
    """Pooled tokens of a text; all but the first ``skip`` where the template names none."""
    if not filled.pooled:
        tokens = np.arange(skip, len(plain.prefix) + len(spans) + len(plain.suffix))
    else:
        tokens = len(plain.prefix) + np.flatnonzero(_inside(spans, filled.pooled))
    return tokens, np.array([len(tokens)])


def _word_tokens(words: tuple[str, ...], filled: Filled, spans: Ints, before: int) -> tuple[Ints, Ints]:
    """Tokens of each word, in all slots that are pooled."""
    slots = [span for span in filled.text if span in filled.pooled] or filled.text[-1:]
    found = [words_of(spans - start, words) for start, _ in slots]
    tokens = np.concatenate([real for real, _ in found])
    word = np.concatenate([number for _, number in found])
    order = np.argsort(word, kind="stable")
    return before + tokens[order], np.bincount(word, minlength=len(words))


def _inside(spans: Ints, slots: Spans) -> np.ndarray:
    """``[T]`` which tokens share a character with a slot."""
    start, end = np.array(slots, np.int64).reshape(-1, 2).T
    shared = np.minimum(spans[:, 1:], end) - np.maximum(spans[:, :1], start)
    return np.asarray((shared > 0).any(axis=1))


def _shorten(
    text: str, encoding: Any, filled: Filled, template: Template, plain: PlainTokenizer, limit: int
) -> tuple[Filled, Any, int]:
    """The text cut so that its slots and the template's words fit, and how many of its tokens were cut."""
    spans = np.array(encoding.offsets, np.int64).reshape(-1, 2)
    lengths = [int(_inside(spans, (slot,)).sum()) for slot in filled.text]
    room = (limit - (len(spans) - sum(lengths))) // len(lengths)
    first, start = np.flatnonzero(_inside(spans, filled.text[:1])), filled.text[0][0]
    start -= _stripped(text, template)
    while room > 0:
        kept = text[: max(0, int(spans[first[min(room, len(first)) - 1], 1]) - start)]
        shorter = template.fill(kept, plain.specials)
        (tried,) = plain.encode([shorter.whole], offsets=True)
        if len(tried.ids) <= limit:
            return shorter, tried, max(lengths) - min(room, len(first))
        room -= 1  # a slot may take a token more than the first, by what stands before it
    raise RecipeError(
        f"a prompt of {len(spans) - sum(lengths)} tokens with {len(lengths)} places for the text leaves no room in "
        f"{limit} tokens: shorten the prompt or raise max_length"
    )


def _stripped(text: str, template: Template) -> int:
    """Characters that the template's first slot leaves out at the text's start."""
    first = next(piece for piece in template.pieces if isinstance(piece, Slot) and piece.field == "text")
    return len(text) - len(text.lstrip()) if first.sentence else 0
