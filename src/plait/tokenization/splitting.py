"""When the words of a text can be tokenised one by one.

A tokenizer's own description says whether a space always separates tokens. Where it does, the ids of a text are the ids
of its words, one after the other, and words can be remembered. Where it does not, or where a text holds something that
breaks the rule, the text is left whole.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    Description = Mapping[str, object]

SPACE = "▁"
"""What SentencePiece writes for a space."""

_WHITESPACE = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}
_AFTER_WHITESPACE = {"Punctuation", "Digits", "Metaspace", "Split", "ByteLevel", "UnicodeScripts", "CharDelimiterSplit"}
_NORMALIZERS = {"BertNormalizer", "Lowercase", "Strip", "StripAccents", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "Replace"}
_RUN = re.compile(r" +[^ ]+")
_PREPENDED = re.compile("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\U00010d00-\U00011fff] ")
_UNUSUAL_START = re.compile(r" ([^\w\x00-\x7f])")


@dataclass(frozen=True)
class SplitRule:
    """How to split texts at spaces, and which texts to leave whole.

    Attributes:
        spaces_count: spaces are tokens or parts of tokens, so that a second one in a row is not nothing.
        runs: a run of spaces may stay in front of its word.
        graphemes: the normaliser looks at grapheme clusters, which a space may be part of.
        odd: strings that make a text one piece.
    """

    spaces_count: bool = False
    runs: bool = False
    graphemes: bool = False
    odd: tuple[str, ...] = ()

    def split(self, texts: Sequence[str]) -> tuple[list[str], list[int]]:
        """Pieces of all texts, and how many each text has.

        >>> SplitRule().split(["a small text", "two words"])
        (['a', 'small', 'text', 'two', 'words'], [3, 2])
        """
        joined = " ".join(texts)
        if self._plain(joined):
            return joined.split(" "), [text.count(" ") + 1 for text in texts]
        pieces = [self.words(text) for text in texts]
        return list(chain.from_iterable(pieces)), list(map(len, pieces))

    def words(self, text: str) -> list[str]:
        """Pieces whose ids, joined, are the ids of the text."""
        if any(string in text for string in self.odd) or (self.graphemes and _splits_grapheme(text)):
            return [text]
        if self.spaces_count and _has_loose_spaces(text):
            if not self.runs or text.endswith(" "):
                return [text]
            return [piece[1:] for piece in _RUN.findall(" " + text)]
        return text.split(" ")

    def _plain(self, joined: str) -> bool:
        if self.graphemes and not joined.isascii():
            return False
        if self.spaces_count and _has_loose_spaces(joined):
            return False
        return not any(string in joined for string in self.odd)


def split_rule(tokenizer: Tokenizer) -> SplitRule | None:
    """The rule for a tokenizer, from its own description; None where spaces do not separate tokens."""
    description: Description = json.loads(tokenizer.to_str())
    model, added = _mapping(description["model"]), _mappings(description["added_tokens"])
    if model.get("dropout"):
        return None
    normalizers = _flatten(description["normalizer"], "normalizers")
    pretokenizers = _flatten(description["pre_tokenizer"], "pretokenizers")
    if pretokenizers and pretokenizers[0]["type"] in _WHITESPACE:
        return _whitespace_rule(normalizers, pretokenizers[1:], added)
    return _sentencepiece_rule(normalizers, pretokenizers, model, added)


def _whitespace_rule(
    normalizers: Sequence[Description], later: Sequence[Description], added: Sequence[Description]
) -> SplitRule | None:
    """Whitespace separates and is dropped: a piece is tokenised alike wherever it stands."""
    for step in normalizers:
        if step["type"] not in _NORMALIZERS | {"Precompiled"}:
            return None
        if step["type"] == "Replace" and " " in str(_mapping(step["pattern"]).get("String", " ")):
            return None
    for step in later:
        if step["type"] not in _AFTER_WHITESPACE or step.get("prepend_scheme") == "first":
            return None
    if any(re.search(r"\s", str(token["content"])) for token in added):
        return None
    return SplitRule(graphemes=any(step["type"] == "Precompiled" for step in normalizers))


def _sentencepiece_rule(
    normalizers: Sequence[Description],
    pretokenizers: Sequence[Description],
    model: Description,
    added: Sequence[Description],
) -> SplitRule | None:
    """A space becomes a mark in front of its word: sound while no token holds a mark behind another character."""
    types = [step["type"] for step in normalizers]
    prepends = (
        types == ["Prepend", "Replace"]
        and normalizers[0]["prepend"] == SPACE
        and normalizers[1]["content"] == SPACE
        and _mapping(normalizers[1]["pattern"]).get("String") == " "
        and not pretokenizers
    )
    metaspace = (
        not types
        and [step["type"] for step in pretokenizers] == ["Metaspace"]
        and pretokenizers[0]["replacement"] == SPACE
        and pretokenizers[0].get("prepend_scheme") in ("first", "always")
    )
    vocabulary = model.get("vocab")
    if not (prepends or metaspace) or model["type"] != "BPE" or not isinstance(vocabulary, dict):
        return None
    if model.get("fuse_unk") and not all(f"<0x{byte:02X}>" in vocabulary for byte in range(256)):
        return None
    if any(SPACE in token.lstrip(SPACE) for token in vocabulary) or any(token["normalized"] for token in added):
        return None
    return SplitRule(spaces_count=True, runs=prepends, odd=(SPACE, *(str(token["content"]) for token in added)))


def _has_loose_spaces(text: str) -> bool:
    return "  " in text or text.startswith(" ") or text.endswith(" ")


def _splits_grapheme(text: str) -> bool:
    """Whether a space is one grapheme cluster with a neighbour, such as a combining mark."""
    if text.isascii():
        return False
    starts = (match.group(1) for match in _UNUSUAL_START.finditer(text))
    return any(unicodedata.category(start)[0] in "MC" for start in starts) or _PREPENDED.search(text) is not None


def _flatten(step: object, inner: str) -> list[Description]:
    if step is None:
        return []
    steps = _mapping(step).get(inner)
    return [_mapping(step)] if steps is None else [one for part in _mappings(steps) for one in _flatten(part, inner)]


def _mapping(value: object) -> Description:
    if not isinstance(value, dict):
        raise TypeError(f"a tokenizer's description has {type(value).__name__} where a table belongs")
    return value


def _mappings(values: object) -> list[Description]:
    return [_mapping(value) for value in values] if isinstance(values, list) else []
