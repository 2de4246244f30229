"""A score that remembers what it was made of, so that its uncertainty can be computed at any later time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from plait.evaluation.resampling import STATISTICS, Reals
from plait.types import DataError, Ints


@dataclass(frozen=True, eq=False)
class Score:
    """The value of a metric, with one row an independent unit behind it: a query, a pair, a text, a sentence.

    Attributes:
        metric: its name, such as "nDCG@10".
        value: higher is better; most metrics lie in 0 … 1.
        examples: arrays of n rows each; what they are depends on ``kind``.
        kind: how the rows make the value. "mean": values; "ratio": numerators, denominators; "spearman" and "pearson":
            similarities, gold; "average-precision": similarities, 0/1; "macro-f1": gold, predicted; "v-measure": gold,
            clusters, which clustering.

    Example:
        >>> score = Score.of("accuracy", "mean", np.array([1.0, 0.0, 1.0, 1.0]))
        >>> score.value, len(score)
        (0.75, 4)
        >>> score.resample(np.array([[0, 0, 2, 3], [1, 1, 1, 0]])).tolist()
        [1.0, 0.25]
    """

    metric: str
    value: float
    examples: tuple[NDArray[Any], ...]
    kind: str

    @classmethod
    def of(cls, metric: str, kind: str, *examples: NDArray[Any]) -> Self:
        """The score of these examples.

        Raises:
            DataError: if there are none: nothing can be said of nothing.
        """
        size = len(examples[0])
        if size == 0:
            raise DataError(f"{metric} of no examples: the part that is scored is empty")
        return cls(metric, float(STATISTICS[kind](examples, np.arange(size)[None])[0]), examples, kind)

    def __len__(self) -> int:
        return len(self.examples[0])

    def __str__(self) -> str:
        return f"{self.metric} {self.value:.4f} (n = {len(self)})"

    def resample(self, draws: Ints) -> Reals:
        """The value on other draws of the same units.

        Args:
            draws: ``[B, n]`` row numbers, drawn with repeats.

        Returns:
            ``[B]`` values.
        """
        return STATISTICS[self.kind](self.examples, draws)
