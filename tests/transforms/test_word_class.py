import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import zscore
from sklearn.base import clone

from plait.transforms.word_class import WordClassEmbedding
from plait.types import DataError, RecipeError


def documents(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.poisson(1.0, size=(30, 12)).astype(float) * rng.random((30, 12)), rng.integers(2, size=(30, 3))


def test_it_is_the_share_of_a_words_weight_in_each_class() -> None:
    weights, labels = documents()
    shares = np.array(
        [[weights[labels[:, c] == 1, w].sum() / weights[:, w].sum() for c in range(3)] for w in range(12)]
    )
    found = WordClassEmbedding().fit(weights, labels)
    np.testing.assert_allclose(found.embeddings_, zscore(shares, axis=0), atol=1e-12)
    np.testing.assert_allclose(found.transform(weights[:4]), weights[:4] @ zscore(shares, axis=0), atol=1e-5)


def test_sparse_and_dense_are_the_same() -> None:
    weights, labels = documents()
    one, other = (clone(WordClassEmbedding()).fit(X, labels) for X in (weights, csr_matrix(weights)))
    np.testing.assert_array_equal(one.embeddings_, other.embeddings_)
    np.testing.assert_array_equal(one.transform(weights), other.transform(csr_matrix(weights)))


def test_unused_words_and_classes_that_nobody_or_everybody_has_stay_finite() -> None:
    weights, labels = documents()
    weights[:, 5], labels[:, 1], labels[:, 2] = 0, 0, 1
    found = WordClassEmbedding().fit(weights, labels)
    assert np.isfinite(found.embeddings_).all()
    assert not found.embeddings_[:, 1].any()


def test_what_cannot_be_is_refused() -> None:
    weights, labels = documents()
    for bad in (labels[1:], labels * 2, labels[:, 0]):
        with pytest.raises(DataError, match="30 documents"):
            WordClassEmbedding().fit(weights, bad)
    with pytest.raises(RecipeError, match="12 words"):
        WordClassEmbedding().fit(weights, labels).transform(weights[:, 1:])
    with pytest.raises(RecipeError, match="not fitted"):
        WordClassEmbedding().transform(weights)
