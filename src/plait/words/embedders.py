"""What a rung of the ladder gives: vectors of words and of texts, from one table or from one model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from plait.pooling.frequency import SifPool
from plait.pooling.mean import MeanPool
from plait.roles import LinearPooling
from plait.transforms.principal import AllButTheTop
from plait.types import Floats, TableStates, Tokens
from plait.words.vocabulary import Matrix, Vocabulary, words_of

COMMON_SAMPLE = 5_000
"""Documents that the common direction of SIF vectors is learned from."""


class Embedder(Protocol):
    """Vectors of words and of texts, comparable by cosine."""

    @property
    def nbytes(self) -> int:
        """Bytes of what was learned."""
        ...

    def words(self, words: Sequence[str]) -> Matrix:
        """``[n, D]``; zeros for a word without a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> Matrix:
        """``[N, D]``."""
        ...


@dataclass(frozen=True, eq=False)
class WordTable:
    """A vector a word; a text is what its words' vectors come to.

    Args:
        vocabulary: the words, one a row.
        table: ``[V, D]``, an array or a sparse matrix.
        pool: how a text's words are weighed.
        outside: vector of a word that the vocabulary lacks, for tables that can make one up.
        common: takes the direction that texts have in common off their vectors; see `with_sif`.
        outside_nbytes: bytes of what ``outside`` needs.

    Example:
        >>> vocabulary = Vocabulary.of([["an", "owl"]], min_count=1)
        >>> table = WordTable(vocabulary, np.eye(2, dtype=np.float32))
        >>> table.encode(["An owl, an eye, owl: owls."]).tolist()
        [[0.5, 0.5]]
    """

    vocabulary: Vocabulary
    table: Matrix
    pool: LinearPooling = field(default_factory=MeanPool)
    outside: Callable[[str], Floats] | None = None
    common: AllButTheTop | None = None
    outside_nbytes: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the table, and of what makes up further rows."""
        return matrix_bytes(self.table) + self.outside_nbytes

    def words(self, words: Sequence[str]) -> Matrix:
        """``[n, D]`` rows of words; made up, or zeros, where the vocabulary lacks one."""
        from scipy.sparse import issparse

        known = np.array([word in self.vocabulary.row for word in words], bool)
        rows = self.table[[self.vocabulary.row.get(word, 0) for word in words]]
        if issparse(rows):
            return rows.multiply(known[:, None]).tocsr()
        found: Floats = np.where(known[:, None], rows, np.float32(0))
        for place in np.flatnonzero(~known).tolist() if self.outside else ():
            found[place] = self.outside(words[place])  # type: ignore[misc]
        return found

    def encode(self, texts: Sequence[str]) -> Matrix:
        """``[N, D]`` vectors of texts; zeros for one without a known word."""
        tokens = self.vocabulary.tokens(map(words_of, texts))
        pooled = self._pooled(tokens)
        return self.common.transform(pooled) if self.common is not None else pooled

    def with_idf(self) -> WordTable:
        """The same table for means weighted by inverse document frequency: its rows are as long as they weigh."""
        from scipy.sparse import issparse

        idf = self.vocabulary.idf[:, None]
        return replace(self, table=self.table.multiply(idf).tocsr() if issparse(self.table) else self.table * idf)

    def with_sif(self, corpus: Sequence[Sequence[str]]) -> WordTable:
        """The same table under smooth inverse frequency: `SifPool`, then `AllButTheTop` with one component.

        Frequencies and the common direction are those of the corpus, not of what is encoded later.
        """
        weighed = replace(self, pool=SifPool().fit(self.vocabulary.tokens(corpus)))
        sample = self.vocabulary.tokens(corpus[:: max(1, len(corpus) // COMMON_SAMPLE)])
        return replace(weighed, common=AllButTheTop(1).fit(weighed._pooled(sample)))

    def permuted(self, seed: int = 0) -> WordTable:
        """The same rows, dealt to other words: what a table scores without knowing anything of words."""
        order = np.random.default_rng(seed).permutation(len(self.vocabulary.words))
        return replace(self, table=self.table[order])

    def _pooled(self, tokens: Tokens) -> Matrix:
        from scipy.sparse import csr_matrix, issparse

        weights = self.pool.weights(tokens)
        if not issparse(self.table):
            return TableStates(self.table, tokens).weighted(weights[None])[0, 0]
        shape = (len(tokens), self.table.shape[0])
        return csr_matrix((weights, tokens.ids, tokens.offsets), shape=shape) @ self.table


@dataclass(frozen=True, eq=False)
class TextModel:
    """A model that reads texts; a word is a text of one word.

    Args:
        transform: texts to ``[N, D]`` rows.
        nbytes: bytes of what was learned.

    Example:
        >>> model = TextModel(lambda texts: np.array([[len(text)] for text in texts], np.float32), nbytes=0)
        >>> model.words(["an", "owl"]).tolist()
        [[2.0], [3.0]]
    """

    transform: Callable[[Sequence[str]], Matrix]
    nbytes: int

    def words(self, words: Sequence[str]) -> Matrix:
        """``[n, D]`` rows of words."""
        return self.transform(words)

    def encode(self, texts: Sequence[str]) -> Matrix:
        """``[N, D]`` rows of texts."""
        return self.transform(texts)


def matrix_bytes(matrix: Matrix) -> int:
    """Bytes of an array, or of the numbers and places that a sparse matrix keeps."""
    from scipy.sparse import issparse

    if issparse(matrix):
        return int(matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes)
    return int(matrix.nbytes)
