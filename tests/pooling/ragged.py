"""Ragged token structures as users make them, and some that they hardly would."""

import itertools

import numpy as np
from hypothesis import strategies as st

from plait.types import Tokens


def tokens_of(items: list[tuple[int, list[list[int]]]], vocabulary: int = 7) -> Tokens:
    """Tokens from (number of tokens, positions that each unit pools) for each item."""
    offsets = np.concatenate([[0], np.cumsum([length for length, _ in items])]).astype(np.int64)
    groups = [[offset + p for p in unit] for offset, (_, units) in zip(offsets, items, strict=False) for unit in units]
    return Tokens(
        ids=(np.arange(offsets[-1]) * 5 % vocabulary).astype(np.int32),
        offsets=offsets,
        index=np.array([position for group in groups for position in group], np.int64),
        bounds=np.concatenate([[0], np.cumsum([len(group) for group in groups])]).astype(np.int64),
        units=np.concatenate([[0], np.cumsum([len(units) for _, units in items])]).astype(np.int64),
        cut=np.zeros(len(items), np.int64),
    )


@st.composite
def ragged(draw: st.DrawFn) -> Tokens:
    """Items of 0 to 12 tokens whose units are slices, with gaps and empty units, or scattered tokens."""
    items = []
    for _ in range(draw(st.integers(0, 5))):
        length = draw(st.integers(0, 12))
        if draw(st.booleans()):
            borders = sorted(draw(st.lists(st.integers(0, length), max_size=8)))
            units = [list(range(a, b)) for a, b in itertools.pairwise(borders)]
        else:
            token = st.integers(0, max(length - 1, 0))
            units = draw(st.lists(st.lists(token, max_size=length), max_size=4)) if length else [[]]
        items.append((length, units))
    return tokens_of(items)


def groups_of(tokens: Tokens) -> list[np.ndarray]:
    """The tokens that each unit pools."""
    return [tokens.index[a:b] for a, b in zip(tokens.bounds, tokens.bounds[1:], strict=False)]
