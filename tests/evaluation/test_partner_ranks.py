"""Ranks of partners against a count written out pair by pair; the trap of ties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.metrics import pairwise

import plait
from plait.data.tasks import Labels, Pairs, Task
from plait.evaluation import EvalRank, partners
from plait.evaluation.ranking import half_tied_ranks
from plait.types import DataError

TEXTS = [f"text {n}" for n in range(30)]
PAIRS = [(TEXTS[n], TEXTS[n + 1]) for n in range(0, 12, 2)]


def vectors(seed: int, size: int = 30, width: int = 4) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(size, width)) + 1).astype(np.float32)


@given(
    scores=st.lists(st.lists(st.integers(0, 4), min_size=6, max_size=6), min_size=1, max_size=5),
    target=st.integers(0, 5),
)
def test_half_tied_ranks_are_average_ranks(scores: list[list[int]], target: int) -> None:
    table = np.array(scores, np.float32)
    found = half_tied_ranks(table, np.full(len(table), target))
    assert found.tolist() == [rankdata(-row)[target] for row in table]


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("center", [True, False])
def test_ranks_by_hand(metric: str, center: bool) -> None:
    ranking = EvalRank(PAIRS, TEXTS, metric, center)
    rows = vectors(0)[[TEXTS.index(text) for text in ranking.texts]]
    shifted = rows - rows.mean(axis=0) if center else rows
    similarity = pairwise.cosine_similarity(shifted) if metric == "cosine" else -pairwise.euclidean_distances(shifted)
    place = {text: number for number, text in enumerate(ranking.texts)}
    expected = []
    for left, right in PAIRS:
        for a, b in ((left, right), (right, left)):
            others = [place[x] for x in TEXTS if x not in (a, b)]
            expected.append(1 + sum(similarity[place[a], x] > similarity[place[a], place[b]] for x in others))
    found = ranking.rank(rows)
    assert sorted(found.ranks) == sorted(expected)
    assert found.mr == pytest.approx(np.mean(expected))
    assert found.mrr == pytest.approx(np.mean([1 / rank for rank in expected]))
    assert found.hits(3) == pytest.approx(np.mean([rank <= 3 for rank in expected]))
    assert found.score().value == pytest.approx(found.mrr)
    assert found.table()[0]["pairs"] == 12


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("value", [0.0, 0.1, 3.7])
def test_a_constant_vector_stands_in_the_middle(metric: str, center: bool, value: float) -> None:
    ranking = EvalRank(PAIRS, TEXTS, metric, center)
    found = ranking.rank(np.full((30, 300), value, np.float32))
    assert set(found.ranks) == {15.0}  # of 29 others all are tied
    assert found.mrr < found.chance


def test_texts_without_a_known_word_are_tied_with_each_other() -> None:
    rows = vectors(1)
    rows[20:] = 0
    ranking = EvalRank([(TEXTS[20], TEXTS[21])], TEXTS)
    found = ranking.rank(rows[[TEXTS.index(text) for text in ranking.texts]])
    assert set(found.ranks) == {15.0}


def test_chance_is_the_mean_over_all_places() -> None:
    ranking = EvalRank([(f"a {n}", f"b {n}") for n in range(400)], [])
    found = [ranking.rank(vectors(seed, 800, 50)) for seed in range(10)]
    assert np.mean([one.mrr for one in found]) == pytest.approx(found[0].chance, abs=0.002)
    assert found[0].chance == pytest.approx(sum(1 / n for n in range(1, 800)) / 799)


def test_equal_texts_count_once() -> None:
    ranking = EvalRank([("a", "b"), ("b", "a"), ("a", "b")], ["a", "c", "c", "b"])
    assert ranking.texts == ["a", "b", "c"]
    assert len(ranking.rank(vectors(0, 3)).ranks) == 2


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 99))
def test_slices_do_not_matter(seed: int) -> None:
    ranking, rows = EvalRank(PAIRS, TEXTS), vectors(seed)
    whole = ranking.rank(rows).ranks
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("plait.evaluation.partner_ranks.BLOCK", 60)
        assert (ranking.rank(rows).ranks == whole).all()


def test_a_recipe_is_ranked_as_its_vectors(tiny_table: Path) -> None:
    recipe = plait.parse(f'StaticTable("{tiny_table}") | MeanPool()')
    ranking = EvalRank([("the dog runs", "a dog")], ["rain in the north", "my bank card", "a fox"])
    assert (ranking.evaluate(recipe).ranks == ranking.rank(recipe.encode(ranking.texts).values).ranks).all()
    with pytest.raises(DataError, match="codes have no mean"):
        ranking.evaluate(recipe | plait.Int8().fit(recipe.encode(ranking.texts).values))


def test_partners_of_all_parts() -> None:
    train = Pairs(np.array([0, 1, 2]), np.array([1, 2, 2]), np.array([4.0, 3.9, 5.0]))
    test = Pairs(np.array([0]), np.array([2]), np.array([5.0]))
    task = Task("sts", "t", ("a", "b", "c"), parts={"train": train, "test": test})
    assert partners(task, 4) == [("a", "b"), ("a", "c")]
    labels = Task("classification", "t", ("a",), parts={"all": Labels(np.array([0]), ("x",))})
    with pytest.raises(DataError, match="expected pairs with a graded score"):
        partners(labels, 4)


def test_what_cannot_be_ranked_is_said() -> None:
    for pairs in ([], [("a", "a")]):
        with pytest.raises(DataError, match="each of two different texts"):
            EvalRank(pairs, TEXTS)
    with pytest.raises(DataError, match="metric is 'dot'"):
        EvalRank(PAIRS, TEXTS, "dot")
    with pytest.raises(DataError, match="2 vectors were given for 30 texts"):
        EvalRank(PAIRS, TEXTS).rank(vectors(0, 2))
