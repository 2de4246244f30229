"""Files of word vectors: word2vec text and binary, GloVe, fastText ``.vec``.

Such a file is read once, into a safetensors table in the cache that is memory-mapped from then on. The table has one
more row than there are words: zeros, for words that it does not know.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from plait.encoders.checksums import cache_folder, sha256
from plait.encoders.tensors import check_safetensors, read_array, without_nan
from plait.types import DataError, Floats, ModelError

_HEADER = 512
_SNIFF = 1 << 16
_LONGEST_WORD = 1 << 10

Row = tuple[str, Floats]


def word_table(path: Path) -> tuple[list[str], Floats]:
    """Words of a file of word vectors and their ``[V + 1, D]`` table, memory-mapped.

    Args:
        path: a file in word2vec (text or binary), GloVe or fastText ``.vec`` format, gzipped or not.

    Raises:
        DataError: if the file does not keep to its format; the message names the line.
    """
    prepared = cache_folder() / "tables" / f"{sha256(path)}.safetensors"
    if not prepared.exists():
        _prepare(path, prepared)
    tensors = check_safetensors(prepared)
    words = bytes(read_array(prepared, tensors["words"])).decode("utf-8").split("\n")
    return words, read_array(prepared, tensors["table"])


def _prepare(path: Path, prepared: Path) -> None:
    try:
        prepared.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=prepared.parent)
    except OSError as error:
        hint = "PLAIT_CACHE names another folder"
        raise ModelError(f"cannot write {prepared.parent}: {error.strerror}; {hint}") from error
    try:
        with os.fdopen(handle, "w+b") as out, _open(path) as file:
            _write(out, _rows(file, path), path)
        os.replace(scratch, prepared)
    except BaseException:
        os.unlink(scratch)
        raise


def _write(out: BinaryIO, rows: Iterator[Row], path: Path) -> None:
    """Write the rows as they come; the header, of fixed length, goes in front at the end."""
    out.seek(_HEADER)
    words: dict[str, None] = {}
    repeated = broken = width = 0
    for word, vector in rows:
        width = len(vector)
        if word in words:
            repeated += 1
            continue
        words[word] = None
        finite = bool(np.isfinite(vector).all())
        broken += not finite
        out.write(vector.astype("<f4", copy=False).tobytes() if finite else bytes(4 * width))
    if not words:
        raise DataError(f"{path} holds no vectors")
    if broken:
        without_nan(np.full((1, 1), np.nan if broken == len(words) else 0, np.float32), str(path))
        warnings.warn(f"{path}: {broken} of {len(words)} rows hold NaN or infinity; they count as zeros", stacklevel=2)
    if repeated:
        warnings.warn(f"{path}: {repeated} words come more than once; the first vector of each counts", stacklevel=2)
    out.write(bytes(4 * width))
    text = "\n".join(words).encode("utf-8")
    out.write(text)
    table = 4 * width * (len(words) + 1)
    entries = {
        "table": {"dtype": "F32", "shape": [len(words) + 1, width], "data_offsets": [0, table]},
        "words": {"dtype": "U8", "shape": [len(text)], "data_offsets": [table, table + len(text)]},
    }
    header = json.dumps(entries).encode().ljust(_HEADER - 8)
    out.seek(0)
    out.write(len(header).to_bytes(8, "little") + header)


def _open(path: Path) -> io.BufferedReader:
    if path.suffix == ".gz":
        return io.BufferedReader(gzip.open(path, "rb"))
    return path.open("rb")


def _rows(file: io.BufferedReader, path: Path) -> Iterator[Row]:
    """Words with their vectors, whichever format it is."""
    first = file.readline(_SNIFF)
    header = _counts(first)
    if header is None:
        yield from _text(file, path, first, None)
    elif _binary(file, header[1]):
        yield from _word2vec_binary(file, path, *header)
    else:
        yield from _text(file, path, None, header)


def _counts(line: bytes) -> tuple[int, int] | None:
    """Words and width, when the line is a header."""
    parts = line.split()
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        return None
    return int(parts[0]), int(parts[1])


def _binary(file: io.BufferedReader, width: int) -> bool:
    """Whether the row that comes next is no text with ``width`` numbers."""
    ahead = file.peek(_SNIFF)
    line, *rest = ahead.split(b"\n", 1)
    try:
        fields = line.decode("utf-8").split()
        if rest:
            return len(fields) < 2 or not all(map(_is_number, fields[-min(width, len(fields) - 1) :]))
        return not all(map(_is_number, fields[1:-1]))
    except UnicodeDecodeError:
        return True


def _word2vec_binary(file: io.BufferedReader, path: Path, count: int, width: int) -> Iterator[Row]:
    for number in range(count):
        word = bytearray()
        while (byte := file.read(1)) not in (b" ", b""):
            word += byte
            if len(word) > _LONGEST_WORD:
                where = f"{path}, word {number + 1} of {count}"
                raise DataError(f"{where}: no end of the word found; the width {width} in the header does not fit")
        data = file.read(4 * width)
        if len(data) < 4 * width:
            raise DataError(f"{path} ends at word {number + 1} of {count}: it is cut short, fetch it again")
        yield word.lstrip(b"\n").decode("utf-8", "replace").replace("\n", " "), np.frombuffer(data, "<f4")
    if file.read(2).strip():
        raise DataError(f"{path} goes on after the {count} words that its header promises: the header does not fit")


def _text(file: io.BufferedReader, path: Path, first: bytes | None, header: tuple[int, int] | None) -> Iterator[Row]:
    width = header[1] if header else None
    seen = 0
    for number, line in enumerate(_lines(file, first), start=2 if header else 1):
        if not line.strip():
            continue
        if width is None:
            width = len(line.split()) - 1
        yield _vector(line, width, f"{path}, line {number}")
        seen += 1
    if header and seen != header[0]:
        raise DataError(f"{path} holds {seen} vectors, its header promises {header[0]}: is it cut short?")


def _lines(file: io.BufferedReader, first: bytes | None) -> Iterator[bytes]:
    if first is not None:
        yield first
    yield from file


def _vector(line: bytes, width: int, where: str) -> Row:
    """Word and vector of one line; a word may hold spaces, but no number may be left over."""
    text = line.decode("utf-8", "replace").rstrip()
    fields = text.rsplit(" ", width)
    word = fields[0].strip()
    if width < 1 or len(fields) != width + 1 or not all(map(_is_number, (fields[1], fields[-1]))):
        found = f"{text[:40]!r} with {len(text.split()) - 1}"
        raise DataError(f"{where}: expected a word and {max(width, 1)} numbers, found {found}")
    leftover = word.rsplit(" ", 1)
    if len(leftover) > 1 and _is_number(leftover[1]):
        raise DataError(f"{where}: expected {width} numbers, found {len(text.split()) - 1}")
    try:
        return word, np.array(fields[1:], np.float32)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from error


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
