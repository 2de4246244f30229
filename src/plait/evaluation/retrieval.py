"""Retrieval: every query against every document, by cosine, exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from plait.compression.search import search_codes
from plait.data.tasks import Judgements, Part
from plait.evaluation.embedded import Embedded, same_units
from plait.evaluation.evaluators import Scorer, Weights, one_by_one, quantiser, squared
from plait.evaluation.ranking import Grades, Measure, top_k
from plait.evaluation.resampling import Reals
from plait.evaluation.scores import Score
from plait.step import unit_rows
from plait.types import Codes, DataError, Floats, Ints

BLOCK = 8_000_000
"""Similarities that are in memory at once."""

CACHE_BYTES = 2**30
"""What the cached similarities of a search may take; beyond it each concatenation is scored anew."""


@dataclass(frozen=True, eq=False)
class Retrieval:
    """nDCG@k, Recall@k, MRR@k or MAP (of 1,000) with cosine similarity. One unit is one query.

    A document in chunks scores as high as its best chunk.

    Args:
        corpus: ``[M]`` row of each document in the embedded documents; None for one row each, in order.
        metric: which of them.
    """

    corpus: Ints | None
    metric: str = "nDCG@10"

    def evaluate(self, embedded: Embedded, fit: Part | None, on: Part, codes: Codes | None = None) -> Score:
        """Score the queries of ``on``; nothing is learned, ``fit`` is not looked at."""
        judgements, measure = _judgements(on), Measure.parse(self.metric)
        ranking, _ = self.ranked(embedded, on, measure.depth, codes)
        return Score.of(self.metric, "mean", reported(ranking, judgements.relevant, measure))

    def ranked(self, embedded: Embedded, on: Part, depth: int, codes: Codes | None = None) -> tuple[Ints, Floats]:
        """``[Q, ≤ depth]`` documents of each query of ``on`` and their similarities, best first."""
        queries, units = _queries(embedded, _judgements(on)), embedded.units
        if codes is not None and units is None:
            values = codes.values if self._plain(len(codes)) else codes.values[self.corpus]
            return search_codes(queries, values, quantiser(codes), depth, cosine=True)
        numbers, scores = [], []
        for similarities in self._similarities(queries, embedded, codes):
            to_documents = self._spread(similarities, units)
            numbers.append(top_k(to_documents, depth))
            scores.append(np.take_along_axis(to_documents, numbers[-1], axis=1))
        return np.concatenate(numbers), np.concatenate(scores)

    def additive(self, blocks: Sequence[Embedded], fit: Part | None, on: Part) -> Scorer:
        """Weighted sums of cached similarities."""
        judgements, measure = _judgements(on), Measure.parse(self.metric)
        rows, units = len(blocks[0].documents), blocks[0].units
        if len(blocks) * len(judgements) * rows * 4 > CACHE_BYTES:
            return one_by_one(self, blocks, fit, on)
        same_units(blocks)
        cached = [unit_rows(_queries(block, judgements)) @ unit_rows(block.documents).T for block in blocks]
        filled = np.stack([block.documents.any(axis=1) for block in blocks]).astype(np.float64)
        size = rows if units is None else len(units) - 1
        grades = Grades(judgements.relevant, size if self.corpus is None else len(self.corpus))

        def score(weights: Weights) -> Score:
            squares = squared(weights, len(blocks))
            total = np.zeros_like(cached[0])
            for square, similarities in zip(squares, cached, strict=True):
                if square:
                    total += np.float32(square) * similarities
            if not filled.all():
                norms = np.sqrt(squares @ filled)
                np.divide(total, norms.astype(np.float32), out=total, where=norms > 0)
            ranking = top_k(self._spread(total, units), measure.depth)
            return Score.of(self.metric, "mean", grades.measure(ranking, measure))

        return score

    def _similarities(self, queries: Floats, embedded: Embedded, codes: Codes | None) -> Iterator[Floats]:
        """Some queries against all rows: of chunks every one's is needed, as any document may own the next best."""
        if codes is None:
            queries, rows = unit_rows(queries), unit_rows(embedded.documents)
            yield from (queries[some] @ rows.T for some in _slices(len(queries), len(rows)))
            return
        for some in _slices(len(queries), len(codes)):
            numbers, scores = search_codes(queries[some], codes.values, quantiser(codes), len(codes), cosine=True)
            similarities = np.empty_like(scores)
            np.put_along_axis(similarities, numbers, scores, axis=1)
            yield similarities

    def _spread(self, similarities: Floats, units: Ints | None) -> Floats:
        """Similarities to rows made similarities to documents: equal texts get equal numbers, to the last bit."""
        if units is not None:
            similarities = np.maximum.reduceat(similarities, units[:-1], axis=1)
        return similarities if self._plain(similarities.shape[1]) else similarities[:, self.corpus]

    def _plain(self, rows: int) -> bool:
        corpus = self.corpus
        return corpus is None or (len(corpus) == rows and bool((corpus == np.arange(rows)).all()))


def reported(ranking: Ints, relevant: Sequence[dict[int, int]], measure: Measure) -> Reals:
    """``[Q]`` values by ir-measures.

    Ranks stand in for scores, so that how it breaks ties cannot matter.
    """
    import ir_measures

    judged = [ir_measures.Qrel(str(q), str(d), grade) for q, found in enumerate(relevant) for d, grade in found.items()]
    depth = min(ranking.shape[1], measure.depth)
    run = [
        ir_measures.ScoredDoc(str(query), str(document), float(depth - rank))
        for query, documents in enumerate(ranking[:, :depth].tolist())
        for rank, document in enumerate(documents)
    ]
    names = {"nDCG": ir_measures.nDCG, "Recall": ir_measures.R, "MRR": ir_measures.RR, "MAP": ir_measures.AP}
    values = np.zeros(len(relevant))
    for found in ir_measures.iter_calc([names[measure.family] @ measure.depth], judged, run):
        values[int(found.query_id)] = found.value
    return values


def _judgements(on: Part) -> Judgements:
    if not isinstance(on, Judgements) or not len(on):
        raise DataError(f"retrieval is scored on judged queries; got {type(on).__name__} of {len(on)}")
    return on


def _queries(embedded: Embedded, on: Judgements) -> Floats:
    if embedded.queries is None:
        raise DataError("retrieval needs vectors of the queries; this embedding has those of the documents only")
    return embedded.queries[on.queries]


def _slices(queries: int, documents: int) -> Iterator[slice]:
    step = max(1, BLOCK // max(1, documents))
    for start in range(0, queries, step):
        yield slice(start, start + step)
