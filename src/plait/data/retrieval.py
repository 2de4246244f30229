"""Retrieval tasks: documents, queries and judgements, from a BEIR folder or from a table of query and document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from plait.data.build import Source, Unique, joined, records
from plait.data.columns import Plan
from plait.data.files import lines_of, part_of
from plait.data.proxies import Corpus, proxy_task
from plait.data.tables import open_table
from plait.data.tally import Tally
from plait.data.tasks import Judgements, Task
from plait.types import DataError

_IDS = ("_id", "id", "doc_id", "docid", "query_id")


class RetrievalBuilder:
    """Collects documents, queries and judgements, and makes the task of them."""

    def __init__(self, name: str, tally: Tally) -> None:
        self.name, self.tally = name, tally
        self.texts: Unique[str] = Unique()
        self.rows: list[int] = []
        self.numbers: dict[str, int] = {}
        self.queries: dict[str, str] = {}
        self.found: dict[str, dict[str, dict[int, int]]] = {}
        self._unknown = ""

    def document(self, key: str, text: str, where: str) -> None:
        """Add a document; a second one with the same id must have the same text."""
        number = self.numbers.get(key)
        row = self.texts.row(text)
        if number is None:
            self.numbers[key] = len(self.rows)
            self.rows.append(row)
            self.tally.add("document", "without text kept as empty", int(not text.strip()))
        elif self.rows[number] == row:
            self.tally.add("document", "with an id and a text that had been there, merged")
        else:
            raise DataError(f"{where}: the id {key!r} stands for two different documents; give each its own")

    def query(self, key: str, text: str, where: str) -> None:
        """Add a query; a second one with the same id must have the same text."""
        if not text.strip():
            self.tally.add("query", "without text dropped")
        elif self.queries.setdefault(key, text) != text:
            raise DataError(f"{where}: the id {key!r} stands for two different queries; give each its own")

    def judge(self, part: str, query: str, document: str, grade: int) -> None:
        """Add a judgement; of two for the same query and document the higher grade counts."""
        if query not in self.queries or document not in self.numbers:
            unknown, name = ("query", query) if query not in self.queries else ("document", document)
            self._unknown = self._unknown or f"the first is {unknown} {name!r}"
            self.tally.add("judgement", f"of an unknown {unknown} dropped")
            return
        relevant = self.found.setdefault(part, {}).setdefault(query, {})
        if grade > 0:
            number = self.numbers[document]
            relevant[number] = max(grade, relevant.get(number, 0))

    def task(self) -> Task:
        """The task of all that was added.

        Raises:
            DataError: if no judgement is left.
        """
        used: Unique[str] = Unique()
        parts: dict[str, Judgements] = {}
        for part, judged in self.found.items():
            kept = {query: relevant for query, relevant in judged.items() if relevant}
            self.tally.add("query", "with no relevant document left out", len(judged) - len(kept))
            if kept:
                rows = np.array([used.row(self.queries[query]) for query in kept], np.int64)
                parts[part] = Judgements(rows, tuple(kept.values()))
        if not parts:
            raise DataError(
                f"{self.name}: no judgement can be used ({'; '.join(self.tally.notes()) or 'there is none'}"
                f"{'; ' + self._unknown if self._unknown else ''}); expected ids of the corpus and of the queries"
            )
        idle = len(self.queries) - len({query for judged in self.found.values() for query in judged})
        self.tally.add("query", "without judgements left out", idle)
        return Task(
            "retrieval",
            self.name,
            tuple(self.texts),
            queries=tuple(used),
            parts=dict(parts),
            corpus=np.array(self.rows, np.int64),
            doc_ids=tuple(self.numbers),
            notes=self.tally.notes(),
        )


def is_beir(folder: Path) -> bool:
    """Whether a folder is laid out as in BEIR: it has a corpus file."""
    return _member(folder, "corpus") is not None


def read_beir(folder: Path, name: str, tally: Tally, seed: int) -> Task:
    """Read ``corpus.jsonl``, ``queries.jsonl`` and ``qrels.tsv`` or ``qrels/*.tsv`` (each also .gz).

    Without queries or judgements the corpus alone gives a task with made-up labels (see `plait.data.proxies`).
    """
    queries, qrels = _member(folder, "queries"), _qrels(folder)
    if queries is None or not qrels:
        missing = "queries" if queries is None else "judgements (qrels.tsv or qrels/)"
        tally.remark(f"{folder.name} has no {missing}")
        corpus = Corpus()
        for key, title, text, _ in _entries(folder, "corpus", tally):
            corpus.add(title, text, key)
        return proxy_task(name, corpus, tally, seed)
    builder = RetrievalBuilder(name, tally)
    for key, title, text, where in _entries(folder, "corpus", tally):
        builder.document(key, joined(title, text), where)
    for key, title, text, where in _entries(folder, "queries", tally):
        builder.query(key, joined(title, text), where)
    parts = [(part_of(path.name.split(".")[0])[0], path) for path in qrels]
    if any(part for part, _ in parts):
        for part, path in parts:
            if part is None:
                tally.remark(f"{path.name} was left out: its name is none of train, dev and test, as others are")
        parts = [(part, path) for part, path in parts if part]
    for part, path in parts:
        for query, document, grade in _judgements(path):
            builder.judge(part or "all", query, document, grade)
    return builder.task()


def corpus_texts(folder: Path, tally: Tally) -> Iterator[str]:
    """Texts of a BEIR folder's documents."""
    return (joined(title, text) for _, title, text, _ in _entries(folder, "corpus", tally))


def corpus_file(folder: Path) -> Path:
    """The file of a BEIR folder's documents."""
    path = _member(folder, "corpus")
    assert path is not None
    return path


def _member(folder: Path, name: str) -> Path | None:
    endings = (".jsonl", ".jsonl.gz", ".parquet")
    return next((path for ending in endings if (path := folder / (name + ending)).is_file()), None)


def _qrels(folder: Path) -> list[Path]:
    return sorted(
        path
        for pattern in ("qrels.tsv", "qrels.tsv.gz", "qrels/*.tsv", "qrels/*.tsv.gz")
        for path in folder.glob(pattern)
    )


def _entries(folder: Path, name: str, tally: Tally) -> Iterator[tuple[str, str, str, str]]:
    path = _member(folder, name)
    assert path is not None
    table = open_table(path, tally)
    key = next((column for column in _IDS if column in table.columns), None)
    if key is None or "text" not in table.columns:
        raise DataError(f"{path} has the columns {', '.join(table.columns)}; expected _id, text and maybe title")
    columns = [key, "text", *(["title"] if "title" in table.columns else [])]
    for line, (number, text, *title) in table.pick(columns):
        if number is None:
            raise DataError(f"{table.at(line)} has no {key}")
        yield tally.text(number), tally.text(title[0]) if title else "", tally.text(text), table.at(line)


def _judgements(path: Path) -> Iterator[tuple[str, str, int]]:
    """Query, document and grade of each line: three columns, or the four of TREC; a header line is passed over."""
    for line, text in enumerate(lines_of(path), 1):
        fields = text.split("\t") if "\t" in text else re.split(r" +", text.strip())
        if fields == [""]:
            continue
        if len(fields) not in (3, 4):
            raise DataError(f"{path}, line {line} has {len(fields)} fields; expected query id, document id, grade")
        grade = as_grade(fields[-1])
        if grade is not None:
            yield fields[0], fields[-2], grade
        elif line > 1:
            raise DataError(f"{path}, line {line}: the grade is {fields[-1]!r}; expected a whole number")


def as_grade(text: str) -> int | None:
    """A whole number, also when written as 1.0; None for anything else."""
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if value.is_integer() else None


def read_query_table(name: str, sources: Sequence[Source], plan: Plan, tally: Tally) -> Task:
    """A retrieval task from rows of query and document, with or without a grade (0: not relevant)."""
    builder = RetrievalBuilder(name, tally)
    for record in records(sources, plan, tally):
        query = tally.text(record.cells["query"])
        document = joined(tally.text(record.cells.get("title")), tally.text(record.cells["document"]))
        grade = as_grade(tally.text(record.cells["score"])) if "score" in plan.columns else 1
        if grade is None:
            raise DataError(
                f"{record.where}: the grade in column {plan.columns['score']!r} is "
                f"{tally.text(record.cells['score'])!r}; expected a whole number, 0 for not relevant"
            )
        if not query.strip() or not document.strip():
            tally.add("row", "without query or document dropped")
            continue
        builder.query(query, query, record.where)
        if document not in builder.numbers:
            builder.document(document, document, record.where)
        builder.judge(record.part, query, document, grade)
    task = builder.task()
    numbers = tuple(map(str, range(len(task.doc_ids))))
    return Task("retrieval", name, task.documents, task.queries, task.parts, task.corpus, numbers, task.notes)
