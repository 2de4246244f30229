"""Documents cut into passages that are encoded one by one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from plait.pooling.spans import Chunker, by_sentences, by_tokens
from plait.retrieval.context import TITLE, Context
from plait.roles import Encoder
from plait.step import Composite
from plait.store.ranking import Hit
from plait.store.records import Record
from plait.types import DataError, Ints, RecipeError

_HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*\s*$", re.MULTILINE)
_WANTED = 'expected "tokens:N", "sentences:N", "headings", or a function from a text to its chunks'
SEPARATOR = "#"
"""Between a document's id and a passage's number."""


@dataclass(frozen=True)
class Passages:
    r"""How documents are cut, and what stands in front of a passage.

    Args:
        cut: "tokens:128" for so many tokens of the recipe's first model, "sentences:5", "headings" for the sections of
            a Markdown text, or a function from a text to the characters ``[(start, end), ...]`` of its chunks.
        context: "title" puts the record's title (``metadata["title"]``) and the headings that a passage stands under in
            front of it, so that it can be understood alone; a function, such as `WrittenContext`, what it makes of the
            document and its passages; "" puts nothing there.

    Raises:
        RecipeError: for another ``cut`` or ``context``.
        DataError: if a function gives more or fewer contexts than there are passages.

    Example:
        >>> text = "# Cats\nThey purr. They sleep.\n## Food\nThey eat fish."
        >>> for record in Passages("headings", context="title").of([Record(text, "7")]):
        ...     print(record.id, record.text.splitlines(), record.metadata["start"])
        7#0 ['Cats', '# Cats', 'They purr. They sleep.'] 0
        7#1 ['Cats > Food', '## Food', 'They eat fish.'] 30
    """

    cut: str | Chunker = "sentences:5"
    context: str | Context = ""

    def __post_init__(self) -> None:
        if not callable(self.context) and self.context not in ("", TITLE):
            raise RecipeError(f'context is {self.context!r}; expected "title", "" or a function')
        if not callable(self.cut):
            _parsed(self.cut)

    def of(self, records: Iterable[Record], recipe: Composite | None = None) -> Iterator[Record]:
        """The passages of documents, each a record of its own.

        Args:
            records: documents, with ids.
            recipe: whose first model counts the tokens of "tokens:N".

        Yields:
            Records with id ``document#number``; the metadata is the document's, with "document", "start" and "end".

        Raises:
            DataError: if a document has no id.
        """
        encoder = None if recipe is None else next(recipe.strands()).encoder
        for record in records:
            if record.id is None:
                raise DataError(f"the document {record.text[:40]!r} has no id: its passages could not name it")
            spans = self.spans(record.text, encoder).tolist()  # type: ignore[arg-type]
            passages = [record.text[start:end].strip() for start, end in spans]
            contexts = self._before(record, spans, passages)
            for number, ((start, end), passage, before) in enumerate(zip(spans, passages, contexts, strict=True)):
                text = f"{before}\n{passage}" if before else passage
                facts = {**record.metadata, "document": record.id, "start": start, "end": end}
                yield Record(text, f"{record.id}{SEPARATOR}{number}", facts)

    def spans(self, text: str, encoder: Encoder | None = None) -> Ints:
        """``[C, 2]`` characters of the text's passages; passages of blanks alone are left out."""
        found = self._cut(text, encoder)
        full = [bool(text[start:end].strip()) for start, end in found.tolist()]
        return found[full] if any(full) else np.array([[0, len(text)]])

    def _cut(self, text: str, encoder: Encoder | None) -> Ints:
        if callable(self.cut):
            return np.array([tuple(span) for span in self.cut(text)], np.int64).reshape(-1, 2)
        kind, size = _parsed(self.cut)
        if kind == "sentences":
            return by_sentences(text, size)
        if kind == "headings":
            return _sections(text)
        if encoder is None:
            raise RecipeError(f"{self.cut!r} counts tokens: give the recipe whose model counts them")
        return by_tokens(_token_spans(text, encoder), size, len(text))

    def _before(self, record: Record, spans: Sequence[Sequence[int]], passages: Sequence[str]) -> Sequence[str]:
        """What stands in front of each passage."""
        if callable(self.context):
            found = self.context(record.text, passages)
            if len(found) != len(passages):
                raise DataError(f"the context of {record.id} is {len(found)} texts for {len(passages)} passages")
            return found
        if not self.context:
            return [""] * len(passages)
        title = record.metadata.get("title")
        titles = [str(title)] if title else []
        return [" > ".join([*titles, *_path(record.text, start)]) for start, _ in spans]


def named(records: Iterable[str | Record], first: int = 0) -> Iterator[Record]:
    """Records, those without an id numbered from ``first``.

    >>> [record.id for record in named(["a text", Record("another", "x"), "one more"], 5)]
    ['5', 'x', '7']
    """
    for number, given in enumerate(records, first):
        record = given if isinstance(given, Record) else Record(given)
        yield record if record.id is not None else Record(record.text, str(number), record.metadata)


def by_document(hits: Sequence[Hit], k: int) -> list[Hit]:
    """The best passage of each document, best first.

    Args:
        hits: passages, best first.
        k: how many documents.

    Example:
        >>> best, other = (Hit(f"a#{n}", "", 0.9 - n, {"document": "a"}) for n in range(2))
        >>> [hit.id for hit in by_document([best, other, Hit("b", "", -0.3)], 2)]
        ['a#0', 'b']
    """
    best: dict[str, Hit] = {}
    for hit in hits:
        best.setdefault(str(hit.metadata.get("document", hit.id)), hit)
    return list(best.values())[:k]


def _parsed(cut: str) -> tuple[str, int]:
    kind, _, size = str(cut).partition(":")
    if cut == "headings":
        return kind, 0
    if kind not in ("tokens", "sentences") or not size.isdigit() or int(size) < 1:
        raise RecipeError(f"the cut is {cut!r}; {_WANTED}")
    return kind, int(size)


def _token_spans(text: str, encoder: Encoder) -> Ints:
    """``[T, 2]`` characters of a text's tokens, however long it is."""
    plain = getattr(getattr(encoder, "reader", None), "plain", None)
    if plain is None:  # tables do not tell where tokens stand; words are near enough
        return np.array([match.span() for match in re.finditer(r"\w+|[^\w\s]", text)], np.int64).reshape(-1, 2)
    (encoding,) = plain.encode([text], offsets=True)
    spans = np.array(encoding.offsets, np.int64).reshape(-1, 2)
    return spans[spans[:, 1] > spans[:, 0]]


def _sections(text: str) -> Ints:
    starts = [match.start() for match in _HEADING.finditer(text) if match.start() > 0]
    edges = np.array([0, *starts, len(text)], np.int64)
    return np.column_stack([edges[:-1], edges[1:]])


def _path(text: str, place: int) -> list[str]:
    """The headings that a character stands under, outermost first."""
    path: list[tuple[int, str]] = []
    for match in _HEADING.finditer(text):
        if match.start() > place:
            break
        level = len(match.group(1))
        path = [(above, name) for above, name in path if above < level] + [(level, match.group(2))]
    return [name for _, name in path]
