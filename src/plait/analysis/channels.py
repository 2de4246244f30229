"""How much neighbouring channels tell of each other: entropy of groups, beside the sum of their channels' own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.analysis.result import Diagnosis, Row
from plait.types import DataError, Ints


@dataclass(frozen=True, eq=False)
class ChannelEntropy(Diagnosis):
    """What `channel_entropy` found.

    Attributes:
        marginal: ``[P]`` sum of the entropies of a group's channels, in bits.
        joint: ``[P]`` entropy of the group as one, in bits; the further below, the more its channels depend on each
            other.
        rows: how many were looked at.
    """

    axes = ("group", "joint")

    marginal: NDArray[np.float64]
    joint: NDArray[np.float64]
    rows: int

    @property
    def gap(self) -> float:
        """Mean over the groups of what one code for a group saves over a code for each channel, in bits."""
        return float((self.marginal - self.joint).mean())

    def table(self) -> list[Row]:
        pairs = zip(self.marginal.tolist(), self.joint.tolist(), strict=True)
        return [{"group": group, "marginal": one, "joint": all_} for group, (one, all_) in enumerate(pairs)]


def channel_entropy(values: ArrayLike, channels: int, bins: int = 16, shuffle: int | None = None) -> ChannelEntropy:
    """Entropy of groups of neighbouring channels, and of each channel by itself.

    With few rows the joint entropy comes out too low: it cannot exceed the logarithm of their number. So compare it
    with that of the same rows where each channel is shuffled by itself: these depend on each other in nothing.

    Args:
        values: ``[N, D]``, such as the keys of one block: many more rows than ``bins ** channels`` for an unbiased
            figure.
        channels: in a group; the last one takes what is left.
        bins: of equal width into which each channel's range is cut, as published.
        shuffle: seed by which each channel is shuffled by itself first; None leaves the rows together.

    Raises:
        DataError: for anything else than a finite matrix with a row, or if ``channels`` or ``bins`` is below 1.

    Example:
        >>> column = np.arange(64) % 4
        >>> found = channel_entropy(np.stack([column, column], axis=1), channels=2)
        >>> found.marginal.tolist(), found.joint.tolist()
        ([4.0], [2.0])
        >>> channel_entropy(np.stack([column, column], axis=1), channels=2, shuffle=0).gap < 0.3
        True

    Source: KV Cache is 1 Bit Per Channel: Efficient Large Language Model Inference with Coupled Quantization, arXiv
        2405.03917.
    """
    rows = np.asarray(values, np.float64)
    if rows.ndim != 2 or not rows.size or not np.isfinite(rows).all():
        raise DataError(f"got an array of shape {rows.shape}; expected finite [N, D] with at least one row")
    if channels < 1 or bins < 1:
        raise DataError(f"channels is {channels} and bins is {bins}; both must be 1 or more")
    binned = _binned(rows, bins)
    if shuffle is not None:
        binned = np.random.default_rng(shuffle).permuted(binned, axis=0)
    alone = np.array([_entropy(column) for column in binned.T])
    starts = range(0, rows.shape[1], channels)
    joint = [_entropy(_numbered(binned[:, start : start + channels], bins)) for start in starts]
    return ChannelEntropy(np.add.reduceat(alone, list(starts)), np.array(joint), len(rows))


def _binned(rows: NDArray[np.float64], bins: int) -> Ints:
    """``[N, D]`` number of the bin of each entry; the largest lies in the last one."""
    low, high = rows.min(axis=0), rows.max(axis=0)
    width = np.where(high > low, high - low, 1)
    binned: Ints = np.minimum(((rows - low) / width * bins).astype(np.int64), bins - 1)
    return binned


def _numbered(group: Ints, bins: int) -> Ints:
    """``[N]`` one number for each different row; counted anew for each channel, so that no number grows too large."""
    numbers = np.zeros(len(group), np.int64)
    for column in group.T:
        numbers = np.unique(numbers * bins + column, return_inverse=True)[1].reshape(-1)
    return numbers


def _entropy(numbers: Ints) -> float:
    """In bits."""
    share = np.unique(numbers, return_counts=True)[1] / len(numbers)
    return max(0.0, float(-(share * np.log2(share)).sum()))
