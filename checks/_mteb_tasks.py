"""Tasks of MTEB's kinds: the benchmark that the project has as data, and sets that are no table of texts and labels."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _scan import table

from plait.data import Judgements, Task, read, sample_task, select
from plait.evaluation import TaskSpec, suite

CAPS = {"train": 500, "dev": 50, "test": 400, "all": 500, "documents": 500}
WHOLE = ("SciFact", "CACM")
"""Retrieval tasks whose corpora stay whole, since smaller ones are compared with them."""
QUERIES = 100
"""Queries of a whole task at most."""
GENRES = {"main-captions": "captions", "main-news": "news", "main-forums": "forums"}


def specs(data: Path) -> list[TaskSpec]:
    """All tasks, at most 500 texts of each part."""
    similar = read("data:sts/stsb")
    others = [_code(data), _meetings(data), *[_translations(data, language) for language in ("deu", "fra")]]
    return [
        TaskSpec(replace(similar, name="STS-B")),
        *[TaskSpec(task) for task in _genres(data, similar)],
        *_made(),
        *[TaskSpec(task, metric=metric, group=group) for task, metric, group in others],
    ]


def _made() -> list[TaskSpec]:
    """The benchmark that is data, with fewer examples; of whole corpora only the queries."""
    small, whole = suite("mteb-local", CAPS), {spec.name: spec for spec in suite("mteb-local") if spec.name in WHOLE}
    made = [_with_fewer_queries(whole[spec.name]) if spec.name in whole else spec for spec in small]
    return [spec for spec in made if spec.name != "STS-B"]


def _with_fewer_queries(spec: TaskSpec) -> TaskSpec:
    parts = spec.task.parts
    kept = {"test": parts["test"]} if "test" in parts else parts
    return replace(spec, task=sample_task(replace(spec.task, parts=kept), dict.fromkeys(kept, QUERIES)))


def _genres(data: Path, task: Task) -> list[Task]:
    """STS-B by where its pairs come from."""
    genres = np.array([row["genre"] for row in table(data / "sts" / "stsb" / "test.tsv")])
    return [
        replace(task, name=f"STS-B {name}", parts={"test": select(task.parts["test"], np.flatnonzero(genres == genre))})
        for genre, name in GENRES.items()
    ]


def _search(name: str, queries: Sequence[str], documents: Mapping[str, str], relevant: Sequence[str]) -> Task:
    """One relevant document a query."""
    texts = list(dict.fromkeys(documents.values()))
    row = {text: number for number, text in enumerate(texts)}
    place = {key: number for number, key in enumerate(documents)}
    asked = list(dict.fromkeys(queries))
    rows = np.array([asked.index(query) for query in queries], np.int64)
    judged = Judgements(rows, tuple({place[key]: 1} for key in relevant))
    corpus = np.array([row[text] for text in documents.values()], np.int64)
    return Task("retrieval", name, tuple(texts), tuple(asked), {"test": judged}, corpus, tuple(documents))


def _capped(task: Task, queries: int) -> Task:
    return sample_task(task, {"test": queries, "documents": CAPS["documents"]})


def _code(data: Path) -> tuple[Task, str, str]:
    """Web queries against Python functions."""
    folder = data / "code" / "cosqa"
    base, rows = _lines(folder / "codebase.jsonl.gz"), _lines(folder / "test.jsonl")
    documents = {str(row["id"]): str(row["code"]) for row in base}
    task = _search("CoSQA", [row["query"] for row in rows], documents, [str(row["relevant"]) for row in rows])
    return _capped(task, 300), "nDCG@10", "retrieval"


def _meetings(data: Path) -> tuple[Task, str, str]:
    """Questions against the passages of meetings that answer them."""
    documents: dict[str, str] = {}
    queries, relevant = [], []
    for number, meeting in enumerate(_lines(data / "longdoc" / "qmsum" / "test.jsonl.gz")):
        for asked in meeting["specific_query_list"]:
            turns = [
                turn["content"]
                for start, end in asked["relevant_text_span"]
                for turn in meeting["meeting_transcripts"][int(start) : int(end) + 1]
            ]
            key = f"{number}/{len(documents)}"
            documents[key] = " ".join(turns)
            queries.append(asked["query"])
            relevant.append(key)
    return _search("QMSum passages", queries, documents, relevant), "nDCG@10", "retrieval"


def _translations(data: Path, language: str) -> tuple[Task, str, str]:
    """Sentences against their English translations."""
    folder = data / "bitext" / "tatoeba"
    foreign, english = (
        (folder / f"tatoeba.{language}-eng.{side}").read_text(encoding="utf-8").splitlines()[: CAPS["test"]]
        for side in (language, "eng")
    )
    documents = {str(number): text for number, text in enumerate(english)}
    return _search(f"Tatoeba {language}", foreign, documents, list(documents)), "Recall@1", "bitext"


def _lines(path: Path) -> list[Any]:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in raw.decode().splitlines()]
