"""`stream_texts`: any data to a stream of texts."""

from __future__ import annotations

import os
from collections.abc import Iterator

from plait.data.build import joined
from plait.data.columns import text_column
from plait.data.conll import read_sentences
from plait.data.files import format_of
from plait.data.retrieval import corpus_texts, is_beir
from plait.data.sources import members, parts_of, path_of, siblings
from plait.data.tables import open_table
from plait.data.tally import Tally


def stream_texts(source: str | os.PathLike[str], column: str | None = None) -> Iterator[str]:
    """Texts one by one, whatever the size of the data; one for each row, empty where a row has none.

    Args:
        source: a file, a folder or a named set, as in `read`; of a BEIR folder the documents.
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
    for _, path in members(where) if where.exists() else parts_of(siblings(where) or [where], str(where)):
        if format_of(path) in ("conll", "conllu"):
            yield from (" ".join(words) for _, _, words, _ in read_sentences([("all", path)], {}, tally))
            continue
        table = open_table(path, tally)
        text, title = text_column(table, column, tally)
        for _, cells in table.pick([text, *([title] if title else [])]):
            yield joined(tally.text(cells[1]) if title else "", tally.text(cells[0]))
