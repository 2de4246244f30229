"""Dense, learned-sparse and multi-vector scores from one reading of a text, and their sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from plait.plan import Progress
from plait.pooling.mean import MeanPool
from plait.retrieval.late_interaction import TokenEncoder, max_similarity
from plait.retrieval.rank_fusion import NOTHING, Ranking
from plait.retrieval.sparse import LexicalWeights, stacked
from plait.roles import Pooling
from plait.step import unit_rows
from plait.types import DataError, Floats, Ints, RecipeError


@dataclass(frozen=True, eq=False)
class MultiOutput:
    """Three representations of each of N texts.

    Attributes:
        dense: ``[N, D]``, of length 1.
        sparse: ``[N, V]``.
        tokens: ``[T, D]`` float16 vectors of length 1, for each text those of its own tokens; a rounding moves a
            score by less than 0.001, and they are by far the largest part.
        offsets: ``[N + 1]``; text ``n`` owns ``tokens[offsets[n]:offsets[n + 1]]``.
    """

    dense: Floats
    sparse: csr_array
    tokens: np.ndarray
    offsets: Ints

    def __len__(self) -> int:
        return len(self.dense)

    def multi(self, row: int) -> Floats:
        """``[T, D]`` float32 token vectors of one text."""
        return np.asarray(self.tokens[self.offsets[row] : self.offsets[row + 1]], np.float32)


class Three(NamedTuple):
    """The same documents for each query, ranked by each of three scores."""

    dense: Ranking
    sparse: Ranking
    multi: Ranking


class HybridScorer:
    """The weighted sum of three scores, all from one pass: dense, learned-sparse, multi-vector.

    Dense is the cosine of the pooled vectors, sparse the dot product of the `LexicalWeights`, multi the mean over the
    query's own tokens of the best cosine with one of the text's own tokens. It scores what a search found, as any
    `Scorer` does; `rankings` gives the three apart, so that `tune_weights` and `fuse`, both with ``norm="none"``, can
    weigh them on queries whose answers are known.

    Args:
        lexical: fitted; its encoder gives all three.
        weights: of dense, sparse and multi. The published default for short texts; the sparse score has another scale
            for each head, so that weights of one are not those of another.
        dense_pool: makes the dense vector of the tokens' states; None is the mean. An encoder that was trained to
            gather a text in its first token wants `ClsPool`.

    Raises:
        RecipeError: if the weights are not three numbers of 0 or more.

    Source: BGE M3-Embedding: Multi-Lingual, Multi-Functionality, Multi-Granularity Text Embeddings Through
    Self-Knowledge Distillation, arXiv 2402.03216.

    Example:
        >>> from plait.retrieval import LexicalWeights
        >>> lexical = LexicalWeights(plait.Transformer("all-MiniLM-L6-v2"), epochs=0)
        >>> pairs = ["a plane", "a flute", "the rain", "a dog"], ["it flies", "it plays", "it falls", "it barks"]
        >>> scorer = HybridScorer(lexical.fit(*pairs))
        >>> scores = scorer.scores("the plane flies", ["a plane is in the air", "a man plays the flute"])
        >>> scores.shape, bool(scores[0] > scores[1])
        ((2,), True)
    """

    def __init__(
        self,
        lexical: LexicalWeights,
        weights: tuple[float, float, float] = (1.0, 0.3, 1.0),
        dense_pool: Pooling | None = None,
    ) -> None:
        if len(weights) != 3 or not all(weight >= 0 for weight in weights):
            raise RecipeError(f"weights are {weights}; expected three of 0 or more, for dense, sparse and multi")
        self.lexical, self.weights, self.dense_pool = lexical, weights, dense_pool

    def encode(self, texts: Sequence[str], role: str = "document", progress: Progress | None = None) -> MultiOutput:
        """All three representations of N texts.

        Args:
            texts: N texts.
            role: "query" or "document".
            progress: called with a label, tokens read, tokens in all.
        """
        return represent(self.lexical.encoder, texts, role, [self.lexical], self.dense_pool, progress)[0]

    def scores(self, query: str, texts: Sequence[str]) -> Floats:
        """``[N]`` sums for N texts."""
        if not len(texts):
            return np.zeros(0, np.float32)
        three = separate(self.encode([query], "query"), 0, self.encode(texts), np.arange(len(texts)))
        total: Floats = np.asarray(self.weights, np.float32) @ three
        return total

    @staticmethod
    def rankings(queries: MultiOutput, documents: MultiOutput, candidates: Ints) -> Three:
        """The candidates of each query by each of the three scores.

        Args:
            queries: Q texts.
            documents: M texts.
            candidates: ``[Q, C]`` numbers of documents, each once, `NOTHING` where there are no more: those that a
                search found by one or more of the scores.

        Raises:
            DataError: if the candidates are not one line a query.
        """
        if len(candidates) != len(queries):
            raise DataError(f"candidates of {len(candidates)} queries for {len(queries)}; expected one line a query")
        lines: tuple[list[tuple[Ints, Floats]], ...] = ([], [], [])
        for row, line in enumerate(candidates):
            there = line[line != NOTHING]
            for kept, scores in zip(lines, separate(queries, row, documents, there), strict=True):
                kept.append((there, scores))
        return Three(*(Ranking.of(kept, candidates.shape[1]) for kept in lines))


def represent(
    encoder: TokenEncoder,
    texts: Sequence[str],
    role: str,
    heads: Sequence[LexicalWeights],
    dense_pool: Pooling | None = None,
    progress: Progress | None = None,
) -> list[MultiOutput]:
    """One output a head, all of one pass; they share what is not sparse.

    Args:
        encoder: reads the texts.
        texts: N texts.
        role: "query" or "document".
        heads: one or more, of this encoder.
        dense_pool: as in `HybridScorer`.
        progress: called with a label, tokens read, tokens in all.
    """
    pool = dense_pool or MeanPool()
    dense = np.zeros((len(texts), pool.width(encoder.width)), np.float32)
    sparse: list[list[tuple[Ints, csr_array]]] = [[] for _ in heads]
    rows, vectors = [np.zeros(0, np.int64)], [np.zeros((0, encoder.width), np.float16)]
    for batch in encoder.batches(texts, role, progress):
        dense[batch.rows] = unit_rows(pool.pool(batch.states, batch.tokens))
        rows.append(batch.rows[batch.texts[batch.own]])
        vectors.append(unit_rows(batch.states[batch.own]).astype(np.float16))
        for found, head in zip(sparse, heads, strict=True):
            found.append((batch.rows, head.of(batch)))
    owners = np.concatenate(rows)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(texts)))])
    tokens = np.concatenate(vectors)[np.argsort(owners, kind="stable")]
    return [
        MultiOutput(dense, stacked(found, len(texts), head.vocabulary), tokens, offsets)
        for found, head in zip(sparse, heads, strict=True)
    ]


def separate(queries: MultiOutput, query: int, documents: MultiOutput, numbers: Ints) -> Floats:
    """``[3, C]`` dense, sparse and multi scores of one query and some documents."""
    dense = documents.dense[numbers] @ queries.dense[query]
    sparse = (documents.sparse[numbers] @ queries.sparse[[query]].T).toarray()[:, 0]
    asked = queries.multi(query)
    multi = [max_similarity(asked, documents.multi(row)) for row in numbers.tolist()]
    return np.stack([dense, sparse, np.array(multi, np.float32)]).astype(np.float32)
