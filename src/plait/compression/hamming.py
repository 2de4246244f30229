"""Nearest codes by Hamming distance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plait.compression.scoring import DEEPEST, library
from plait.types import Ints

BLOCK = 16384
"""Codes compared at once: one 64-bit column of them, with its counts, stays in a processor's cache."""


def words(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """``[N, B]`` bytes as ``[ceil(B / 8), N]`` 64-bit words, filled up with zero bits."""
    padding = -codes.shape[1] % 8
    padded = np.pad(codes, ((0, 0), (0, padding))) if padding else np.ascontiguousarray(codes)
    return np.ascontiguousarray(padded.view(np.uint64).T)


def distances(query: NDArray[np.uint64], columns: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """Hamming distances of one query ``[W]`` to the codes in ``columns`` ``[W, N]``."""
    total = np.zeros(columns.shape[1], np.uint16)
    for word, column in zip(query, columns, strict=True):
        total += np.bitwise_count(column ^ word)
    return total


def nearest(queries: NDArray[np.uint8], codes: NDArray[np.uint8], count: int) -> tuple[Ints, Ints]:
    """The ``count`` nearest codes of each query; of equally near ones those with the lower number.

    Args:
        queries: ``[Q, B]`` packed bits.
        codes: ``[N, B]`` packed bits, with N at least ``count``.
        count: how many.

    Returns:
        ``[Q, count]`` numbers and distances, nearest first.

    Example:
        >>> nearest(np.array([[0b11]], np.uint8), np.array([[0b00], [0b01], [0b11], [0b10]], np.uint8), 3)[0].tolist()
        [[2, 1, 3]]
    """
    total = len(codes)
    faiss = library()
    if faiss is not None and 0 < count <= DEEPEST and len(queries):
        # its heap of (distance, number) pairs settles ties as promised here
        distance, numbers = faiss.knn_hamming(np.ascontiguousarray(queries), np.ascontiguousarray(codes), count)
        return numbers, distance
    # distance * N + number is unique, so that a partial sort of these keys leaves nothing to chance.
    best = np.zeros((len(queries), 0), np.int64)
    worst = np.full(len(queries), np.iinfo(np.int64).max)
    asked = words(queries).T
    for start in range(0, total, BLOCK):
        columns = words(codes[start : start + BLOCK])
        kept = min(count, start + columns.shape[1])
        merged = np.empty((len(queries), kept), np.int64)
        for number, query in enumerate(asked):
            near = distances(query, columns)
            chosen = np.flatnonzero(near <= worst[number])
            keys = np.concatenate([best[number], near[chosen] * np.int64(total) + start + chosen])
            merged[number] = np.partition(keys, kept - 1)[:kept] if len(keys) > kept else keys
        best = merged
        if kept == count and kept:
            worst = best.max(axis=1) // total
    best.sort(axis=1)
    return best % max(total, 1), best // max(total, 1)
