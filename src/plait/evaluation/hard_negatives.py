"""Smaller corpora that are as hard: what several retrievers put on top of each query stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from plait.data.sampling import relevant_documents, with_documents
from plait.data.tasks import Judgements, Task
from plait.evaluation.benchmarking import TextEncoder
from plait.evaluation.ranking import top_k
from plait.step import Composite, unit_rows
from plait.types import DataError, Floats

Retriever: TypeAlias = Callable[[Sequence[str], Sequence[str]], Floats]
"""Queries and documents to ``[Q, M]`` scores."""


def hard_negative_subset(task: Task, retrievers: Sequence[Retriever], depth: int = 250) -> Task:
    """A retrieval task in which only hard documents are searched.

    Kept are all relevant documents and, of each query and retriever, those on top. Scores and ranking of models change
    little; the retrievers themselves look better than they are, so take ones that are not ranked.

    Args:
        task: of kind retrieval.
        retrievers: each gives ``[Q, M]`` scores of queries and documents; `vector_retriever` makes one of a model.
        depth: documents that each retriever adds a query.

    Raises:
        DataError: if the task is of another kind, there is no retriever, or one gives scores of another shape.

    Source: MMTEB: Massive Multilingual Text Embedding Benchmark, arXiv 2502.13595.

    Example:
        >>> from plait.data import read
        >>> full = read("demo:scifact")
        >>> words = lambda queries, documents: np.array(
        ...     [[len({*q.lower().split()} & {*d.lower().split()}) for d in documents] for q in queries], np.float32)
        >>> hard = hard_negative_subset(full, [words], depth=2)
        >>> len(hard.doc_ids) < len(full.doc_ids)
        True
    """
    if task.kind != "retrieval" or task.corpus is None or not retrievers or depth < 1:
        raise DataError(
            f"{task.name} is a {task.kind} task, with {len(retrievers)} retrievers and depth {depth}; "
            "expected a retrieval task, one retriever at least and a depth of 1 or more"
        )
    rows = [part.queries for part in task.parts.values() if isinstance(part, Judgements)]
    queries = [str(task.queries[row]) for row in np.unique(np.concatenate(rows)).tolist()]
    documents = [str(task.documents[row]) for row in task.corpus.tolist()]
    kept = [relevant_documents(task)]
    for retriever in retrievers:
        scores = np.asarray(retriever(queries, documents), np.float32)
        if scores.shape != (len(queries), len(documents)):
            raise DataError(f"a retriever gave scores {scores.shape}; expected {(len(queries), len(documents))}")
        kept.append(top_k(scores, depth).ravel())
    return with_documents(task, np.unique(np.concatenate(kept)))


def vector_retriever(model: Composite | TextEncoder) -> Retriever:
    """A retriever that scores by the cosine of a model's vectors.

    Args:
        model: a fitted recipe that gives vectors, or anything with ``encode(texts) -> [N, D]``.
    """

    def score(queries: Sequence[str], documents: Sequence[str]) -> Floats:
        made = [
            model.encode(list(texts), role=role) if isinstance(model, Composite) else model.encode(list(texts))
            for texts, role in ((queries, "query"), (documents, "document"))
        ]
        left, right = (unit_rows(np.asarray(getattr(one, "values", one), np.float32)) for one in made)
        return left @ right.T

    return score
