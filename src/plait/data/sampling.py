"""Smaller tasks: fewer examples of each part, fewer documents to search in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from plait.data.tasks import Judgements, Part, Task, select
from plait.types import DataError, Ints


def sample_task(task: Task, most: Mapping[str, int], seed: int = 0) -> Task:
    """A task with fewer examples, drawn at random.

    Args:
        task: what to draw from.
        most: examples of each part at most, by the part's name; a part that is not named stays whole. In retrieval
            "documents" caps those that are searched: the relevant ones of all kept queries stay, others fill up.
        seed: of the draw; a part keeps its order.

    Raises:
        DataError: if a name is no part of the task.

    Example:
        >>> from plait.data import read
        >>> small = sample_task(read("demo:stsb"), {"test": 50})
        >>> {part: len(examples) for part, examples in small.parts.items()}
        {'dev': 600, 'test': 50}
    """
    names = [*task.parts, *(["documents"] if task.kind == "retrieval" else [])]
    if unknown := sorted(set(most) - set(names)):
        raise DataError(f"{task.name} has no {unknown[0]!r} to cap; it has {', '.join(names)}")
    rng = np.random.default_rng(seed)
    parts: dict[str, Part] = {}
    for name, part in task.parts.items():
        kept = np.sort(rng.permutation(len(part))[: most.get(name, len(part))])
        parts[name] = select(part, kept)
    smaller = _with_asked_queries(replace(task, parts=parts))
    if "documents" not in most:
        return smaller
    needed = relevant_documents(smaller)
    others = np.setdiff1d(np.arange(len(task.doc_ids)), needed)
    fill = rng.permutation(others)[: max(0, most["documents"] - len(needed))]
    return with_documents(smaller, np.union1d(needed, fill))


def _with_asked_queries(task: Task) -> Task:
    """The task without queries that no part asks."""
    judged = {name: part for name, part in task.parts.items() if isinstance(part, Judgements)}
    if not judged:
        return task
    rows = np.unique(np.concatenate([part.queries for part in judged.values()]))
    parts = {name: Judgements(np.searchsorted(rows, part.queries), part.relevant) for name, part in judged.items()}
    return replace(task, parts=parts, queries=tuple(task.queries[row] for row in rows.tolist()))


def relevant_documents(task: Task) -> Ints:
    """Numbers of the documents that are relevant to some query of a retrieval task, ascending."""
    judged = [part for part in task.parts.values() if isinstance(part, Judgements)]
    numbers = {number for part in judged for found in part.relevant for number in found}
    return np.array(sorted(numbers), np.int64)


def with_documents(task: Task, numbers: Ints) -> Task:
    """A retrieval task in which only some documents are searched.

    Args:
        task: of kind retrieval.
        numbers: documents that stay, by number; in the new task they are numbered in this order.

    Raises:
        DataError: if a query would lose all its relevant documents, or the task is of another kind.
    """
    if task.kind != "retrieval" or task.corpus is None:
        raise DataError(f"{task.name} is a {task.kind} task; only retrieval has documents that are searched")
    place = {int(number): new for new, number in enumerate(numbers)}
    parts: dict[str, Part] = {}
    for name, part in task.parts.items():
        assert isinstance(part, Judgements)
        relevant = tuple({place[n]: grade for n, grade in found.items() if n in place} for found in part.relevant)
        if not all(relevant):
            lost = sum(not found for found in relevant)
            raise DataError(f"{lost} queries of {task.name} would lose all their relevant documents; keep those")
        parts[name] = Judgements(part.queries, relevant)
    rows, corpus = np.unique(task.corpus[numbers], return_inverse=True)
    return replace(
        task,
        documents=tuple(task.documents[row] for row in rows.tolist()),
        parts=parts,
        corpus=corpus.astype(np.int64),
        doc_ids=tuple(task.doc_ids[number] for number in numbers.tolist()),
    )
