"""Clustering: do the vectors fall into the classes by themselves?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plait.data.tasks import Labels, Part
from plait.evaluation.embedded import Embedded
from plait.evaluation.evaluators import Scorer, documents, one_by_one
from plait.evaluation.scores import Score
from plait.step import unit_rows
from plait.types import Codes, DataError


@dataclass(frozen=True)
class Clustering:
    """V-measure of a k-means clustering of L2-normalised rows, with as many clusters as there are labels.

    One unit is one text. The bootstrap resamples texts under the one clustering; it does not know of the luck of
    k-means' starts, of which the best of ``starts`` is taken.

    Args:
        starts: random starts of k-means.
        random_state: seed of the starts.
    """

    starts: int = 3
    random_state: int = 0
    metric: str = "v-measure"

    def evaluate(self, embedded: Embedded, fit: Part | None, on: Part, codes: Codes | None = None) -> Score:
        """Cluster and score the texts of ``on``; nothing is learned from ``fit``."""
        from sklearn.cluster import MiniBatchKMeans
        from sklearn.exceptions import ConvergenceWarning

        if not isinstance(on, Labels) or not len(on) or on.multi:
            raise DataError(f"clustering is scored on texts with one label each; got {type(on).__name__} of {len(on)}")
        gold = np.array(on.labels, dtype=str)
        rows = unit_rows(documents(embedded, codes).of(on.rows))
        model = MiniBatchKMeans(
            len(np.unique(gold)), n_init=self.starts, batch_size=1024, random_state=self.random_state
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct texts than labels
            clusters = np.asarray(model.fit_predict(rows))
        return Score.of(self.metric, "v-measure", gold, clusters, np.zeros(len(gold), np.int64))

    def additive(self, blocks: Sequence[Embedded], fit: Part | None, on: Part) -> Scorer:
        """Every concatenation is clustered anew."""
        return one_by_one(self, blocks, fit, on)
