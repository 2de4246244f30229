"""Words of a vocabulary in running text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.tokenization.words import WordVocabulary

WORDS = ["the", "The", "new", "york", "-", "'s", "isn't", "3.14", ".", "U.S.", "state-of-the-art", "the"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the The THE", ["the", "The", "the"]),
        ("New-York's.", ["new", "-", "york", "'s", "."]),
        ("isn't 3.14.", ["isn't", "3.14", "."]),
        ("U.S. state-of-the-art", ["U.S.", "state-of-the-art"]),
        ("a\tnew\nthing", [None, "new", None]),
        ("  ", []),
    ],
)
def test_words_found(text: str, found: list[str | None]) -> None:
    vocabulary = WordVocabulary(WORDS)
    expected = [vocabulary.unknown if word is None else WORDS.index(word) for word in found]
    assert vocabulary.encode([text]) == [expected]


def test_case() -> None:
    assert WordVocabulary(["Paris", "in"], lowercase=None).encode(["paris Paris In"]) == [[2, 0, 1]]
    assert WordVocabulary(["Paris", "in"], lowercase=False).encode(["paris Paris In"]) == [[2, 0, 2]]
    assert WordVocabulary(["Paris", "in"], lowercase=True).encode(["paris Paris In"]) == [[2, 2, 1]]


@given(st.lists(st.text(), max_size=4))
def test_remembering_words_changes_nothing(texts: list[str]) -> None:
    vocabulary = WordVocabulary(WORDS)
    ids, offsets = vocabulary.flat()(texts)
    expected = vocabulary.encode(texts)
    assert ids.tolist() == [number for row in expected for number in row]
    assert (offsets[1:] - offsets[:-1]).tolist() == [len(row) for row in expected]
