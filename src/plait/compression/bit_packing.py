"""Small whole numbers, side by side without a gap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST = 16
"""Bits a number may have."""


def pack_bits(numbers: NDArray[np.integer], bits: int) -> NDArray[np.uint8]:
    """``[N, P]`` numbers below ``2 ** bits`` as ``[N, ceil(P * bits / 8)]`` bytes, the highest bit of each first.

    Example:
        >>> pack_bits(np.array([[1, 2, 3]]), 4).tolist()
        [[18, 48]]
    """
    if bits == 8:
        return numbers.astype(np.uint8)
    shifts = np.arange(bits - 1, -1, -1, dtype=np.uint16)
    single = (numbers.astype(np.uint16)[:, :, None] >> shifts) & 1
    return np.packbits(single.astype(np.uint8).reshape(len(numbers), numbers.shape[1] * bits), axis=1)


def unpack_bits(codes: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.uint16]:
    """``[N, count]`` numbers of ``bits`` bits from what `pack_bits` gave.

    Example:
        >>> unpack_bits(np.array([[18, 48]], np.uint8), 4, 3).tolist()
        [[1, 2, 3]]
    """
    if bits == 8:
        return codes.astype(np.uint16)
    single = np.unpackbits(codes, axis=1, count=count * bits).reshape(len(codes), count, bits)
    values = single.astype(np.uint16) << np.arange(bits - 1, -1, -1, dtype=np.uint16)
    return np.asarray(values.sum(axis=2, dtype=np.uint16))
