"""Spans from tags: IOB1, IOB2, IOBES and BILOU, read leniently as the CoNLL scorer does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SPANNED = re.compile(r"[BIESLUM]-.+")
_OPENS, _CLOSES = "BSU", "ESLU"


def looks_spanned(tags: Iterable[str]) -> bool:
    """Whether a set of tags marks spans: every tag is "O" or like "B-PER", and at least one is of the second kind.

    >>> looks_spanned({"O", "B-PER", "I-PER"}), looks_spanned({"NOUN", "X"}), looks_spanned({"O"})
    (True, False, False)
    """
    marked = [tag for tag in tags if tag != "O"]
    return bool(marked) and all(_SPANNED.fullmatch(tag) for tag in marked)


def spans(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """The spans that a sequence of tags marks.

    A span begins at B, S or U, and at any other tag that does not go on with the span before it; so a span that a
    tagger has begun with I counts, and IOB1 is read rightly.

    Args:
        tags: such as "B-PER", "I-PER", "O".

    Returns:
        (first word, last word + 1, type) of each span, in order.

    Example:
        >>> spans(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"])
        [(0, 2, 'PER'), (3, 4, 'LOC'), (4, 5, 'LOC')]
    """
    found: list[tuple[int, int, str]] = []
    start, open_type = 0, ""
    for position, tag in enumerate([*tags, "O"]):
        mark, _, kind = tag.partition("-") if tag != "O" else ("O", "", "")
        if open_type and (not kind or kind != open_type or mark in _OPENS):
            found.append((start, position, open_type))
            open_type = ""
        if kind and not open_type:
            start, open_type = position, kind
        if open_type and mark in _CLOSES:
            found.append((start, position + 1, open_type))
            open_type = ""
    return found
