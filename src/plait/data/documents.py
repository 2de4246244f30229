"""Folders of documents: one file is one text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from plait.data.files import format_of, is_aside, part_of, stem_of
from plait.types import DataError

MARKED, PLAIN = (".md", ".markdown", ".rst"), (".txt", ".text")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)


def documents_in(folder: Path) -> Sequence[Path]:
    """The documents of a folder and of those in it, by name; none where it is a data set.

    Files of Markdown or reStructuredText are documents; plain ones are if there are several, and none of them is named
    as a part of a data set (train, dev, test), whose lines are texts of their own. A README or a licence beside data is
    no document.
    """
    if not folder.is_dir():
        return []
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    parts = any(path.suffix.lower() in PLAIN and part_of(stem_of(path))[0] for path in files)
    if parts or any(format_of(path) not in (None, "lines") for path in files):
        files = [path for path in files if not is_aside(path)]
    marked = [path for path in files if path.suffix.lower() in MARKED]
    plain = [path for path in files if path.suffix.lower() in PLAIN]
    if marked:
        return sorted([*marked, *plain])
    return plain if len(plain) > 1 and not parts else []


def read_document(path: Path) -> str:
    """The text of a document.

    Raises:
        DataError: if it cannot be read as UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no UTF-8 text (byte {error.start}); convert it first") from error


def title_of(text: str, path: Path) -> str:
    r"""The document's first heading, or else its file's name.

    >>> title_of("intro\n# About cats #\n", Path("a.md")), title_of("no heading", Path("cats.md"))
    ('About cats', 'cats')
    """
    found = _HEADING.search(text)
    return found.group(1) if found else path.stem
