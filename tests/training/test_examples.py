"""Which rows belong together, by the labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.data import Judgements, Labels, Pairs, Tags
from plait.training import triples
from plait.types import DataError


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=40), st.integers(0, 5))
def test_classes(labels, seed):
    rows = np.arange(len(labels)) + 7
    label = dict(zip(rows.tolist(), labels, strict=True))
    paired = {row for row in rows.tolist() if labels.count(label[row]) > 1}
    if len(paired) < 2:
        with pytest.raises(DataError):
            triples(Labels(rows, tuple(labels)), seed=seed)
        return
    found = triples(Labels(rows, tuple(labels)), seed=seed)
    assert sorted(found.anchors.tolist()) == sorted(paired)
    for anchor, positive in zip(found.anchors.tolist(), found.positives.tolist(), strict=True):
        assert anchor != positive
        assert label[anchor] == label[positive]
    same = found.same
    assert all(
        same[i, j] == (label[a] == label[b])
        for i, a in enumerate(found.anchors.tolist())
        for j, b in enumerate(found.anchors.tolist())
    )


def test_pairs_that_score_high():
    found = triples(Pairs(np.array([0, 1, 2]), np.array([3, 4, 5]), np.array([5.0, 2.0, 4.0])))
    assert found.anchors.tolist() == [0, 2]
    assert found.positives.tolist() == [3, 5]


def test_judgements_number_queries_after_documents():
    found = triples(Judgements(np.array([1, 0]), ({4: 1, 6: 2}, {5: 1})), offset=100)
    assert list(zip(found.anchors.tolist(), found.positives.tolist(), strict=True)) == [(101, 4), (101, 6), (100, 5)]


def test_batches_hold_every_example_once():
    found = triples(Pairs(np.arange(10), np.arange(10, 20), np.ones(10)))
    batches = list(found.batches(4, seed=3))
    assert [len(b) for b in batches] == [4, 4, 2]
    assert sorted(a for b in batches for a in b.anchors.tolist()) == list(range(10))
    assert [b.anchors.tolist() for b in found.batches(4, seed=3)] == [b.anchors.tolist() for b in batches]
    assert [b.anchors.tolist() for b in found.batches(4, seed=4)] != [b.anchors.tolist() for b in batches]
    assert [len(b) for b in found.batches(3, seed=0)] == [3, 3, 3]


def test_split_shares_nothing():
    found = triples(Pairs(np.arange(30), np.arange(30, 60), np.ones(30)))
    most, held = found.split(0.2)
    assert len(held) == 6
    assert sorted([*most.anchors.tolist(), *held.anchors.tolist()]) == list(range(30))


def test_tags_are_refused():
    with pytest.raises(DataError, match="tags"):
        triples(Tags(np.array([0]), (("A",),)))
