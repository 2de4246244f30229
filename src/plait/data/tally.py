"""Counting what had to be mended or dropped, so that nothing happens to data in silence."""

from __future__ import annotations

import math
import re
from collections import Counter

_SURROGATE = re.compile("[\ud800-\udfff]+")


class Tally:
    r"""Counts faults by what was met and what was done; `notes` tells them.

    Example:
        >>> tally = Tally()
        >>> tally.text("a\x00b")
        'ab'
        >>> tally.add("row", "without text dropped", 3)
        >>> tally.notes()
        ('1 text with NUL characters, which were removed', '3 rows without text dropped')
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._remarks: dict[str, None] = {}

    def add(self, noun: str, what: str, number: int = 1) -> None:
        """Count ``number`` more of a fault; ``noun`` is in the singular."""
        self._counts[noun, what] += number

    def remark(self, sentence: str) -> None:
        """Keep a sentence that needs no count."""
        self._remarks[sentence] = None

    def count(self, what: str) -> int:
        """How often a fault whose description begins like this was met."""
        return sum(number for (_, text), number in self._counts.items() if text.startswith(what))

    def notes(self) -> tuple[str, ...]:
        """All that was met, one sentence each."""
        counted = [
            f"{number:,} {noun if number == 1 else _plural(noun)} {what}"
            for (noun, what), number in self._counts.items()
            if number
        ]
        return (*self._remarks, *counted)

    def text(self, value: object) -> str:
        """A cell as clean text: nothing for a missing value, no NUL, no byte or half character that is not Unicode."""
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return ""
        text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
        if "\x00" in text:
            self.add("text", "with NUL characters, which were removed")
            text = text.replace("\x00", "")
        if not text.isascii() and _SURROGATE.search(text):
            self.add("text", "with bytes or half characters that are not Unicode, replaced by U+FFFD")
            text = _SURROGATE.sub("\ufffd", text)
        return text


def _plural(noun: str) -> str:
    return noun[:-1] + "ies" if noun.endswith("ry") else noun + "s"
