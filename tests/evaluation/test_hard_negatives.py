"""Hard subsets hold what retrievers rank on top, and the relevant documents, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import plait
from plait.data import Judgements, Labels, Task, read
from plait.data.sampling import relevant_documents
from plait.evaluation import hard_negative_subset, judge, vector_retriever
from plait.types import DataError, Floats


def search(queries: int = 4, documents: int = 30) -> Task:
    judged = Judgements(np.arange(queries), tuple({documents - 1 - n: 1} for n in range(queries)))
    texts, asked = (tuple(f"{what} {n}" for n in range(size)) for what, size in (("d", documents), ("q", queries)))
    return Task(
        "retrieval", "s", texts, asked, {"all": judged}, np.arange(documents), tuple(f"id{n}" for n in range(documents))
    )


def by_number(queries: Sequence[str], documents: Sequence[str]) -> Floats:
    """Query n likes document 2 n best, then 2 n + 1, then the others by number."""
    likes = np.array([[-abs(int(d.split()[1]) - 2 * int(q.split()[1]) - 0.4) for d in documents] for q in queries])
    return likes.astype(np.float32)


def test_the_union_of_tops_and_relevant_documents_stays() -> None:
    hard = hard_negative_subset(search(), [by_number], depth=2)
    assert list(hard.doc_ids) == [f"id{n}" for n in (0, 1, 2, 3, 4, 5, 6, 7, 26, 27, 28, 29)]
    part = hard.parts["all"]
    assert isinstance(part, Judgements)
    assert [hard.doc_ids[next(iter(found))] for found in part.relevant] == ["id29", "id28", "id27", "id26"]


def test_several_retrievers_add_up() -> None:
    def middle_first(queries: Sequence[str], documents: Sequence[str]) -> Floats:
        return np.array([[-abs(int(d.split()[1]) - 15) for d in documents] for _ in queries], np.float32)

    one, two = (hard_negative_subset(search(), kinds, 3) for kinds in ([by_number], [by_number, middle_first]))
    assert {"id14", "id15", "id16"} <= set(two.doc_ids)
    assert set(one.doc_ids) < set(two.doc_ids)


def test_a_model_ranks_its_own_hard_documents_as_it_ranks_all(tiny_table: Path) -> None:
    full = read("demo:scifact")
    recipe = plait.parse(f'StaticTable("{tiny_table}") | MeanPool()')
    hard = hard_negative_subset(full, [vector_retriever(recipe)], depth=10)
    assert len(hard.doc_ids) < len(full.doc_ids)
    assert judge(recipe, hard).score.value == pytest.approx(judge(recipe, full).score.value, abs=1e-9)
    assert len(relevant_documents(hard)) == len(relevant_documents(full))


def test_what_does_not_fit_is_said() -> None:
    for retrievers, depth in (([], 3), ([by_number], 0)):
        with pytest.raises(DataError, match="one retriever at least and a depth"):
            hard_negative_subset(search(), retrievers, depth)
    with pytest.raises(DataError, match=r"scores \(4, 3\); expected \(4, 30\)"):
        hard_negative_subset(search(), [lambda queries, documents: np.ones((4, 3), np.float32)])
    labels = Task("classification", "c", ("a",), parts={"all": Labels(np.array([0]), ("x",))})
    with pytest.raises(DataError, match="c is a classification task"):
        hard_negative_subset(labels, [by_number])
