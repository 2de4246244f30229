"""What flows: ragged look-ups against plain loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.types import States, TableStates, Tokens, ranges
from tests.pooling.ragged import groups_of, ragged, tokens_of

Item = tuple[list[int], list[list[int]]]


def items_of(tokens: Tokens) -> list[Item]:
    """Of each item its ids, and the positions inside it that each of its units pools."""
    out = []
    for n in range(len(tokens)):
        start, stop = tokens.offsets[n], tokens.offsets[n + 1]
        units = [
            (tokens.index[tokens.bounds[u] : tokens.bounds[u + 1]] - start).tolist()
            for u in range(tokens.units[n], tokens.units[n + 1])
        ]
        out.append((tokens.ids[start:stop].tolist(), units))
    return out


@given(lengths=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), max_size=20))
def test_ranges_are_joined_in_order(lengths: list[tuple[int, int]]) -> None:
    starts = np.array([start for start, _ in lengths], np.int64)
    ends = starts + np.array([length for _, length in lengths], np.int64)
    expected = [number for start, length in lengths for number in range(start, start + length)]
    assert ranges(starts, ends).tolist() == expected


@given(tokens=ragged(), data=st.data())
@settings(max_examples=200, deadline=None)
def test_take_gives_the_items_asked_for(tokens: Tokens, data: st.DataObject) -> None:
    numbers = st.lists(st.integers(0, len(tokens) - 1), max_size=8) if len(tokens) else st.just([])
    rows = np.array(data.draw(numbers), np.int64)
    taken, before = tokens.take(rows), items_of(tokens)
    assert items_of(taken) == [before[row] for row in rows]
    assert taken.ids.dtype == np.int32
    assert len(taken) == len(rows)


def test_take_keeps_what_was_cut() -> None:
    tokens = tokens_of([(2, [[0]]), (3, [[1, 2]]), (1, [])])
    counted = Tokens(tokens.ids, tokens.offsets, tokens.index, tokens.bounds, tokens.units, np.array([7, 0, 9]))
    assert counted.take(np.array([2, 0])).cut.tolist() == [9, 7]


@given(tokens=ragged(), kinds=st.integers(1, 3), layers=st.integers(1, 3), seed=st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_weighted_is_a_sum_over_each_units_tokens(tokens: Tokens, kinds: int, layers: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(layers, len(tokens.ids), 3)).astype(np.float32)
    weights = rng.normal(size=(kinds, len(tokens.index))).astype(np.float32)
    found = States(values, tuple(range(layers)), tokens).weighted(weights)
    groups = groups_of(tokens)
    assert found.shape == (layers, kinds, len(groups), 3)
    for layer in range(layers):
        for kind in range(kinds):
            for unit, group in enumerate(groups):
                mine = weights[kind, tokens.bounds[unit] : tokens.bounds[unit + 1]]
                expected = sum((w * values[layer, t] for w, t in zip(mine, group, strict=True)), np.zeros(3))
                np.testing.assert_allclose(found[layer, kind, unit], expected, atol=1e-5)


@given(tokens=ragged(), seed=st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_a_table_is_looked_up_as_if_every_token_vector_were_there(tokens: Tokens, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(7, 4)).astype(np.float32)
    weights = rng.normal(size=(2, len(tokens.index))).astype(np.float32)
    lazy, made = TableStates(table, tokens), States(table[tokens.ids][None], (0,), tokens)
    np.testing.assert_allclose(lazy.weighted(weights), made.weighted(weights), atol=1e-5)
    np.testing.assert_array_equal(lazy.values, made.values)


def test_layers_are_found_by_number() -> None:
    states = States(np.arange(8, dtype=np.float32).reshape(2, 2, 2), (0, 5), tokens_of([(2, [[0, 1]])]))
    assert states.layer(5).tolist() == [[4, 5], [6, 7]]
