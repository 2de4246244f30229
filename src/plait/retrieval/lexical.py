"""Search by words: BM25."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from plait._lazy import need
from plait.evaluation.ranking import top_k
from plait.retrieval.rank_fusion import NOTHING, Ranking
from plait.types import DataError, Ints, RecipeError

_WORD = re.compile(r"\w+")
_SETTINGS = "plait_bm25.json"


def words_of(text: str) -> list[str]:
    """Lower-cased runs of letters and digits, in any script that puts spaces between words.

    >>> words_of("It's BM25, naïvely.")
    ['it', 's', 'bm25', 'naïvely']
    """
    return _WORD.findall(text.lower())


class Bm25:
    """A BM25 index of texts, as Lucene computes it.

    Args:
        k1: how soon more of the same word counts no more.
        b: how much longer texts are held back.

    Raises:
        MissingExtra: if bm25s is not installed.

    Source: The Probabilistic Relevance Framework: BM25 and Beyond (2009).

    Example:
        >>> index = Bm25().fit(["a plane takes off", "a man plays the flute"])
        >>> index.search(["the flute of a man"], k=2).numbers.tolist()
        [[1, 0]]
    """

    def __init__(self, k1: float = 1.5, b: float = 0.75) -> None:
        self.k1 = k1
        self.b = b

    def fit(self, texts: Sequence[str]) -> Self:
        """Index the texts.

        Raises:
            DataError: if there is none.
        """
        if not texts:
            raise DataError("there is no text to index by its words")
        bm25s: Any = need("bm25s", "retrieval")
        self._index = bm25s.BM25(k1=self.k1, b=self.b)
        words = [words_of(text) for text in texts]
        if not any(words):
            words[0] = [" "]  # an index must hold one word; no query has this one
        self._index.index(words, show_progress=False)
        self.documents = len(texts)
        return self

    def search(self, queries: Sequence[str], k: int = 10, among: Ints | None = None) -> Ranking:
        """The k best texts for each query; only those that share a word with it.

        Args:
            queries: Q texts.
            k: how many.
            among: numbers of the texts to look at; None looks at all.

        Raises:
            RecipeError: if ``k`` is below 1, or nothing was indexed.
        """
        if k < 1:
            raise RecipeError(f"k is {k}; expected how many results to return, 1 or more")
        if not hasattr(self, "documents"):
            raise RecipeError("this index holds no texts yet; fit it first")
        numbers = np.full((len(queries), k), NOTHING, np.int64)
        scores = np.zeros((len(queries), k), np.float32)
        counts = np.ones(self.documents, np.float32)
        if among is not None:
            counts = np.isin(np.arange(self.documents), among).astype(np.float32)
        for row, query in enumerate(queries):
            mine = counts * self._scores(query)
            best = top_k(mine[None], k)[0]
            best = best[mine[best] > 0]
            numbers[row, : len(best)], scores[row, : len(best)] = best, mine[best]
        return Ranking(numbers, scores)

    def _scores(self, query: str) -> np.ndarray:
        known = [word for word in words_of(query) if word in self._index.vocab_dict]
        if not known:
            return np.zeros(self.documents, np.float32)
        return np.asarray(self._index.get_scores(known), np.float32)

    def save(self, folder: str | Path) -> None:
        """Write the index to a folder: arrays and JSON."""
        self._index.save(str(folder), show_progress=False)
        facts = {"k1": self.k1, "b": self.b, "documents": self.documents}
        (Path(folder) / _SETTINGS).write_text(json.dumps(facts))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Open what `save` wrote; arrays are memory-mapped.

        Raises:
            DataError: if the folder holds no index, or it is damaged.
        """
        bm25s: Any = need("bm25s", "retrieval")
        try:
            facts = json.loads((Path(folder) / _SETTINGS).read_text())
            index = cls(facts["k1"], facts["b"])
            index._index = bm25s.BM25.load(str(folder), mmap=True, show_progress=False)
            index.documents = int(facts["documents"])
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{folder} holds no index of words, or a damaged one ({error}); index again") from error
        return index
