"""`read`: any data to a task."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from plait.data.build import Source, labels_task, pairs_task, records, sentences_of, tags_task
from plait.data.columns import check_settings, recognise
from plait.data.conll import looks_tagged, read_sentences
from plait.data.files import format_of, listing, start_of, stem_of, told
from plait.data.proxies import Corpus, proxy_task
from plait.data.retrieval import is_beir, read_beir, read_query_table
from plait.data.sources import members, parts_of, path_of, siblings
from plait.data.tables import open_table
from plait.data.tally import Tally
from plait.data.tasks import KINDS, Kind, Task
from plait.types import DataError, MissingExtra

Data: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]"
_HUB = re.compile(r"(hf:.+|[\w.-]+/[\w.-]+(:[\w.-]+)?)")


def read(source: Data, task: Kind | None = None, columns: Mapping[str, str | int] | None = None, seed: int = 0) -> Task:
    """Read data as a task.

    Args:
        source: a file (CSV, TSV, JSONL, Parquet, CoNLL, CoNLL-U or plain lines, each also ``.gz``), several files, a
            folder (BEIR layout, or files named train, dev or test), ``demo:NAME``, ``data:PATH`` or a Hugging Face
            data set (``owner/name`` or ``hf:owner/name``, with ``:configuration`` where it has several).
        task: what to read it as. By default it is recognised from the columns; clustering must be asked for.
        columns: columns by role, where their names do not tell: text, title, label (labels: several, separated by
            ``|``), left, right, score, query, document, word, tag, split. A number counts columns from 0 in a CSV or
            TSV file that has no header line. "positive" and "negative" name the labels of a pair classification;
            "classes" names all that count, separated by ``|``, where there are more than two.
        seed: of the made-up queries, for texts without labels.

    Returns:
        The task. Its ``notes`` count what was mended or dropped; its ``proxy`` says so when the labels are made up.

    Raises:
        DataError: if the data is not there, is damaged, or cannot be used; the message says what to do.
        MissingExtra: if a data set of the hub is asked for and `datasets` is not installed.

    Example:
        >>> task = read("demo:stsb")
        >>> task.kind, {part: len(examples) for part, examples in task.parts.items()}
        ('sts', {'dev': 600, 'test': 600})
    """
    if task is not None and task not in KINDS:
        raise DataError(f"task is {task!r}; expected one of {', '.join(KINDS)}")
    chosen = {role: str(column) for role, column in (columns or {}).items()}
    check_settings(chosen)
    headless = any(isinstance(column, int) for column in (columns or {}).values())
    tally = Tally()
    if isinstance(source, str | os.PathLike):
        where = path_of(source)
        name = str(source) if str(source).startswith(("demo:", "hf:")) else stem_of(where)
        if not where.exists() and not siblings(where):
            return _from_hub(str(source), task, chosen, tally, seed)
        if where.is_dir() and is_beir(where) and task in (None, "retrieval"):
            return read_beir(where, name, tally, seed)
        files = members(where)
    else:
        files = parts_of([path_of(one) for one in source], "the list of files")
        name = "+".join(stem_of(path) for _, path in files)
    return _from_files(files, name, task, chosen, headless, tally, seed)


def _from_files(
    files: list[tuple[str, Path]],
    name: str,
    task: Kind | None,
    chosen: Mapping[str, str],
    headless: bool,
    tally: Tally,
    seed: int,
) -> Task:
    tagged = {path for _, path in files if format_of(path) in ("conll", "conllu") or _tagged_table(path, task)}
    if tagged:
        if task not in (None, "tagging"):
            raise DataError(
                f"{name} is a file of words and tags in columns (CoNLL); it can be read as tagging, not as {task}"
            )
        if len(tagged) < len(files):
            raise DataError(f"{name} has tagged sentences and other tables: {listing(path.name for _, path in files)}")
        return tags_task(name, read_sentences(files, chosen, tally), tally)
    sources = [(part, open_table(path, tally, header=not headless)) for part, path in files]
    return _from_tables(sources, name, task, chosen, tally, seed)


def _tagged_table(path: Path, task: Kind | None) -> bool:
    """Whether a file that calls itself a table or text holds words and tags in columns."""
    if task not in (None, "tagging") or format_of(path) not in ("tsv", "lines"):
        return False
    return looks_tagged(start_of(path))


def _from_tables(
    sources: Sequence[Source], name: str, task: Kind | None, chosen: Mapping[str, str], tally: Tally, seed: int
) -> Task:
    plan = recognise(sources[0][1], task, chosen, tally)
    match plan.kind:
        case "classification" | "clustering":
            return labels_task(name, plan.kind, sources, plan, tally)
        case "sts" | "pair-classification":
            return pairs_task(name, plan.kind, sources, plan, tally, chosen)
        case "tagging":
            return tags_task(name, sentences_of(sources, plan, tally), tally)
        case "retrieval":
            return read_query_table(name, sources, plan, tally)
        case None:
            corpus = Corpus()
            for record in records(sources, plan, tally):
                corpus.add(tally.text(record.cells.get("title")), tally.text(record.cells["text"]))
            return proxy_task(name, corpus, tally, seed)


def _from_hub(source: str, task: Kind | None, chosen: Mapping[str, str], tally: Tally, seed: int) -> Task:
    """A data set of the hub, or the reason why a path that is not there cannot be one."""
    if not _HUB.fullmatch(source) or source.startswith("data:"):
        with told(path_of(source)):
            raise FileNotFoundError(source)
    from plait.data.hub import hub_tables

    name = source.removeprefix("hf:")
    try:
        return _from_tables(hub_tables(name), name, task, chosen, tally, seed)
    except MissingExtra as error:
        if source.startswith("hf:"):
            raise
        raise DataError(f"there is no file or folder {source}; for the hub's data set of that name: {error}") from error
