"""Opening files: compression, encodings, and damage told in one way."""

from __future__ import annotations

import contextlib
import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

from plait.types import DataError

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".conll": "conll",
    ".conllu": "conllu",
    ".bio": "conll",
    ".iob": "conll",
    ".txt": "lines",
    ".text": "lines",
}
UNDERSTOOD = ".csv, .tsv, .jsonl, .parquet, .conll, .conllu or .txt (each also .gz)"
_PARTS = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "devel": "dev",
    "development": "dev",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "trial": "dev",
    "testa": "dev",
    "test": "test",
    "testing": "test",
    "testb": "test",
}


_ASIDE = re.compile(r"(readme|licen[cs]e|notice|classes|mapping)", re.IGNORECASE)


def is_aside(path: Path) -> bool:
    """Whether a file, going by its name, tells of the data it lies beside.

    >>> is_aside(Path("README.md")), is_aside(Path("train.tsv"))
    (True, False)
    """
    return bool(_ASIDE.match(path.name))


def format_of(path: Path) -> str | None:
    """Which format a file's name promises; None for an unknown one.

    >>> format_of(Path("a/train.tsv.gz"))
    'tsv'
    """
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    return FORMATS.get(suffixes[-1]) if suffixes else None


def stem_of(path: Path) -> str:
    """A file's name without its format and compression.

    >>> stem_of(Path("a/esp.testa.conll.gz"))
    'esp.testa'
    """
    name = path.name
    while Path(name).suffix.lower() in (*FORMATS, ".gz"):
        name = Path(name).stem
    return name


def part_of(name: str) -> tuple[str | None, str]:
    """Which part a name speaks of, and what is left of the name without it and without a shard's number.

    >>> part_of("esp.testa"), part_of("train-00000-of-00002"), part_of("reviews")
    (('dev', 'esp'), ('train', ''), (None, 'reviews'))
    """
    for found in reversed(list(re.finditer(r"[^._\-\s]+", name))):
        part = _PARTS.get(found.group().lower())
        if part:
            rest = re.sub(r"[._\-\s]*\d+([._\-\s]*of[._\-\s]*\d+)?$", "", name[found.end() :])
            return part, f"{name[: found.start()]}{rest}".strip("._- ")
    return None, name


def open_binary(path: Path) -> BinaryIO:
    """The file's bytes, unpacked when its name ends in ``.gz``."""
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


@contextlib.contextmanager
def open_text(path: Path, newline: str = "\n") -> Iterator[io.TextIOWrapper]:
    """The file as text. Bytes that are no UTF-8 become lone surrogates, which `Tally.text` counts and replaces.

    Args:
        path: the file; ``.gz`` is unpacked.
        newline: as in `open`. The default splits at line feeds alone.

    Raises:
        DataError: if the file is not there, cannot be read, or is damaged.
    """
    with told(path), open_binary(path) as raw:
        start = raw.peek(4)[:4]  # type: ignore[attr-defined]
        encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        errors = "replace" if encoding == "utf-16" else "surrogateescape"
        yield io.TextIOWrapper(raw, encoding=encoding, errors=errors, newline=newline)


def lines_of(path: Path) -> Iterator[str]:
    """The file's lines without their line ends."""
    with open_text(path) as file:
        for line in file:
            yield line.removesuffix("\n").removesuffix("\r")


def start_of(path: Path, lines: int = 500) -> str:
    """The first lines of a file."""
    return "\n".join(islice(lines_of(path), lines))


@contextlib.contextmanager
def told(path: Path, damage: tuple[type[BaseException], ...] = ()) -> Iterator[None]:
    """Turn what goes wrong while a file is read into one `DataError` that names the file.

    Args:
        path: the file.
        damage: further exceptions that mean a damaged file.
    """
    damaged: tuple[type[BaseException], ...] = (EOFError, zlib.error, gzip.BadGzipFile, *damage)
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path} is not there{_neighbours(path)}") from error
    except damaged as error:
        raise DataError(f"{path} is damaged or cut short ({error}); fetch or write it again") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _neighbours(path: Path) -> str:
    """What lies where something was looked for."""
    folder = path.parent
    if not folder.is_dir():
        return f", and neither is the folder {folder}"
    return f"; {folder} holds {listing(child.name for child in folder.iterdir())}"


def listing(names: Iterable[str], most: int = 8) -> str:
    """Some names in one line.

    >>> listing(["b", "a"])
    'a, b'
    """
    known = sorted(names)
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return (", ".join(known[:most]) or "nothing") + more
