"""A search by words beside the vectors."""

from __future__ import annotations

from plait.data.tasks import Task
from plait.evaluation.retrieval import Retrieval
from plait.retrieval.lexical import Bm25
from plait.retrieval.rank_fusion import Ranking
from plait.retrieval.settings import Settings
from plait.selection.beside import Beside, judged
from plait.selection.workbench import Bench, Slice
from plait.step import Composite

DEPTH = Settings().depth
"""Documents that each of the two searches finds: as many as in an index."""


class WordSearch(Beside):
    """BM25 over a task's documents.

    Args:
        task: a retrieval task.
        evaluator: of that task.
    """

    family = "words"
    label = "BM25 beside it"

    def __init__(self, task: Task, evaluator: Retrieval) -> None:
        super().__init__(task, evaluator)
        self.index = Bm25().fit(self.texts)

    def rankings(self, bench: Bench | Slice, recipe: Composite) -> list[Ranking]:
        queries = [str(self.task.queries[row]) for row in judged(bench).queries.tolist()]
        return [self.by_vectors(bench, recipe, DEPTH), self.index.search(queries, DEPTH)]
