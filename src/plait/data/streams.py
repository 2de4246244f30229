"""`stream_texts` and `stream_rows`: any data to a stream of texts."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from plait.data.build import joined
from plait.data.columns import check_columns, text_column
from plait.data.conll import read_sentences
from plait.data.documents import documents_in, read_document, title_of
from plait.data.files import format_of
from plait.data.retrieval import corpus_file, corpus_texts, is_beir
from plait.data.sources import members, parts_of, path_of, siblings
from plait.data.tables import open_table
from plait.data.tally import Tally

_IDS = ("_id", "id")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]+)?")


@dataclass(frozen=True)
class TextRow:
    """A text with what stands beside it.

    Attributes:
        text: as `stream_texts` gives it.
        id: of the row; None where there is no column of ids, or its cell is empty.
        metadata: other cells by column, as JSON holds them; empty ones are left out.
    """

    text: str
    id: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)


def stream_texts(source: str | os.PathLike[str], column: str | None = None) -> Iterator[str]:
    """Texts one by one, whatever the size of the data; one for each row, empty where a row has none.

    Args:
        source: a file, a folder or a named set, as in `read`; of a BEIR folder the documents. A folder of Markdown or
            plain text files gives one text a file.
        column: the column of texts; by default it is recognised, and a title goes in front of its text.

    Raises:
        DataError: if the data is not there, is damaged, or has no column of texts.

    Example:
        >>> len(next(stream_texts("demo:scifact"))) > 100
        True
    """
    where, tally = path_of(source), Tally()
    if where.is_dir() and is_beir(where) and column is None:
        yield from corpus_texts(where, tally)
        return
    if documents := documents_in(where):
        yield from map(read_document, documents)
        return
    for path in _files(where):
        if format_of(path) in ("conll", "conllu"):
            yield from (" ".join(words) for _, _, words, _ in read_sentences([("all", path)], {}, tally))
            continue
        table = open_table(path, tally)
        text, title = text_column(table, column, tally)
        for _, cells in table.pick([text, *([title] if title else [])]):
            yield joined(tally.text(cells[1]) if title else "", tally.text(cells[0]))


def stream_rows(
    source: str | os.PathLike[str], column: str | None = None, key: str | None = None, keep: Sequence[str] | None = None
) -> Iterator[TextRow]:
    """Texts with their ids and other cells, one by one, whatever the size of the data.

    Cells of CSV and TSV that read as numbers are numbers, so that they can be compared. Of a folder of documents the
    ids are the files' names, and "title" is the first heading.

    Args:
        source: as in `stream_texts`.
        column: as in `stream_texts`.
        key: the column of ids; by default one that is called ``_id`` or ``id``, if there is one.
        keep: columns to keep; by default all but those of text, id and ``vector``.

    Raises:
        DataError: if the data is not there, is damaged, or lacks a column.

    Example:
        >>> row = next(stream_rows("demo:scifact"))
        >>> row.id, list(row.metadata)
        ('4983', ['title'])
    """
    where, tally = path_of(source), Tally()
    beir = where.is_dir() and is_beir(where) and column is None
    documents = [] if beir else documents_in(where)
    for path in documents:
        text = read_document(path)
        yield TextRow(text, str(path.relative_to(where)), {"title": title_of(text, path)})
    if documents:
        return
    for path in [corpus_file(where)] if beir else _files(where):
        if format_of(path) in ("conll", "conllu", "lines") and not (key or keep):
            yield from map(TextRow, stream_texts(path))
            continue
        table = open_table(path, tally)
        text, title = text_column(table, column, tally)
        ids = key or next((name for name in _IDS if name in table.columns and name != text), None)
        others = [name for name in table.columns if name not in (text, ids, "vector")] if keep is None else list(keep)
        check_columns(table, [*([ids] if ids else []), *others])
        written = format_of(path) in ("csv", "tsv")
        for _, (body, head, name, *cells) in table.pick([text, title or text, ids or text, *others]):
            beside = zip(others, (_json(cell, written) for cell in cells), strict=True)
            metadata = {other: cell for other, cell in beside if cell not in (None, "")}
            number = tally.text(name) if ids else ""
            yield TextRow(joined(tally.text(head) if title else "", tally.text(body)), number or None, metadata)


def _files(where: Path) -> list[Path]:
    pairs = members(where) if where.exists() else parts_of(siblings(where) or [where], str(where))
    return [path for _, path in pairs]


def _json(cell: object, written: bool) -> object:
    """A cell as JSON can hold it; one that was written as text may be a number."""
    if isinstance(cell, str):
        number = _NUMBER.fullmatch(cell) if written else None
        return cell if number is None else float(cell) if number[2] else int(cell)
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else None
    if cell is None or isinstance(cell, bool | int | dict):
        return cell
    if isinstance(cell, list | tuple):
        return [_json(one, written) for one in cell]
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)
