"""Small changes of a text that a reader forgives: words split in two, wrong characters, slips on the keyboard."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence

import numpy as np

WORDS, CHARACTERS = 0.3, 0.3
"""Share of a text's words that are changed, and of such a word's characters: what nlpaug does unless told otherwise."""

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BESIDE = [(0, -1), (0, 1), (-1, 0), (-1, 1), (1, 0), (1, -1)]
"""Where a key's neighbours lie: each row of keys stands half a key to the right of the one above."""


def _neighbours() -> dict[str, str]:
    near = {}
    for number, row in enumerate(_ROWS):
        for place, key in enumerate(row):
            keys = [(number + down, place + right) for down, right in _BESIDE]
            near[key] = "".join(_ROWS[r][p] for r, p in keys if 0 <= r < len(_ROWS) and 0 <= p < len(_ROWS[r]))
    return near


NEIGHBOURS = _neighbours()
"""Letter to the letters on the keys around it."""


def split_words(text: str, random: np.random.Generator) -> str:
    """Break three words in ten in two, at a random place.

    Args:
        text: words between white space.
        random: what draws.

    Example:
        >>> split_words("one morning", np.random.default_rng(0))
        'on e morning'
    """
    return _change(text, random, _split)


def substitute_characters(text: str, random: np.random.Generator) -> str:
    """Put random letters in the place of three characters in ten, in three words of ten.

    Args:
        text: words between white space.
        random: what draws.

    Example:
        >>> len(substitute_characters("one morning", np.random.default_rng(0)))
        11
    """
    return _change(text, random, lambda word, rng: _replace(word, rng, lambda old: string.ascii_letters))


def keyboard_typos(text: str, random: np.random.Generator) -> str:
    """Put letters from neighbouring keys in the place of three letters in ten, in three words of ten.

    Args:
        text: words between white space; what is no letter of an English keyboard stays.
        random: what draws.

    Example:
        >>> len(keyboard_typos("one morning", np.random.default_rng(0)))
        11
    """
    return _change(text, random, lambda word, rng: _replace(word, rng, _near))


def augment(texts: Sequence[str], copies: int, seed: int) -> list[str]:
    """Copies of every text, each split, substituted and mistyped in turn: all copies of the first text come first.

    A copy depends on the seed, its number and the place of the text alone.

    Example:
        >>> len(augment(["a first text", "a second one"], copies=3, seed=0))
        6
    """
    out = []
    for number, text in enumerate(texts):
        for copy in range(copies):
            random = np.random.default_rng([seed, number, copy])
            out.append(keyboard_typos(substitute_characters(split_words(text, random), random), random))
    return out


def _change(text: str, random: np.random.Generator, change: Callable[[str, np.random.Generator], str]) -> str:
    """The text with at least one and about three in ten of its words changed, where there is one to change."""
    words = text.split()
    able = [number for number, word in enumerate(words) if len(word) > 1]
    count = min(len(able), max(1, round(WORDS * len(words))))
    for number in random.permutation(len(able))[:count]:
        words[able[number]] = change(words[able[number]], random)
    return " ".join(words)


def _split(word: str, random: np.random.Generator) -> str:
    place = int(random.integers(1, len(word)))
    return f"{word[:place]} {word[place:]}"


def _near(character: str) -> str:
    near = NEIGHBOURS.get(character.lower(), "")
    return near.upper() if character.isupper() else near


def _replace(word: str, random: np.random.Generator, options: Callable[[str], str]) -> str:
    characters = list(word)
    for place in random.permutation(len(word))[: max(1, round(CHARACTERS * len(word)))]:
        drawn = options(characters[place])
        if drawn:
            characters[place] = drawn[int(random.integers(len(drawn)))]
    return "".join(characters)
