"""Word by word must give the tokenizer's own ids: for every text, or the rule must not be offered."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from plait.encoders.weights import find_weights
from plait.tokenization.fast import FlatTokenizer, reference
from plait.tokenization.splitting import split_rule
from plait.types import ModelError
from tests.tiny import SENTENCES, wordpiece

AWKWARD = [
    *(" ", "  ", "   ", "\t", "\n", "\u00a0", "\u2003", "\u2028", "\u3000", "\x00", "\x1f", "\x7f"),
    *("▁", "\u0301", "\u0327\u0301", "\u200d", "\u200b", "\ufeff", "\ufe0f", "\u0600", "\u110bd", "\U000110bd"),
    *("´", "¨", "½", "…", "ﬁ", "ǅ", "Σ", "ΟΔΟΣ", "İ", "ß", "漢", "한국어", "किं", "👩‍👧", "🇫🇷"),
    *(
        "<s>",
        "</s>",
        "<unk>",
        "<pad>",
        "[CLS]",
        "[MASK]",
        "[UNK]",
        "##a",
        "A",
        "word",
        "Words,",
        "isn't",
        "3.14",
        "x" * 101,
    ),
]
TEXTS = st.lists(
    st.lists(st.one_of(st.sampled_from(AWKWARD), st.just(" "), st.text(max_size=6)), max_size=8).map("".join),
    max_size=5,
)


def real_wordpiece() -> Tokenizer:
    return Tokenizer.from_file(str(find_weights("all-MiniLM-L6-v2").folder / "tokenizer.json"))


def real_llama() -> Tokenizer:
    return Tokenizer.from_file(str(find_weights("wordllama").tokenizer))


def real_precompiled() -> Tokenizer:
    try:
        return Tokenizer.from_file(str(find_weights("tokenlearn-static-model").folder / "tokenizer.json"))
    except ModelError:
        pytest.skip("tokenlearn-static-model is not installed")


def bpe(crossing: bool = False, **options: object) -> models.BPE:
    """A few merges over the sentences' letters; ``crossing`` adds one that holds a space inside."""
    letters = sorted({*"".join(SENTENCES).replace(" ", "▁"), *"abc▁"})
    merges = [("t", "h"), ("th", "e"), ("▁", "the"), ("▁", "▁"), ("▁", "a"), ("o", "g"), ("d", "og"), ("▁", "dog")]
    merges += [("e", "▁")] if crossing else []
    vocabulary = ["<unk>", *letters, *dict.fromkeys(a + b for a, b in merges)]
    return models.BPE({piece: number for number, piece in enumerate(vocabulary)}, merges, unk_token="<unk>", **options)


def metaspace(split: bool, scheme: str = "first", **options: object) -> Tokenizer:
    tokenizer = Tokenizer(bpe(**options))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=split)
    return tokenizer


def prepended(**options: object) -> Tokenizer:
    tokenizer = Tokenizer(bpe(**options))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.add_special_tokens([AddedToken("<s>", normalized=False)])
    return tokenizer


def unigram() -> Tokenizer:
    pieces = ["<unk>", "▁", "▁the", "▁a", "the", "dog", *"abcdefghijklmnopqrstuvwxyz.,!?"]
    tokenizer = Tokenizer(
        models.Unigram([(piece, -1.0 - number / 10) for number, piece in enumerate(pieces)], 0, False)
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.StripAccents()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    return tokenizer


def word_level() -> Tokenizer:
    words = {word: number for number, word in enumerate(["?", *dict.fromkeys(" ".join(SENTENCES).split())])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_tokens([AddedToken("quick", single_word=True), AddedToken("<pad>", lstrip=True, rstrip=True)])
    return tokenizer


SOUND: dict[str, Callable[[], Tokenizer]] = {
    "all-MiniLM-L6-v2": real_wordpiece,
    "wordllama": real_llama,
    "tokenlearn": real_precompiled,
    "wordpiece": wordpiece,
    "metaspace, split": lambda: metaspace(True),
    "metaspace, unsplit": lambda: metaspace(False, "always"),
    "prepended space": prepended,
    "unigram": unigram,
    "word level": word_level,
}


@pytest.fixture(scope="module", params=SOUND.values(), ids=SOUND.keys())
def both(request: pytest.FixtureRequest) -> tuple[FlatTokenizer, FlatTokenizer]:
    """The fast way, and the tokenizer itself."""
    tokenizer = request.param()
    fast = FlatTokenizer.of(tokenizer)
    assert fast.rule is not None
    return fast, FlatTokenizer(reference(tokenizer), None)


@settings(deadline=None, max_examples=100)
@given(texts=TEXTS)
def test_ids_are_the_tokenizers_own(both: tuple[FlatTokenizer, FlatTokenizer], texts: list[str]) -> None:
    fast, slow = both
    for got, expected in zip(fast(texts), slow(texts), strict=True):
        assert np.array_equal(got, expected)


def test_running_text_is_split() -> None:
    rule = split_rule(real_llama())
    assert rule is not None
    assert rule.words("Two  spaces here") == ["Two", " spaces", "here"]
    assert rule.words("left whole: <s> it is") == ["left whole: <s> it is"]


def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(bpe())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer


def normalized_metaspace() -> Tokenizer:
    tokenizer = metaspace(True)
    tokenizer.normalizer = normalizers.NFKC()
    return tokenizer


def added_with_a_space() -> Tokenizer:
    tokenizer = word_level()
    tokenizer.add_tokens(["lazy dog"])
    return tokenizer


def collapsing() -> Tokenizer:
    tokenizer = word_level()
    tokenizer.normalizer = normalizers.Replace("a b", "c")
    return tokenizer


def first_after_whitespace() -> Tokenizer:
    tokenizer = unigram()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="first")]
    )
    return tokenizer


@pytest.mark.parametrize(
    "make",
    [
        byte_level,
        normalized_metaspace,
        added_with_a_space,
        collapsing,
        first_after_whitespace,
        lambda: metaspace(False, crossing=True),
        lambda: metaspace(False, scheme="never"),
        lambda: prepended(dropout=0.1),
        lambda: prepended(fuse_unk=True),
    ],
)
def test_no_rule_where_words_depend_on_each_other(make: Callable[[], Tokenizer]) -> None:
    assert split_rule(make()) is None


def test_a_rule_that_fails_the_sample_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    from plait.tokenization import fast
    from plait.tokenization.splitting import SplitRule

    monkeypatch.setattr(fast, "split_rule", lambda tokenizer: SplitRule())
    assert FlatTokenizer.of(metaspace(False, crossing=True)).rule is None
    assert FlatTokenizer.of(wordpiece()).rule is not None
