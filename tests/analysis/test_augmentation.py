from __future__ import annotations

import string

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from plait.analysis import augment, keyboard_typos, split_words, substitute_characters
from plait.analysis.augmentation import NEIGHBOURS

TEXT = "the quick brown fox jumps over the lazy dog again"
texts = st.text(string.ascii_letters + " .,-'0", max_size=60)


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(texts, st.integers(0, 99))
def test_splitting_only_adds_blanks(text: str, seed: int) -> None:
    split = split_words(text, random(seed))
    assert split.replace(" ", "") == "".join(text.split())
    able = sum(len(word) > 1 for word in text.split())
    added = len(split.split()) - len(text.split())
    assert added == min(able, max(1, round(0.3 * len(text.split()))))


@given(texts, st.integers(0, 99))
def test_substitutions_keep_lengths_and_touch_three_words_in_ten(text: str, seed: int) -> None:
    words = text.split()
    for change in (substitute_characters, keyboard_typos):
        after = change(text, random(seed)).split()
        assert [len(word) for word in after] == [len(word) for word in words]
        changed = sum(old != new for old, new in zip(words, after, strict=True))
        assert changed <= max(1, round(0.3 * len(words)))


def test_three_characters_in_ten_are_replaced() -> None:
    word = "." * 20
    after = substitute_characters(word, random())
    assert sum(letter != "." for letter in after) == 6
    assert set(after) - {"."} <= set(string.ascii_letters)


@given(texts, st.integers(0, 99))
def test_typos_hit_keys_beside(text: str, seed: int) -> None:
    for old, new in zip("".join(text.split()), keyboard_typos(text, random(seed)).replace(" ", ""), strict=True):
        if old != new:
            assert new.lower() in NEIGHBOURS[old.lower()]
            assert new.isupper() == old.isupper()


def test_neighbours_are_mutual() -> None:
    assert set(NEIGHBOURS) == set(string.ascii_lowercase)
    assert all(key in NEIGHBOURS[other] for key, near in NEIGHBOURS.items() for other in near)
    assert set(NEIGHBOURS["g"]) == set("tyfhvb")


def test_copies_differ_repeat_and_stand_together() -> None:
    copies = augment([TEXT, "", "another text"], 4, seed=1)
    assert len(copies) == 12
    assert len(set(copies[:4])) == 4
    assert TEXT not in copies
    assert copies[4:8] == [""] * 4
    assert augment([TEXT], 2, seed=1) == copies[:2]
    assert augment([TEXT], 2, seed=2) != copies[:2]
