"""`WordClassEmbedding`: a word as how strongly it speaks for each class."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin

from plait.rows import Doubles
from plait.types import DataError, Floats, RecipeError


class WordClassEmbedding(TransformerMixin, BaseEstimator):
    """Words to numbers, one a class: the share of a word's weight that lies in documents of the class.

    Columns stand for classes whatever the language, so that documents of several languages become comparable. It is a
    scikit-learn transformer with labels, not a step of a recipe.

    Args:
        least_std: a class whose column spreads less than this is divided by this; such a column is nearly constant, and
            scaling it to spread 1 would blow up its noise.

    Attributes:
        embeddings_: ``[V, C]``, every column with mean 0 and standard deviation 1 over the words.

    Raises:
        DataError: if there is no document, labels are not 0 and 1, or the two differ in their number of rows.
        RecipeError: if it is not fitted, or documents have other words.

    Source: Word-Class Embeddings for Multiclass Text Classification, arXiv 1911.11506.

    Example:
        >>> counts, labels = np.array([[2, 0, 1], [0, 2, 1]]), np.array([[1, 0], [0, 1]])
        >>> WordClassEmbedding().fit(counts, labels).embeddings_.round(1).tolist()
        [[1.2, -1.2], [-1.2, 1.2], [0.0, 0.0]]
    """

    def __init__(self, least_std: float = 1e-5) -> None:
        self.least_std = least_std

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Learn from ``[N, V]`` weights of words in documents (sparse or not) and ``[N, C]`` labels of 0 and 1."""
        weights, labels = csr_matrix(X, dtype=np.float64), np.asarray(y, np.float64)
        if labels.ndim != 2 or len(labels) != weights.shape[0] or not len(labels) or not np.isin(labels, (0, 1)).all():
            raise DataError(
                f"{weights.shape[0]} documents came with labels of shape {labels.shape}; "
                "expected [documents, classes] of 0 and 1, and one document at least"
            )
        total = np.asarray(weights.sum(axis=0)).ravel()
        share = np.divide(
            weights.T @ labels, total[:, None], out=np.zeros((len(total), labels.shape[1])), where=total[:, None] != 0
        )
        self.embeddings_: Doubles = (share - share.mean(axis=0)) / np.maximum(share.std(axis=0), self.least_std)
        return self

    def transform(self, X: Any) -> Floats:
        """``[N, C]``: the words' vectors, summed with their weights."""
        if not hasattr(self, "embeddings_"):
            raise RecipeError("WordClassEmbedding is not fitted; call fit with documents and their labels first")
        weights = csr_matrix(X, dtype=np.float64)
        if weights.shape[1] != len(self.embeddings_):
            raise RecipeError(f"WordClassEmbedding was fitted on {len(self.embeddings_)} words; got {weights.shape}")
        return np.asarray(weights @ self.embeddings_, np.float32)
