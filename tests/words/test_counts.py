"""Vocabulary, co-occurrence and mutual information counted by hand, and GloVe against automatic derivatives."""

from __future__ import annotations

from collections import Counter
from math import log

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

from plait.types import DataError
from plait.words import Vocabulary, cooccurrences, glove, ppmi
from plait.words.vocabulary import words_of

documents = st.lists(st.lists(st.sampled_from("abcdef"), max_size=8), min_size=1, max_size=6).filter(any)


@given(documents, st.integers(1, 4), st.booleans())
def test_co_occurrences_are_those_counted_one_by_one(corpus: list[list[str]], window: int, harmonic: bool) -> None:
    vocabulary = Vocabulary.of(corpus, min_count=1)
    expected: Counter[tuple[str, str]] = Counter()
    for words in corpus:
        for i, word in enumerate(words):
            for j, other in enumerate(words):
                if i != j and abs(i - j) <= window:
                    expected[word, other] += 1 / abs(i - j) if harmonic else 1  # type: ignore[assignment]
    found = cooccurrences(corpus, vocabulary, window, harmonic).toarray()
    wanted = [[expected[a, b] for b in vocabulary.words] for a in vocabulary.words]
    np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_words_outside_the_vocabulary_are_left_out_before_the_window() -> None:
    corpus = [["a", "rare", "b"], ["a", "b"]]
    vocabulary = Vocabulary.of(corpus, min_count=2)
    assert vocabulary.words == ["a", "b"]
    assert cooccurrences(corpus, vocabulary, window=1).toarray().tolist() == [[0, 2], [2, 0]]


@given(documents)
def test_a_vocabulary_counts_as_scikit_learn_does(corpus: list[list[str]]) -> None:
    vocabulary = Vocabulary.of(corpus, min_count=1)
    peer = CountVectorizer(analyzer=list, vocabulary=vocabulary.words)
    counts = peer.transform(corpus)
    np.testing.assert_array_equal(vocabulary.bags(corpus).toarray(), counts.toarray())
    np.testing.assert_array_equal(vocabulary.counts, counts.toarray().sum(0))
    np.testing.assert_allclose(vocabulary.idf, TfidfTransformer().fit(counts).idf_, rtol=1e-6)


def test_the_most_frequent_words_are_kept() -> None:
    corpus = [["b", "a", "b", "c", "a", "b", "d"]]
    assert Vocabulary.of(corpus, min_count=1, size=2).words == ["b", "a"]
    assert Vocabulary.of(corpus, min_count=3).words == ["b"]
    with pytest.raises(DataError, match="no word comes 9 times"):
        Vocabulary.of(corpus, min_count=9)


def test_words_are_lower_case_and_without_marks() -> None:
    assert words_of("It's 3 o’clock – Élan, don't!") == ["it's", "3", "o'clock", "élan", "don't"]


@pytest.mark.parametrize("smoothing", [1.0, 0.75])
def test_mutual_information_is_its_formula(smoothing: float) -> None:
    counts = np.random.default_rng(0).integers(0, 6, (7, 7)).astype(float)
    counts[3] = counts[:, 3] = 0
    found = ppmi(csr_matrix(counts), smoothing).toarray()
    total, power = counts.sum(), (counts.sum(0) ** smoothing).sum()
    for i in range(7):
        for j in range(7):
            expected = 0.0
            if counts[i, j]:
                chance = counts[i].sum() / total * counts[:, j].sum() ** smoothing / power
                expected = max(0.0, log(counts[i, j] / total / chance))
            assert found[i, j] == pytest.approx(expected, abs=1e-6)


def test_a_window_below_one_is_refused() -> None:
    with pytest.raises(DataError, match="window is 0"):
        cooccurrences([["a", "b"]], Vocabulary.of([["a", "b"]], 1), window=0)


def start(size: int, dim: int) -> list[torch.Tensor]:
    """The tables that `glove` begins with."""
    rng = torch.Generator().manual_seed(0)
    return [(torch.rand(size, dim + 1, generator=rng) - 0.5) / dim for _ in range(2)]


def loss_of(tables: list[torch.Tensor], counts: np.ndarray) -> torch.Tensor:
    """The published sum, written down densely."""
    words, contexts = tables
    fit = words[:, :-1] @ contexts[:, :-1].T + words[:, -1:] + contexts[:, -1]
    there = torch.from_numpy(counts > 0)
    logs = torch.from_numpy(np.log(np.maximum(counts, 1e-9))).float()
    weights = torch.from_numpy(np.minimum(1, (counts / 100) ** 0.75)).float()
    return (weights * (fit - logs) ** 2)[there].sum()


def test_the_first_step_goes_down_the_published_loss() -> None:
    counts = np.random.default_rng(0).integers(0, 150, (6, 6)).astype(float)
    tables = [table.requires_grad_() for table in start(6, 4)]
    loss_of(tables, counts).backward()
    lr = 1e-3
    # the derivative of a square is twice its error; squares of gradients begin at one
    moved = [table.detach() - lr * table.grad / 2 for table in tables if table.grad is not None]
    found = glove(csr_matrix(counts), dim=4, epochs=1, lr=lr, batch=100)
    np.testing.assert_allclose(found, (moved[0] + moved[1])[:, :-1].numpy(), atol=1e-6)


def test_glove_brings_words_together_that_share_their_company() -> None:
    blocks = np.kron(np.eye(2), np.full((4, 4), 50.0)) + 1
    rows = glove(csr_matrix(blocks), dim=5, epochs=60)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosine = unit @ unit.T
    assert cosine[:4, :4].mean() > cosine[:4, 4:].mean() + 0.5


def test_a_seed_repeats_glove_and_no_count_is_refused() -> None:
    counts = csr_matrix(np.random.default_rng(0).integers(0, 5, (8, 8)).astype(float))
    one, same, other = (glove(counts, dim=3, epochs=2, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    with pytest.raises(DataError, match="no two words co-occur"):
        glove(csr_matrix((3, 3)))
