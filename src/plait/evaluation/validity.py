"""Which metric says most about what models are good for?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from plait.evaluation.resampling import Reals
from plait.evaluation.scores import Score
from plait.evaluation.statistics import Comparison, compare, interval
from plait.types import DataError

CORRELATIONS = ("spearman", "pearson")


@dataclass(frozen=True, eq=False)
class MetricValidity:
    """What `metric_validity` found.

    Attributes:
        correlations: of each metric with downstream quality; one unit is one model.
    """

    correlations: Mapping[str, Score]

    def table(self, seed: int = 0) -> list[dict[str, str | float]]:
        """One row a metric, the most telling first: correlation with 95 % interval over models.

        Args:
            seed: of the bootstrap.
        """
        rows: list[dict[str, str | float]] = []
        for name, score in sorted(self.correlations.items(), key=lambda entry: -entry[1].value):
            found = interval(score, seed=seed)
            rows.append({"metric": name, "correlation": score.value, "low": found.low, "high": found.high})
        return rows

    def compare(self, metric: str, other: str, seed: int = 0) -> Comparison:
        """How much more one metric says than another, on the same draws of models.

        Args:
            metric: name of one that may say more.
            other: name of the other.
            seed: of the bootstrap.
        """
        return compare(self.correlations[metric], self.correlations[other], seed=seed)


def metric_validity(
    metrics: Mapping[str, Sequence[float] | Reals],
    downstream: Sequence[float] | Reals | Mapping[str, Sequence[float] | Reals],
    correlation: str = "spearman",
) -> MetricValidity:
    """Correlate metrics with downstream quality over many models.

    Args:
        metrics: by name, one value a model, higher for better.
        downstream: one value a model; or by task, of which the mean is taken.
        correlation: "spearman" or "pearson".

    Raises:
        DataError: if there are fewer than three models, or not one value a model.

    Source: Just Rank: Rethinking Evaluation with Word and Sentence Similarities, arXiv 2203.02679.

    Example:
        >>> found = metric_validity({"good": [1, 2, 3, 4], "poor": [2, 1, 4, 3]}, [0.5, 0.6, 0.8, 0.9])
        >>> {name: round(score.value, 2) for name, score in found.correlations.items()}
        {'good': 1.0, 'poor': 0.6}
    """
    if correlation not in CORRELATIONS:
        raise DataError(f"correlation is {correlation!r}; expected one of {', '.join(CORRELATIONS)}")
    given = list(downstream.values()) if isinstance(downstream, Mapping) else [downstream]
    lengths = {len(values) for values in (*metrics.values(), *given)}
    if len(lengths) != 1 or lengths.pop() < 3:
        raise DataError("expected one value a model everywhere, of three models at least")
    quality = np.mean([np.asarray(values, np.float64) for values in given], axis=0)
    return MetricValidity(
        {name: Score.of(correlation, correlation, np.asarray(v, np.float64), quality) for name, v in metrics.items()}
    )
