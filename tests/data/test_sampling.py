"""Smaller tasks: what stays is what was there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.data import Judgements, Labels, Task, read, sample_task, with_documents
from plait.data.sampling import relevant_documents
from plait.types import DataError


def labels(number: int = 20) -> Task:
    part = Labels(np.arange(number), tuple(str(n % 3) for n in range(number)))
    texts = tuple(f"t{n}" for n in range(number))
    return Task("classification", "c", texts, parts={"train": part, "test": part.take(np.arange(5))})


def search() -> Task:
    """Six queries; documents 0 and 1 have the same text."""
    judged = Judgements(np.arange(6), tuple({n: 1, n + 6: 2} for n in range(6)))
    texts = ("same", *(f"d{n}" for n in range(2, 20)))
    corpus = np.array([0, 0, *range(1, 19)])
    return Task(
        "retrieval", "s", texts, tuple(f"q{n}" for n in range(6)), {"all": judged}, corpus, tuple(map(str, range(20)))
    )


@given(most=st.integers(0, 30), seed=st.integers(0, 9))
def test_examples_are_some_of_those_that_were_there_in_order(most: int, seed: int) -> None:
    task = labels()
    small = sample_task(task, {"train": most}, seed)
    part = small.parts["train"]
    assert isinstance(part, Labels)
    assert len(part) == min(most, 20)
    assert part.rows.tolist() == sorted(set(part.rows.tolist()))
    assert all(label == str(row % 3) for row, label in zip(part.rows, part.labels, strict=True))
    assert len(small.parts["test"]) == 5
    again = sample_task(task, {"train": most}, seed).parts["train"]
    assert isinstance(again, Labels)
    assert (again.rows == part.rows).all()


@given(queries=st.integers(1, 6), documents=st.integers(0, 25), seed=st.integers(0, 9))
def test_searching_in_fewer_documents(queries: int, documents: int, seed: int) -> None:
    task = search()
    small = sample_task(task, {"all": queries, "documents": documents}, seed)
    part = small.parts["all"]
    assert isinstance(part, Judgements) and small.corpus is not None
    assert len(small.queries) == queries
    assert len(small.doc_ids) == len(small.corpus) == min(20, max(documents, 2 * queries))
    for row, found in zip(part.queries, part.relevant, strict=True):
        number = int(small.queries[row][1:])
        assert {small.doc_ids[d]: grade for d, grade in found.items()} == {str(number): 1, str(number + 6): 2}
    for place, key in enumerate(small.doc_ids):
        assert small.documents[small.corpus[place]] == task.documents[task.corpus[int(key)]]  # type: ignore[index]


def test_documents_keep_the_order_they_are_named_in() -> None:
    task = search()
    moved = with_documents(task, np.array([*range(12), 19, 15]))
    assert moved.doc_ids[-2:] == ("19", "15")
    assert len(moved.documents) == 13  # two of the fourteen share a text
    assert relevant_documents(moved).tolist() == list(range(12))


def test_what_would_break_a_task_is_refused() -> None:
    with pytest.raises(DataError, match="6 queries of s would lose all"):
        with_documents(search(), np.array([19]))
    with pytest.raises(DataError, match="c has no 'documents' to cap; it has train, test"):
        sample_task(labels(), {"documents": 3})
    with pytest.raises(DataError, match="c is a classification task"):
        with_documents(labels(), np.array([0]))


def test_pairs_keep_their_scores() -> None:
    task = read("demo:stsb")
    small = sample_task(task, {"dev": 10, "test": 600})
    assert small.documents is task.documents
    assert len(small.parts["dev"]) == 10
