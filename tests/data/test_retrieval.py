"""Retrieval: the BEIR layout, judgements that do not fit, tables of query and document."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from plait.data import Judgements, Task, read, split
from plait.types import DataError
from tests.data.writers import write_beir, write_table

CORPUS = [
    {"_id": "d1", "title": "Owls", "text": "They hoot."},
    {"_id": "d2", "title": "Larks", "text": "Larks sing."},
    {"_id": "d3", "title": "", "text": ""},
    {"_id": "d4", "title": "Owls", "text": "They hoot."},
]
QUERIES = [{"_id": "q1", "text": "who hoots"}, {"_id": "q2", "text": "who sings"}, {"_id": "q3", "text": "who barks"}]
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td4\t2\nq2\td2\t1\nq2\td1\t0\n"


def grades(task: Task, part: str) -> dict[str, dict[str, int]]:
    """Judgements by text of the query and id of the document."""
    examples = task.parts[part]
    assert isinstance(examples, Judgements)
    return {
        str(task.queries[row]): {task.doc_ids[number]: grade for number, grade in relevant.items()}
        for row, relevant in zip(examples.queries, examples.relevant, strict=True)
    }


def test_beir_folder(tmp_path: Path) -> None:
    task = read(write_beir(tmp_path / "birds", CORPUS, QUERIES, {"qrels.tsv": QRELS}))
    assert (task.kind, task.name) == ("retrieval", "birds")
    assert list(task.documents) == ["Owls They hoot.", "Larks Larks sing.", ""]
    assert task.corpus is not None
    assert task.corpus.tolist() == [0, 1, 2, 0]
    assert task.doc_ids == ("d1", "d2", "d3", "d4")
    assert grades(task, "all") == {"who hoots": {"d1": 1, "d4": 2}, "who sings": {"d2": 1}}
    assert task.notes == ("1 document without text kept as empty", "1 query without judgements left out")


def test_beir_splits(tmp_path: Path) -> None:
    folder = write_beir(tmp_path / "b", CORPUS, QUERIES, {"qrels/train.tsv": QRELS, "qrels/test.tsv": "q3\td3\t1\n"})
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress((folder / "corpus.jsonl").read_bytes()))
    (folder / "corpus.jsonl").unlink()
    task = read(folder)
    assert {part: len(examples) for part, examples in task.parts.items()} == {"test": 1, "train": 2}
    (fold,) = split(task).folds
    assert fold.train is fold.dev


@pytest.mark.parametrize("qrels", ["q1 0 d1 1\nq2 0 d2 1\n", "q1\td1\t1.0\nq2\td2\t1\n"])
def test_layouts_of_judgements(tmp_path: Path, qrels: str) -> None:
    task = read(write_beir(tmp_path / "b", CORPUS, QUERIES, {"qrels.tsv": qrels}))
    assert grades(task, "all") == {"who hoots": {"d1": 1}, "who sings": {"d2": 1}}


def test_judgements_of_unknown_ids(tmp_path: Path) -> None:
    qrels = QRELS + "q9\td1\t1\nq1\td9\t1\nq1\td8\t1\n"
    task = read(write_beir(tmp_path / "b", CORPUS, QUERIES, {"qrels.tsv": qrels}))
    assert "1 judgement of an unknown query dropped" in task.notes
    assert "2 judgements of an unknown document dropped" in task.notes
    folder = write_beir(tmp_path / "c", CORPUS, QUERIES, {"qrels.tsv": "x1\td1\t1\nx2\td2\t1\n"})
    with pytest.raises(DataError, match=r"no judgement can be used.*the first is query 'x1'"):
        read(folder)


def test_judgements_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2: the grade is 'high'"):
        read(write_beir(tmp_path / "b", CORPUS, QUERIES, {"qrels.tsv": "q1\td1\t1\nq2\td2\thigh\n"}))
    with pytest.raises(DataError, match="line 1 has 2 fields"):
        read(write_beir(tmp_path / "c", CORPUS, QUERIES, {"qrels.tsv": "q1\td1\n"}))


def test_ids_that_stand_twice(tmp_path: Path) -> None:
    task = read(write_beir(tmp_path / "b", [*CORPUS, CORPUS[0]], QUERIES, {"qrels.tsv": QRELS}))
    assert len(task.doc_ids) == 4
    assert "1 document with an id and a text that had been there, merged" in task.notes
    other = {"_id": "d1", "text": "another text"}
    with pytest.raises(DataError, match="line 5: the id 'd1' stands for two different documents"):
        read(write_beir(tmp_path / "c", [*CORPUS, other], QUERIES, {"qrels.tsv": QRELS}))
    with pytest.raises(DataError, match="'q1' stands for two different queries"):
        read(write_beir(tmp_path / "d", CORPUS, [*QUERIES, {"_id": "q1", "text": "x"}], {"qrels.tsv": QRELS}))


def test_corpus_without_judgements_is_a_proxy(tmp_path: Path) -> None:
    corpus = [{"_id": f"d{n}", "title": f"Title {n}", "text": f"Body of number {n}."} for n in range(30)]
    task = read(write_beir(tmp_path / "b", corpus, [], {}))
    assert task.proxy is not None
    assert task.doc_ids[3] == "d3"
    assert "b has no judgements (qrels.tsv or qrels/)" in task.notes


def test_table_of_query_and_document(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {"label": [1, 0, 1], "question": ["q", "q", "r"], "sentence": ["a", "b", "b"]}
    task = read(write_table(tmp_path / "t.tsv", columns))
    assert task.kind == "retrieval"
    assert list(task.documents) == ["a", "b"]
    assert grades(task, "all") == {"q": {"0": 1}, "r": {"1": 1}}


def test_table_of_query_and_document_without_grades(tmp_path: Path) -> None:
    task = read(write_table(tmp_path / "t.jsonl", {"query": ["q", "r", " "], "passage": ["a", "b", "c"]}))
    assert grades(task, "all") == {"q": {"0": 1}, "r": {"1": 1}}
    assert task.notes == ("1 row without query or document dropped",)


def test_a_row_of_the_corpus_is_its_text(tmp_path: Path) -> None:
    task = read("demo:scifact")
    assert task.corpus is not None
    assert len(task.doc_ids) == len(task.corpus) == 1000
    assert np.array_equal(np.unique(task.corpus), np.arange(len(task.documents)))
