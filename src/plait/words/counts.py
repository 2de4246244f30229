"""Which words stand near which, and how much more often than by chance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from plait.types import DataError
from plait.words.vocabulary import Vocabulary


def cooccurrences(
    corpus: Iterable[Sequence[str]], vocabulary: Vocabulary, window: int = 5, harmonic: bool = False
) -> Any:
    """``[V, V]`` sparse counts of words within a window of each other; symmetric.

    Args:
        corpus: documents as words; a window never reaches into the next document, and words outside the vocabulary are
            left out first, as word2vec does.
        vocabulary: whose words count.
        window: words to either side.
        harmonic: weigh a pair at distance d by 1 / d, as GloVe does; otherwise all weigh alike.

    Raises:
        DataError: if the window is below 1.

    Example:
        >>> corpus = [["an", "owl", "an"]]
        >>> cooccurrences(corpus, Vocabulary.of(corpus, 1), window=2).toarray().tolist()
        [[2.0, 2.0], [2.0, 0.0]]
    """
    from scipy.sparse import coo_matrix, csr_matrix

    if window < 1:
        raise DataError(f"window is {window}; expected 1 or more words to either side")
    tokens = vocabulary.tokens(corpus)
    owner = np.repeat(np.arange(len(tokens)), tokens.lengths)
    shape = (len(vocabulary.words),) * 2
    total = csr_matrix(shape, dtype=np.float64)
    for distance in range(1, window + 1):
        same = owner[distance:] == owner[:-distance]
        left, right = tokens.ids[:-distance][same], tokens.ids[distance:][same]
        weight = np.full(len(left), 1 / distance if harmonic else 1.0)
        near = coo_matrix((weight, (left, right)), shape=shape).tocsr()
        total = total + near + near.T
    return total


def ppmi(counts: Any, smoothing: float = 0.75) -> Any:
    """Positive pointwise mutual information, max(0, log p(w, c) / (p(w) p(c))), sparse.

    Args:
        counts: ``[V, C]`` sparse co-occurrences.
        smoothing: power that the contexts' frequencies are raised to: below 1 rare contexts weigh less. 0.75 is the
            published choice.

    Source: Improving Distributional Similarity with Lessons Learned from Word Embeddings, TACL 2015.

    Example:
        >>> from scipy.sparse import csr_matrix
        >>> ppmi(csr_matrix([[4.0, 0.0], [0.0, 4.0]])).toarray()
        array([[0.6931472, 0.       ],
               [0.       , 0.6931472]], dtype=float32)
    """
    found = counts.tocoo()
    words = np.asarray(counts.sum(axis=1)).ravel()
    contexts = np.asarray(counts.sum(axis=0)).ravel() ** smoothing
    expected = words[found.row] * (contexts / contexts.sum())[found.col]
    found.data = np.maximum(np.log(found.data / expected), 0)
    result = found.tocsr().astype(np.float32)
    result.eliminate_zeros()
    return result
