"""Exact search beside faiss, usearch and numpy: 100,000 × 384 floats and 1,000,000 × 384 bits, one thread, in turns.

Run: python benchmarks/search.py [ROUNDS]        (5 unless given: some five minutes; writes results/search.json)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from unittest.mock import patch

import faiss
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from usearch.index import MetricKind
from usearch.index import search as usearch_search

from plait.compression import Binary, Lengths, nearest_vectors, search_codes
from plait.compression.scoring import many_at_once
from plait.evaluation.ranking import top_k
from plait.evaluation.speed import Contender, race
from plait.selection.costs import machine, versions
from plait.selection.peers import overlap
from plait.step import unit_rows

FLOATS, BITS, WIDTH, K = 100_000, 1_000_000, 384, 10
BLOCKS = (1, 16, 512)
"""Queries asked at once."""
SINGLE = 8
"""Calls in a timing of one query."""
FEW = 16
"""Queries up to which those who are many times slower take part."""
CENTRES = 1_000

Search = Callable[[NDArray[np.generic]], NDArray[np.generic]]


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with threadpool_limits(1):
        faiss.omp_set_num_threads(1)
        works = [
            *_work("random floats", _floats(*_random()), rounds),
            *_work("clustered floats", _floats(*_clustered()), rounds),
            *_work("bits", _bits(), rounds),
        ]
    result = {
        "floats": [FLOATS, WIDTH],
        "bits": [BITS, WIDTH],
        "k": K,
        "rounds": rounds,
        "works": works,
        "versions": {**versions(), **versions(("faiss-cpu", "usearch"))},
        "machine": machine(),
    }
    path = Path(__file__).parent / "results" / "search.json"
    path.write_text(json.dumps(result, indent=1) + "\n")


def _work(what: str, searchers: tuple[NDArray[np.generic], dict[str, Search], set[str]], rounds: int) -> list[object]:
    """Timings for each number of queries at once; the ratio is to the quicker of faiss' ways."""
    asked, ways, slow = searchers
    works: list[object] = []
    for block in BLOCKS:
        calls = [asked[n : n + block] for n in range(SINGLE)] if block == 1 else [asked[:block]]
        contenders = [
            Contender(what, who, block * len(calls), "queries", _each(way, calls), overlap)
            for who, way in ways.items()
            if block <= FEW or who not in slow
        ]
        timings = race(contenders, rounds * (1 if block > FEW else 3))
        best = max(timing.median for timing in timings if timing.who.startswith("faiss"))
        for timing in timings:
            works.append({"queries": block, **asdict(timing), "of_faiss": timing.median / best})
            print(
                f"{what}, {block} at once: {timing.who}: {timing.median:,.1f} {timing.unit}, {timing.median / best:.2f}"
            )
    return works


def _each(way: Search, calls: list[NDArray[np.generic]]) -> Callable[[], NDArray[np.generic]]:
    return lambda: np.vstack([way(call) for call in calls])


def _floats(
    vectors: NDArray[np.float32], asked: NDArray[np.float32]
) -> tuple[NDArray[np.generic], dict[str, Search], set[str]]:
    index = faiss.IndexFlatIP(WIDTH)
    index.add(vectors)
    lengths = Lengths.of(vectors)

    def knn(queries: NDArray[np.generic]) -> NDArray[np.generic]:
        with many_at_once(faiss, len(queries)):
            return faiss.knn(queries, vectors, K, faiss.METRIC_INNER_PRODUCT)[1]

    def blas(queries: NDArray[np.generic]) -> NDArray[np.generic]:
        with many_at_once(faiss, len(queries)):
            return index.search(queries, K)[1]

    ways: dict[str, Search] = {
        "plait, cosine, lengths known": lambda q: nearest_vectors(q, vectors, K, lengths=lengths)[0],
        "plait, dot product, lengths known": lambda q: nearest_vectors(q, vectors, K, cosine=False, lengths=lengths)[0],
        "plait, cosine, measured in each call": lambda q: nearest_vectors(q, vectors, K)[0],
        "plait without faiss, lengths known": _without(lambda q: nearest_vectors(q, vectors, K, lengths=lengths)[0]),
        "faiss IndexFlatIP": lambda q: index.search(q, K)[1],
        "faiss IndexFlatIP, products of matrices for few queries": blas,
        "faiss knn over numpy's array, products of matrices for few queries": knn,
        "numpy, product and partition": lambda q: top_k(q @ vectors.T, K),
        "usearch exact": lambda q: _keys(usearch_search(vectors, q, K, MetricKind.IP, exact=True), len(q)),
    }
    return asked, ways, {"usearch exact"}


def _bits() -> tuple[NDArray[np.generic], dict[str, Search], set[str]]:
    random = np.random.default_rng(2)
    codes = random.integers(0, 256, (BITS, WIDTH // 8), dtype=np.uint8)
    asked = random.standard_normal((max(BLOCKS), WIDTH), dtype=np.float32)
    index = faiss.IndexBinaryFlat(WIDTH)
    index.add(codes)
    plain, rescored = (Binary(rescore).fit(asked) for rescore in (0, 4))
    columns = np.ascontiguousarray(codes.view(np.uint64).T)

    def numpy_search(queries: NDArray[np.generic]) -> NDArray[np.generic]:
        words = np.packbits(queries > 0, axis=1).view(np.uint64)
        apart = [sum(np.bitwise_count(column ^ w) for column, w in zip(columns, word, strict=True)) for word in words]
        return np.vstack([top_k(-row[None].astype(np.float32), K) for row in apart])

    def packed(queries: NDArray[np.generic]) -> NDArray[np.uint8]:
        return np.packbits(queries > 0, axis=1)

    ways: dict[str, Search] = {
        "plait": lambda q: search_codes(q, codes, plain, K)[0],
        "plait, 4 candidates a result rescored": lambda q: search_codes(q, codes, rescored, K)[0],
        "plait without faiss": _without(lambda q: search_codes(q, codes, plain, K)[0]),
        "faiss IndexBinaryFlat": lambda q: index.search(packed(q), K)[1],
        "faiss knn_hamming over numpy's array": lambda q: faiss.knn_hamming(packed(q), codes, K)[1],
        "numpy, counts and partition": numpy_search,
        "usearch exact": lambda q: _keys(usearch_search(codes, packed(q), K, MetricKind.Hamming, exact=True), len(q)),
    }
    return asked, ways, {"usearch exact", "numpy, counts and partition", "plait without faiss"}


def _random() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    random = np.random.default_rng(0)
    rows = unit_rows(random.standard_normal((FLOATS + max(BLOCKS), WIDTH), dtype=np.float32))
    return rows[: -max(BLOCKS)], rows[-max(BLOCKS) :]


def _clustered() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Some hundred neighbours around each centre, whose cosines to it are about 0.9, and every hundredth row twice."""
    random = np.random.default_rng(1)
    centres = unit_rows(random.standard_normal((CENTRES, WIDTH), dtype=np.float32))
    noise = unit_rows(random.standard_normal((FLOATS + max(BLOCKS), WIDTH), dtype=np.float32))
    rows = unit_rows(centres[random.integers(0, CENTRES, len(noise))] + 0.5 * noise)
    rows[1:FLOATS:100] = rows[:FLOATS:100]
    return rows[: -max(BLOCKS)], rows[-max(BLOCKS) :]


def _without(way: Search) -> Search:
    """The same where faiss is not installed."""

    def work(queries: NDArray[np.generic]) -> NDArray[np.generic]:
        with _no_faiss():
            return way(queries)

    return work


@contextmanager
def _no_faiss() -> Iterator[None]:
    with patch.dict(sys.modules, {"faiss": None}):
        yield


def _keys(matches: object, queries: int) -> NDArray[np.generic]:
    keys: NDArray[np.generic] = np.asarray(matches.keys).reshape(queries, -1)  # type: ignore[attr-defined]
    return keys


if __name__ == "__main__":
    main()
