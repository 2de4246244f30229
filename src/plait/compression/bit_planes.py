"""Vectors on a grid of odd whole numbers, one bit of each number to a plane.

The number ``2^u b_0 + 2^(u-1) b_1 + … + b_u`` of signs b is kept as its signs: all b_0 packed, then all b_1, and so on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plait.types import Floats, Ints


def pack_planes(grid: NDArray[np.integer], planes: int) -> NDArray[np.uint8]:
    """``[N, m]`` odd numbers between ±(2 ** planes - 1) as ``[N, planes * ceil(m / 8)]`` bytes.

    Example:
        >>> pack_planes(np.array([[3, -1, -3, 1]]), 2).tolist()
        [[144, 192]]
    """
    numbers = (np.asarray(grid, np.int64) + (1 << planes) - 1) >> 1
    return np.hstack([np.packbits((numbers >> plane) & 1 > 0, axis=1) for plane in reversed(range(planes))])


def unpack_planes(codes: NDArray[np.uint8], width: int, planes: int) -> Floats:
    """``[N, width]`` odd numbers from what `pack_planes` gave, as float32: their products and sums are exact in it.

    Example:
        >>> unpack_planes(np.array([[144, 192]], np.uint8), 4, 2).tolist()
        [[3.0, -1.0, -3.0, 1.0]]
    """
    size = (width + 7) // 8
    total = np.zeros((len(codes), width), np.int8 if planes < 7 else np.int64)
    for plane in range(planes):
        bits = np.unpackbits(codes[:, plane * size : (plane + 1) * size], axis=1, count=width)
        total = 2 * total + bits.astype(total.dtype)
    return 2 * total.astype(np.float32) - np.float32((1 << planes) - 1)


def popcount_products(queries: NDArray[np.uint8], codes: NDArray[np.uint8], width: int, planes: int) -> Ints:
    """Dot products of the numbers that codes stand for, by counting bits: ``planes ** 2`` Hamming distances.

    Args:
        queries: ``[Q, B]``.
        codes: ``[N, B]``.
        width: m, numbers in a vector.
        planes: bits of a number.

    Returns:
        ``[Q, N]`` whole numbers, equal to ``unpack_planes(queries) @ unpack_planes(codes).T``.

    Example:
        >>> code = pack_planes(np.array([[3, -1, -3, 1]]), 2)
        >>> popcount_products(code, code, 4, 2).tolist()
        [[20]]
    """
    size = (width + 7) // 8
    out = np.zeros((len(queries), len(codes)), np.int64)
    for a in range(planes):
        for b in range(planes):
            column = codes[:, b * size : (b + 1) * size]
            for row, query in enumerate(queries[:, a * size : (a + 1) * size]):
                differing = np.bitwise_count(column ^ query).sum(axis=1, dtype=np.int64)
                out[row] += (width - 2 * differing) << (2 * (planes - 1) - a - b)
    return out
