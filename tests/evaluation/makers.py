"""Random vectors for the evaluation tests; some rows are zero, as those of empty texts are."""

from __future__ import annotations

import numpy as np

from plait.evaluation.embedded import Embedded
from plait.types import Ints


def embedded(seed: int, rows: int, width: int, queries: int = 0, zeros: int = 0, units: Ints | None = None) -> Embedded:
    rng = np.random.default_rng(seed)
    documents = rng.normal(size=(rows, width)).astype(np.float32) * rng.uniform(0.1, 9)
    documents[rng.choice(rows, zeros, replace=False)] = 0
    asked = rng.normal(size=(queries, width)).astype(np.float32) if queries else None
    return Embedded(documents, asked, units)
