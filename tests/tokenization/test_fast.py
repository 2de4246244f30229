"""Flat ids: blocks, memory of words, threads and faults."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.tokenization import fast
from plait.tokenization.fast import FlatTokenizer, flat_ids
from plait.tokenization.splitting import SplitRule
from tests.tiny import SENTENCES, wordpiece


def letters(texts: Sequence[str]) -> list[list[int]]:
    return [[ord(letter) for letter in text if letter != " "] for text in texts]


def test_ids_and_offsets_are_those_of_encode() -> None:
    tokenizer = wordpiece()
    ids, offsets = flat_ids(tokenizer, SENTENCES)
    assert ids.dtype == np.int32
    for number, sentence in enumerate(SENTENCES):
        expected = tokenizer.encode(sentence, add_special_tokens=False).ids
        assert ids[offsets[number] : offsets[number + 1]].tolist() == expected


def test_the_callers_tokenizer_stays_as_it_was() -> None:
    tokenizer = wordpiece()
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=8)
    _, offsets = FlatTokenizer.of(tokenizer)(["one two three four"])
    assert offsets[-1] > 8
    assert len(tokenizer.encode("one two three four").ids) == 8


@pytest.mark.parametrize("rule", [None, SplitRule()])
def test_nothing_to_tokenise(rule: SplitRule | None) -> None:
    flat = FlatTokenizer(letters, rule)
    for texts in ([], [""], ["", " ", ""]):
        ids, offsets = flat(texts)
        assert len(ids) == 0
        assert offsets.tolist() == [0] * (len(texts) + 1)


@given(st.lists(st.text("ab ", max_size=9), max_size=40))
def test_blocks_and_a_small_memory_change_nothing(texts: list[str]) -> None:
    flat = FlatTokenizer(letters, SplitRule())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "BLOCK_TEXTS", 3)
        patch.setattr(fast, "BLOCK_CHARACTERS", 10)
        patch.setattr(fast, "CACHE_WORDS", 4)
        ids, offsets = flat(texts)
    expected = letters(texts)
    assert ids.tolist() == [number for row in expected for number in row]
    assert np.diff(offsets).tolist() == [len(row) for row in expected]


def test_a_word_is_encoded_once() -> None:
    seen: list[str] = []

    def encode(texts: Sequence[str]) -> list[list[int]]:
        seen.extend(texts)
        return letters(texts)

    flat = FlatTokenizer(encode, SplitRule())
    flat(["a b a", "b c"])
    flat(["c a"])
    assert sorted(seen) == ["a", "b", "c"]


def test_an_interrupt_leaves_no_word_without_ids() -> None:
    broken = True

    def encode(texts: Sequence[str]) -> list[list[int]]:
        if broken:
            raise KeyboardInterrupt
        return letters(texts)

    flat = FlatTokenizer(encode, SplitRule())
    with pytest.raises(KeyboardInterrupt):
        flat(["ab"])
    broken = False
    assert flat(["ab"])[0].tolist() == [97, 98]


def test_half_a_surrogate_pair_is_replaced() -> None:
    flat = FlatTokenizer.of(wordpiece())
    assert flat(["a \ud800 word"])[0].tolist() == flat(["a ? word"])[0].tolist()


def test_threads_share_one_tokenizer() -> None:
    flat = FlatTokenizer(letters, SplitRule())
    texts = [[f"{chr(97 + (n * m) % 26)}{m} {n}" for m in range(50)] for n in range(40)]
    with ThreadPoolExecutor(4) as pool:
        for batch, (ids, _) in zip(texts, pool.map(flat, texts), strict=True):
            assert ids.tolist() == [number for row in letters(batch) for number in row]
