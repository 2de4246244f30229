"""What every step from vectors to vectors asks of the rows it is given, and how it maps them block by block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.step import Step
from plait.types import DataError, Floats, RecipeError

Doubles: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.floating]

BLOCK = 4096
"""Rows that are turned to float64 at once, so that a large memory-mapped array is never copied whole."""


def checked(values: ArrayLike, step: Step, width: int | None = None) -> Rows:
    """``[N, D]`` floating-point rows, all finite; not a copy when they already are.

    Args:
        values: what came.
        step: who asks, for the message.
        width: the D that the step was fitted on, if it was.

    Raises:
        DataError: if ``values`` is no two-dimensional array of numbers, or has rows with NaN or infinity.
        RecipeError: if the rows are not ``width`` wide.
    """
    array = np.asarray(values)
    if array.ndim != 2 or array.dtype.kind not in "fiub":
        raise DataError(f"{step} takes an [N, D] array of numbers; got shape {array.shape} of {array.dtype}")
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float32)
    if width is not None and array.shape[1] != width:
        raise RecipeError(
            f"{step} was fitted on vectors of {width} numbers; got {array.shape}: use the recipe it was fitted in"
        )
    # One sum tells whether there is anything to look for; only then is it looked for.
    if not np.isfinite(array.sum(dtype=np.float64)):
        bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
        if len(bad):
            raise DataError(
                f"{step} was given {len(bad)} of {len(array)} rows with NaN or infinity (the first is row {bad[0]}): "
                "drop those rows, or look at the step before"
            )
    return array


def checked_sample(values: ArrayLike, step: Step, width: int | None = None) -> Rows:
    """As `checked`, for rows to learn from: there must be one at least."""
    array = checked(values, step, width)
    if array.size == 0:
        raise DataError(f"{step} cannot learn from an array of shape {array.shape}: give at least one row")
    return array


def learned(step: Step, name: str) -> NDArray[np.floating]:
    """A learned array of the step, or a RecipeError that says to fit."""
    value: NDArray[np.floating] | None = vars(step).get(name)
    if value is None:
        raise RecipeError(f"{step} is not fitted; call fit on a sample of your data first")
    return value


def blocks(rows: int) -> Iterator[slice]:
    """Slices of at most `BLOCK` rows."""
    for start in range(0, rows, BLOCK):
        yield slice(start, start + BLOCK)


def project(values: Rows, mean: NDArray[np.floating], matrix: NDArray[np.floating]) -> Floats:
    """(values - mean) @ matrix, worked out in float64."""
    out = np.empty((len(values), matrix.shape[1]), np.float32)
    for block in blocks(len(values)):
        out[block] = (values[block] - mean) @ matrix
    return out
