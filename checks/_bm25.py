"""BM25 over a whole corpus, as one sparse product."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer

from plait.types import Floats

K1, B = 1.2, 0.75


def bm25_scores(queries: Sequence[str], documents: Sequence[str]) -> Floats:
    """``[Q, M]`` scores; lower-case words of letters and digits, no stop list, no stemming."""
    counter = CountVectorizer(token_pattern=r"[a-z0-9]+", dtype=np.float64)
    counts = csr_matrix(counter.fit_transform(documents))
    lengths = np.asarray(counts.sum(axis=1)).ravel()
    found = np.bincount(counts.indices, minlength=counts.shape[1])
    weight = np.log(1 + (len(documents) - found + 0.5) / (found + 0.5))
    share = (K1 * (1 - B + B * lengths / lengths.mean()))[np.repeat(np.arange(len(documents)), np.diff(counts.indptr))]
    counts.data = weight[counts.indices] * counts.data * (K1 + 1) / (counts.data + share)
    return np.asarray((counter.transform(queries) @ counts.T).toarray(), np.float32)
