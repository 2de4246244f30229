"""BM25 beside its formula."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.retrieval import Bm25, words_of
from plait.retrieval.rank_fusion import NOTHING
from plait.types import DataError, RecipeError

pytest.importorskip("bm25s")

TEXTS = ["a plane takes off", "a man plays the flute", "the plane, the plane!", "", "une naïve flûte"]


def by_formula(texts: list[str], query: str, k1: float, b: float) -> list[float]:
    documents = [words_of(text) for text in texts]
    average = sum(map(len, documents)) / len(documents)
    scores = []
    for words in documents:
        total = 0.0
        for word in words_of(query):
            holding = sum(word in other for other in documents)
            idf = math.log(1 + (len(documents) - holding + 0.5) / (holding + 0.5))
            count = words.count(word)
            total += idf * count / (count + k1 * (1 - b + b * len(words) / average)) if count else 0.0
        scores.append(total)
    return scores


@pytest.mark.parametrize(("k1", "b"), [(1.5, 0.75), (0.9, 0.4)])
@pytest.mark.parametrize("query", ["plane", "the flute", "the the plane", "FLÛTE?"])
def test_scores_are_the_formula(query: str, k1: float, b: float) -> None:
    found = Bm25(k1, b).fit(TEXTS).search([query], k=5)
    expected = by_formula(TEXTS, query, k1, b)
    numbers, scores = found.line(0)
    assert numbers.tolist() == [n for n in np.argsort(-np.array(expected), kind="stable").tolist() if expected[n] > 0]
    np.testing.assert_allclose(scores, [expected[n] for n in numbers], rtol=1e-5)


def test_what_shares_no_word_is_not_found() -> None:
    found = Bm25().fit(TEXTS).search(["submarine", "", "?!"], k=2)
    assert (found.numbers == NOTHING).all()


def test_some_of_the_texts() -> None:
    index = Bm25().fit(TEXTS)
    assert index.search(["plane"], among=np.array([0, 1])).line(0)[0].tolist() == [0]
    assert index.search(["plane"], among=np.array([], np.int64)).line(0)[0].tolist() == []


def test_it_is_the_same_after_a_while_on_disk(tmp_path: Path) -> None:
    index = Bm25(k1=1.2).fit(TEXTS)
    index.save(tmp_path / "words")
    again = Bm25.load(tmp_path / "words")
    for name in ("numbers", "scores"):
        one, two = (getattr(which.search(["the plane", "flute"]), name) for which in (index, again))
        np.testing.assert_array_equal(one, two)
    assert again.k1 == 1.2
    assert not [file for file in (tmp_path / "words").iterdir() if file.suffix in (".pkl", ".pickle")]


def test_what_is_no_index_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no index of words"):
        Bm25.load(tmp_path)
    with pytest.raises(DataError, match="no text"):
        Bm25().fit([])
    with pytest.raises(RecipeError, match="1 or more"):
        Bm25().fit(TEXTS).search(["a"], k=0)
    with pytest.raises(RecipeError, match="fit it first"):
        Bm25().search(["a"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=6), st.text(max_size=20))
def test_any_text_goes(texts: list[str], query: str) -> None:
    found = Bm25().fit(texts).search([query], k=3)
    numbers, scores = found.line(0)
    assert all(0 <= number < len(texts) for number in numbers)
    assert all(set(words_of(query)) & set(words_of(texts[number])) for number in numbers.tolist())
    assert (scores > 0).all()
