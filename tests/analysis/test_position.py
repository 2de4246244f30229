from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from plait.analysis import position_probe
from plait.roles import Encoder
from plait.types import DataError, Items, RecipeError, States, Tokens

WIDTH, LONGEST = 24, 12


class Placed(Encoder):
    """Layer 0: noise and, in dimensions 3 to 11, which place a token has. Layer 1: noise alone."""

    @property
    def width(self) -> int:
        return WIDTH

    @property
    def depth(self) -> int:
        return 1

    @property
    def nbytes(self) -> int:
        return 0

    def tokenize(self, items: Items) -> Tokens:
        lengths = [len(str(item)) for item in items]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        ids = np.frombuffer("".join(map(str, items)).encode(), np.uint8).astype(np.int32)
        every = np.arange(offsets[-1])
        return Tokens(ids, offsets, every, offsets, np.arange(len(offsets)), np.zeros(len(items), np.int64))

    def states(self, tokens: Tokens, layers: tuple[int, ...]) -> States:
        values = np.random.default_rng(len(tokens.ids)).normal(size=(2, len(tokens.ids), WIDTH)).astype(np.float32)
        place = np.arange(len(tokens.ids)) - np.repeat(tokens.offsets[:-1], tokens.lengths)
        coded = (place >= 1) & (place <= 9)
        values[0, coded, place[coded] + 2] += 20
        return States(values[list(layers)], layers, tokens)


def texts(count: int = 60) -> Sequence[str]:
    return ["x" * LONGEST for _ in range(count)]


def test_it_finds_places_where_they_are() -> None:
    probe = position_probe(Placed(), [*texts(), "short"], positions=9)
    assert probe.accuracy[0] == 1
    assert probe.accuracy[1] < 0.3
    assert probe.chance == 1 / 9
    assert probe.texts == 60
    assert sorted(probe.rank(0, dim) for dim in range(3, 12)) == list(range(9))
    assert probe.table()[0] == {"layer": 0, "accuracy": 1.0, "chance": 1 / 9}


def test_dropping_the_dimensions_that_tell_undoes_it() -> None:
    probe = position_probe(Placed(), texts(), layers=[0], drop_dims=range(3, 12), positions=9)
    assert probe.layers == (0,)
    assert probe.accuracy[0] < 0.3
    assert (probe.influence[0, 3:12] == 0).all()


def test_what_cannot_be_probed() -> None:
    with pytest.raises(DataError, match="0 of 5"):
        position_probe(Placed(), texts(5), positions=40)
    with pytest.raises(RecipeError, match="0 to 23"):
        position_probe(Placed(), texts(), positions=9, drop_dims=[24])
