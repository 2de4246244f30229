"""From what a user names to the files that are meant, each with the part that it is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from plait.data.files import UNDERSTOOD, format_of, is_aside, listing, part_of, stem_of, told
from plait.data.sets import named
from plait.data.tasks import PARTS
from plait.types import DataError


def path_of(source: str | os.PathLike[str]) -> Path:
    """Where a source lies; whether it is there is not looked at."""
    text = os.fspath(source)
    return named(text) if text.startswith(("demo:", "data:")) else Path(text).expanduser()


def members(where: Path) -> list[tuple[str, Path]]:
    """The files of a source, with the part that each one is."""
    if where.is_file():
        if format_of(where) is None:
            raise DataError(f"{where} has no ending that plait knows; expected {UNDERSTOOD}")
        return [("all", where)]
    if not where.is_dir():
        return parts_of(siblings(where), f"{where}.*")
    with told(where):
        files = sorted(path for path in where.iterdir() if path.is_file() and format_of(path))
    files = [path for path in files if not is_aside(path)]
    parts = [path for path in files if part_of(stem_of(path))[0]]
    if not parts and len(files) == 1:
        return [("all", files[0])]
    if not parts:
        raise DataError(
            f"{where} holds {listing(path.name for path in where.iterdir())}, and nothing that can be read as one "
            "set; expected a BEIR folder (corpus.jsonl, queries.jsonl, qrels.tsv), files named train, dev or test, "
            f"or a single file, ending in {UNDERSTOOD}"
        )
    return parts_of(parts, str(where))


def siblings(where: Path) -> list[Path]:
    """Files whose names begin with a name that is no file: ``conll2002/esp`` for ``esp.train.conll``, …."""
    if not where.parent.is_dir() or not where.name:
        return []
    files = sorted(path for path in where.parent.glob("*") if path.name.startswith(where.name) and format_of(path))
    return [path for path in files if path.is_file() and part_of(stem_of(path))[1] == where.name]


def parts_of(files: Sequence[Path], where: str) -> list[tuple[str, Path]]:
    """Parts by file name, train first; files without one are read together as "all"."""
    if not files:
        raise DataError(f"{where} names no file; expected at least one")
    found = [(*part_of(stem_of(path)), path) for path in files]
    if any(part is None for part, _, _ in found):
        return [("all", path) for _, _, path in found]
    sets = {rest for _, rest, _ in found}
    if len(sets) > 1:
        raise DataError(
            f"{where} holds several sets: {listing(path.name for path in files)}; "
            f"name one by the start of its files ({listing(sets - {''})}), or give its files one by one"
        )
    formats = {format_of(path) for path in files}
    if len(formats) > 1:
        names = listing(path.name for path in files)
        raise DataError(f"{where} holds files of different formats: {names}; give them one by one")
    return sorted(((part or "all", path) for part, _, path in found), key=lambda pair: PARTS.index(pair[0]))
