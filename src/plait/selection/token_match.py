"""A second look at the best documents, token by token."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from plait.data.tasks import Task
from plait.evaluation.retrieval import Retrieval
from plait.retrieval.late_interaction import TokenEncoder, max_similarity
from plait.retrieval.rank_fusion import Ranking
from plait.roles import Encoder
from plait.selection.beside import Beside, Fold, judged
from plait.selection.workbench import Bench, Slice
from plait.step import Composite
from plait.types import Floats

LOOKED_AT = 20
"""Documents a query that are looked at again: twice as many as are usually shown."""
AT_ONCE = 64
"""Documents whose token vectors are in memory at once."""

Before = Callable[["Bench | Slice", Composite], Ranking]
Told = Callable[[int, int], None]


class TokenMatch(Beside):
    """The best match of each of a query's tokens among a document's, beside the score that found the document.

    The documents that were found are read once more, whichever queries found them.

    Args:
        task: a retrieval task.
        evaluator: of that task.
        encoder: gives the token vectors.
        before: finds the documents; None is the vectors alone.
        told: how many documents of how many are read.
    """

    family = "rescoring"
    label = "the best looked at again, token by token"

    def __init__(
        self,
        task: Task,
        evaluator: Retrieval,
        encoder: Encoder,
        before: Before | None = None,
        told: Told = lambda done, total: None,
    ) -> None:
        super().__init__(task, evaluator)
        self.tokens, self.told = TokenEncoder(encoder), told
        self.before: Before = before or (lambda bench, recipe: self.by_vectors(bench, recipe, LOOKED_AT))
        self.known: dict[tuple[int, int], float] = {}
        self._queries: dict[int, Floats] = {}

    def rankings(self, bench: Bench | Slice, recipe: Composite) -> list[Ranking]:
        first, queries = self.before(bench, recipe), judged(bench).queries.tolist()
        self.read([(bench, first)])
        lines = [first.line(place)[0] for place in range(len(queries))]
        scores = [
            np.array([self.known[query, document] for document in found.tolist()], np.float32)
            for query, found in zip(queries, lines, strict=True)
        ]
        return [first, Ranking.of(list(zip(lines, scores, strict=True)), first.numbers.shape[1])]

    def candidates(self, folds: Sequence[Fold]) -> Iterator[tuple[Bench | Slice, Ranking]]:
        """All that `effect` looks at, for `read`."""
        for fold in folds:
            for bench in (fold.dev, fold.test):
                yield from ((bench, self.before(bench, recipe)) for recipe in fold.recipes)

    def read(self, found: Iterable[tuple[Bench | Slice, Ranking]]) -> None:
        """Score what was found for the queries of some benches. A document is read once a call: give all at once."""
        missing: dict[int, dict[int, None]] = {}
        for bench, ranking in found:
            for place, query in enumerate(judged(bench).queries.tolist()):
                for document in ranking.line(place)[0].tolist():
                    if (query, document) not in self.known:
                        missing.setdefault(document, {})[query] = None
        self._read({document: list(queries) for document, queries in missing.items()})

    def _read(self, missing: Mapping[int, Sequence[int]]) -> None:
        """Score documents against the queries that found them; neighbours in length share a batch."""
        new = sorted({query for queries in missing.values() for query in queries} - set(self._queries))
        asked = self.tokens.vectors([str(self.task.queries[query]) for query in new], "query")
        self._queries |= dict(zip(new, asked, strict=True))
        order = sorted(missing, key=lambda document: (len(self.texts[document]), document))
        for start in range(0, len(order), AT_ONCE):
            some = order[start : start + AT_ONCE]
            read = self.tokens.vectors([self.texts[document] for document in some], "document")
            for document, vectors in zip(some, read, strict=True):
                for query in missing[document]:
                    self.known[query, document] = max_similarity(self._queries[query], vectors)
            self.told(start + len(some), len(order))
