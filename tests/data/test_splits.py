"""Splits: what is given stays, what is carved shares no text, and every example is judged once."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.data import Judgements, Labels, Pairs, Tags, Task, read, select, split
from plait.data.tasks import Part
from plait.types import DataError


def labels(rows: list[int], names: str) -> Labels:
    return Labels(np.array(rows, np.int64), tuple(names))


def classification(**parts: Part) -> Task:
    return Task("classification", "t", tuple(map(str, range(10_000))), parts=parts)


def rows(part: Part) -> set[int]:
    assert isinstance(part, Labels | Tags)
    return set(part.rows.tolist())


def test_a_given_split_is_kept() -> None:
    parts = {name: labels([0, n], "ab") for n, name in enumerate(("train", "dev", "test"), 1)}
    protocol = split(classification(**parts))
    (fold,) = protocol.folds
    assert (fold.train, fold.dev, fold.test) == tuple(parts.values())
    assert not protocol.nested
    assert protocol.notes == (
        "1 of 2 test examples have a text that stands in train too",
        "1 of 2 test examples have a text that stands in dev too",
    )


def test_dev_is_carved_from_train() -> None:
    names = "".join("abcd"[n % 4] for n in range(1000))
    protocol = split(classification(train=labels(list(range(1000)), names), test=labels([1000, 1001], "ab")))
    (fold,) = protocol.folds
    assert not rows(fold.train) & rows(fold.dev)
    assert rows(fold.train) | rows(fold.dev) == set(range(1000))
    assert isinstance(fold.dev, Labels)
    assert Counter(fold.dev.labels) == dict.fromkeys("abcd", 50)
    assert protocol.notes == ("dev is 200 of the 1,000 examples of train",)


def test_a_carved_dev_part_has_a_limit() -> None:
    names = "".join("ab"[n % 2] for n in range(9_000)) * 3
    (fold,) = split(classification(train=labels(list(range(9_000)) * 3, names), test=labels([1], "a"))).folds
    assert 1500 < len(fold.dev) <= 2000


def test_a_label_that_one_text_has_is_learned() -> None:
    names = "a" * 20 + "b" * 20 + "cdefgh"
    for seed in range(5):
        (fold,) = split(classification(train=labels(list(range(46)), names), test=labels([99], "a")), seed).folds
        assert isinstance(fold.train, Labels)
        assert set("abcdefgh") <= set(fold.train.labels)


def test_without_train_it_is_dev_and_without_test_too() -> None:
    (fold,) = split(classification(dev=labels([1, 2], "ab"), test=labels([3], "a"))).folds
    assert fold.train is fold.dev
    task = classification(train=labels(list(range(50)), "ab" * 25), dev=labels([60, 61], "ab"))
    protocol = split(task)
    assert protocol.folds[0].test is task.parts["dev"]
    assert protocol.notes[0].startswith("test is the data's dev part")


def test_nothing_is_carved_where_nothing_is_learned() -> None:
    pairs = Pairs(np.array([0, 1, 2]), np.array([3, 4, 5]), np.array([1.0, 2.0, 3.0]))
    task = Task("sts", "t", tuple("abcdef"), parts={"train": pairs, "test": pairs})
    (fold,) = split(task).folds
    assert fold.train is fold.dev is pairs
    assert "3 of 3 test examples have a text that stands in train too" in split(task).notes


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), min_size=2, max_size=80), st.integers(0, 5))
def test_folds_of_data_without_a_split(examples: list[tuple[int, str]], seed: int) -> None:
    whole = labels([row for row, _ in examples], "".join(label for _, label in examples))
    task = classification(all=whole)
    if len(rows(whole)) < 2:
        with pytest.raises(DataError, match="expected two different"):
            split(task, seed)
        return
    protocol = split(task, seed)
    tested: list[int] = []
    for fold in protocol.folds:
        assert not rows(fold.test) & (rows(fold.train) | rows(fold.dev))
        assert fold.train is fold.dev or not rows(fold.train) & rows(fold.dev)
        assert min(len(fold.train), len(fold.dev), len(fold.test)) > 0
        assert isinstance(fold.test, Labels)
        tested += fold.test.rows.tolist()
    assert sorted(tested) == sorted(whole.rows.tolist())
    again = split(task, seed)
    for one, other in zip(protocol.folds, again.folds, strict=True):
        assert isinstance(one.dev, Labels)
        assert isinstance(other.dev, Labels)
        assert np.array_equal(one.dev.rows, other.dev.rows)


def test_folds_have_equal_shares_of_each_label() -> None:
    task = classification(all=labels(list(range(100)), "a" * 60 + "b" * 30 + "c" * 10))
    for fold in split(task).folds:
        assert isinstance(fold.test, Labels)
        assert Counter(fold.test.labels) == {"a": 12, "b": 6, "c": 2}


def test_linked_pairs_stay_together() -> None:
    left, right = np.arange(0, 200, 2).repeat(2), np.arange(200).reshape(-1, 2)[:, ::-1].ravel() + 0
    right[::2] = left[::2] + 1
    right[1::2] = left[1::2]
    pairs = Pairs(left, right, np.tile([0.0, 1.0], 100))
    task = Task("pair-classification", "t", tuple(map(str, range(200))), parts={"all": pairs})
    for fold in split(task).folds:
        parts = [fold.train, fold.dev, fold.test]
        texts = [set(p.left.tolist()) | set(p.right.tolist()) for p in parts if isinstance(p, Pairs)]
        assert not texts[0] & texts[1]
        assert not (texts[0] | texts[1]) & texts[2]


def test_one_hub_text_does_not_spoil_the_folds() -> None:
    pairs = Pairs(np.zeros(50, np.int64), np.arange(1, 51), np.tile([0.0, 1.0], 25))
    task = Task("pair-classification", "t", tuple(map(str, range(51))), parts={"all": pairs})
    assert [len(fold.test) for fold in split(task).folds] == [10] * 5


def test_queries_of_equal_text_stay_together() -> None:
    part = Judgements(np.array([0, 0, 1, 2, 3, 4]), tuple({0: 1} for _ in range(6)))
    task = Task("retrieval", "t", ("d",), tuple("abcde"), {"all": part}, np.zeros(1, np.int64), ("d",))
    for fold in split(task).folds:
        assert isinstance(fold.test, Judgements)
        assert isinstance(fold.train, Judgements)
        assert not set(fold.test.queries.tolist()) & set(fold.train.queries.tolist())
        assert fold.train is fold.dev


def test_select_keeps_order_and_kind() -> None:
    for name in ("scifact", "stsb", "banking77", "crossner"):
        part = read(f"demo:{name}").parts["test"]
        chosen = select(part, np.array([3, 1]))
        assert type(chosen) is type(part)
        assert len(chosen) == 2
        assert len(select(part, np.array([], np.int64))) == 0
