"""How one encoder reads texts: from items to tokens, without the encoder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plait.encoders.templated import read_template
from plait.encoders.windows import PlainTokenizer, Windows, text_spans, word_units
from plait.prompting.template import Template
from plait.types import Items, Tokens


@dataclass(frozen=True)
class Reader:
    """What decides the tokens of a text.

    Attributes:
        plain: the tokenizer.
        windows: the specials, and how many tokens stand between them.
        template: the prompt around the text; None is none.
        skip: first tokens of a window that are never pooled.
        chunk: read a text beyond the limit in several windows, instead of dropping its end.
    """

    plain: PlainTokenizer
    windows: Windows
    template: Template | None = None
    skip: int = 0
    chunk: bool = False

    def __call__(self, items: Items, spans: bool = False) -> Tokens:
        """Tokens of the items, with `Tokens.spans` if asked for; they tell how much was cut."""
        windows, template = self.windows, self.template
        words = len(items) > 0 and not isinstance(items[0], str)
        if template is not None and self.in_slots(items):
            return read_template(items, template, self.plain, windows.limit, self.skip)
        before = "" if template is None or template.prefix is None else template.prefix
        texts = [f"{before}{item}" if isinstance(item, str) else " ".join(item) for item in items]
        encodings = self.plain.encode(texts, offsets=words or spans)
        cut = np.array([0 if self.chunk else max(0, len(e.ids) - windows.limit) for e in encodings], np.int64)
        rows = [windows.split(e.ids[: len(e.ids) - lost]) for e, lost in zip(encodings, cut, strict=True)]
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        ids = np.fromiter((i for row in rows for i in row), np.int32, int(offsets[-1]))
        if words:
            return Tokens(ids, offsets, *word_units(items, encodings, offsets[:-1], cut, windows), cut)  # type: ignore[arg-type]
        where = text_spans(items, encodings, cut, windows, np.diff(offsets), len(before)) if spans else None  # type: ignore[arg-type]
        return Tokens(ids, offsets, *windows.units(offsets, self.skip), cut, where)

    def in_slots(self, items: Items) -> bool:
        """Whether the prompt is read slot by slot: it is more than words in front of texts."""
        words = len(items) > 0 and not isinstance(items[0], str)
        return self.template is not None and (words or self.template.prefix is None)
