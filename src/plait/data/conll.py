"""Tagged sentences: CoNLL-U treebanks, and CoNLL files with a word and its tags on a line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from plait.data.build import Sentence
from plait.data.files import lines_of
from plait.data.tally import Tally
from plait.types import DataError

UD_COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")


def read_sentences(files: Sequence[tuple[str, Path]], chosen: Mapping[str, str], tally: Tally) -> Iterator[Sentence]:
    """Sentences of CoNLL-U or CoNLL files, which blank lines separate.

    Args:
        files: a part's name and a file, each.
        chosen: "word" and "tag", each a name of `UD_COLUMNS` (CoNLL-U) or a column's number from 0. By default words
            and universal part-of-speech tags of CoNLL-U; of other files the first column (the second when the first one
            counts the words) and the last.
        tally: where faults are counted.

    Raises:
        DataError: if a line has too few columns, or a named column does not exist.
    """
    for part, path in files:
        block: list[list[str]] = []
        start = 0
        for number, line in enumerate(lines_of(path), 1):
            if line.strip(" \t"):
                start = start if block else number
                block.append(line.split("\t") if "\t" in line else re.split(" +", line.strip(" ")))
            elif block:
                yield from _sentence(part, path, start, block, chosen, tally)
                block = []
        if block:
            yield from _sentence(part, path, start, block, chosen, tally)


def looks_tagged(start: str) -> bool:
    r"""Whether the beginning of a file is a column format: a numbered first sentence, maybe after comments.

    >>> looks_tagged("# newdoc\n1\tThe\tO\n2\towl\tO\n\n1\tIt"), looks_tagged("id\ttext\n1\tA text\n")
    (True, False)
    """
    lines = [line for line in start.partition("\n\n")[0].split("\n") if line and not line.startswith("#")]
    return "\n\n" in start and bool(lines) and _numbered([line.split("\t") for line in lines])


def _comments(block: list[list[str]]) -> int:
    """How many lines at the start of a block are comments.

    A sentence may begin with a word like "#1": a line that has as many columns as the others is one of the sentence,
    unless the others are numbered.
    """
    lead = next((number for number, fields in enumerate(block) if not fields[0].startswith("#")), len(block))
    rest = block[lead:]
    if rest and not _numbered(rest) and all(len(fields) == len(rest[0]) for fields in block[:lead]):
        return 0
    return lead


def _sentence(
    part: str, path: Path, start: int, block: list[list[str]], chosen: Mapping[str, str], tally: Tally
) -> Iterator[Sentence]:
    lead = _comments(block)
    block, start = block[lead:], start + lead
    if not block or block[0][0] == "-DOCSTART-":
        return
    widths = {len(fields) for fields in block}
    numbered = _numbered(block)
    universal = numbered and min(widths) == len(UD_COLUMNS)
    if universal:
        block = [fields for fields in block if fields[0].isdigit()]
    word = _place(chosen.get("word"), "word", universal, 1 if numbered else 0, path)
    tag = _place(chosen.get("tag"), "tag", universal, 3 if universal else -1, path)
    if min(widths) <= max(word, tag, 1 + numbered):
        line = start + next(n for n, fields in enumerate(block) if len(fields) == min(widths))
        raise DataError(
            f"{path}, line {line} has {min(widths)} columns; expected at least {max(word, tag, 1 + numbered) + 1}: "
            "a word and its tag on each line, a blank line between sentences"
        )
    words = [tally.text(fields[word]) for fields in block]
    yield part, f"{path}, line {start}", words, [tally.text(fields[tag]).strip() for fields in block]


def _numbered(block: list[list[str]]) -> bool:
    numbers = [fields[0] for fields in block if not re.fullmatch(r"\d+[-.]\d+", fields[0])]
    return len(block[0]) > 2 and numbers == [str(n) for n in range(1, len(numbers) + 1)]


def _place(name: str | None, role: str, universal: bool, default: int, path: Path) -> int:
    if name is None:
        return default
    if name.isdigit():
        return int(name)
    if universal and name.lower() in UD_COLUMNS:
        return UD_COLUMNS.index(name.lower())
    known = ", ".join(UD_COLUMNS) if universal else "a column's number, from 0"
    raise DataError(f"{path}: columns names {name!r} as the {role}; expected {known}")
