from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression

import plait
from plait.data import Judgements, Labels, Pairs, Tags, Task, read
from plait.evaluation.judging import is_fitted, join, judge
from plait.step import unit_rows
from plait.types import DataError

WORDS = ("red", "blue", "card", "bank", "rain", "sun", "north", "dog", "cat", "fox")


def sentences(number: int, seed: int = 0) -> tuple[str, ...]:
    rng = np.random.default_rng(seed)
    return tuple(f"{' '.join(rng.choice(WORDS, 5))} {n}" for n in range(number))


def labels_task(parts: dict[str, slice], number: int = 90) -> Task:
    texts = sentences(number)
    labels = tuple("card" if "card" in text else "other" for text in texts)
    rows = np.arange(number)
    return Task(
        "classification",
        "t",
        texts,
        parts={name: Labels(rows[where], labels[where]) for name, where in parts.items()},
    )


SPLIT = {"train": slice(0, 50), "dev": slice(50, 60), "test": slice(60, 90)}


def test_sts_is_spearman_of_the_cosine(tiny_table: Path) -> None:
    task = read("demo:stsb")
    recipe = plait.parse(f'StaticTable("{tiny_table}") | MeanPool()')
    found = judge(recipe, task)
    test = task.parts["test"]
    assert isinstance(test, Pairs)
    vectors = unit_rows(recipe.encode(task.documents).values)
    cosines = (vectors[test.left] * vectors[test.right]).sum(axis=1)
    assert found.score.value == pytest.approx(spearmanr(cosines, test.score).statistic, abs=1e-4)
    assert found.interval.low < found.score.value < found.interval.high
    assert (found.fitted, found.folds) == (False, 1)


@pytest.mark.parametrize(("part", "learned"), [("test", slice(0, 60)), ("dev", slice(0, 50))])
def test_unfitted_steps_and_heads_learn_from_what_is_not_judged(tiny_table: Path, part: str, learned: slice) -> None:
    task = labels_task(SPLIT)
    text = f'StaticTable("{tiny_table}") | SifPool() | Whitening(6)'
    found = judge(plait.parse(text), task, part)
    judged = task.parts[part]
    assert isinstance(judged, Labels)
    fitted = plait.parse(text).fit(list(task.documents[learned]))
    same = judge(fitted, task, part)
    assert (found.fitted, same.fitted) == (True, False)
    assert found.score.value == same.score.value
    assert (found.score.examples[0] == same.score.examples[0]).all()


def test_the_recipe_is_not_touched(tiny_table: Path) -> None:
    recipe = plait.parse(f'StaticTable("{tiny_table}") | SifPool() | Whitening(6)')
    judge(recipe, labels_task(SPLIT))
    assert not is_fitted(recipe)


def test_classification_is_near_a_logistic_regression(tiny_table: Path) -> None:
    task = labels_task({"train": slice(0, 300), "dev": slice(300, 400), "test": slice(400, 600)}, number=600)
    recipe = plait.parse(f'StaticTable("{tiny_table}") | MeanPool()')
    rows = unit_rows(recipe.encode(task.documents).values)
    names = ["card" in str(text) for text in task.documents]
    peer = LogisticRegression(C=100, max_iter=1000).fit(rows[:400], names[:400]).score(rows[400:], names[400:])
    assert judge(recipe, task).score.value == pytest.approx(peer, abs=0.05)


def test_data_without_a_split_is_judged_in_folds(tiny_table: Path) -> None:
    recipe = plait.parse(f'StaticTable("{tiny_table}") | MeanPool() | Center()')
    found = judge(recipe, labels_task({"all": slice(0, 90)}))
    assert (found.folds, len(found.score)) == (5, 90)


def test_retrieval_with_codes_and_cut_texts(tiny_table: Path) -> None:
    texts = sentences(40)
    judged = Judgements(np.arange(10), tuple({n: 1} for n in range(10)))
    task = Task(
        "retrieval",
        "t",
        texts,
        texts[:10],
        {"train": judged, "test": judged},
        np.arange(40),
        [str(n) for n in range(40)],
    )
    recipe = plait.parse(f'StaticTable("{tiny_table}", max_length=9) | MeanPool() | Int8()')
    found = judge(recipe, task)
    assert found.score.value > 0.95
    lengths = plait.StaticTable(str(tiny_table)).tokenize(texts).lengths
    assert found.cut_texts == int((lengths > 9).sum())


def test_tagging(tiny_table: Path) -> None:
    items = tuple(tuple(text.split()) for text in sentences(60))
    tags = tuple(tuple("NUM" if word.isdigit() else "WORD" for word in item) for item in items)
    parts = {name: Tags(np.arange(60)[where], tags[where]) for name, where in
             {"train": slice(0, 30), "dev": slice(30, 40), "test": slice(40, 60)}.items()}  # fmt: skip
    task = Task("tagging", "t", items, parts=parts)
    assert judge(plait.parse(f'StaticTable("{tiny_table}") | MeanPool() | Center()'), task).score.value > 0.9


def test_unknown_part(tiny_table: Path) -> None:
    with pytest.raises(DataError, match="part is 'all'; expected one of test, dev"):
        judge(plait.parse(f'StaticTable("{tiny_table}") | MeanPool()'), labels_task(SPLIT), "all")


def test_join() -> None:
    a, b = Labels(np.array([0, 1]), ("x", "y")), Labels(np.array([5]), ("z",))
    joined = join(a, b)
    assert isinstance(joined, Labels)
    assert (joined.rows.tolist(), joined.labels) == ([0, 1, 5], ("x", "y", "z"))
    assert join(a, a) is a
    pairs = Pairs(np.array([0]), np.array([1]), np.array([0.5]))
    both = join(pairs, replace(pairs))
    assert isinstance(both, Pairs)
    assert both.score.tolist() == [0.5, 0.5]
    with pytest.raises(DataError, match="cannot be joined"):
        join(a, pairs)


@pytest.mark.parametrize("step", ["MeanPool() | LinearMap(6, epochs=2)", "AttentionPool(latents=2, heads=1, epochs=2)"])
def test_steps_that_are_trained_get_the_examples_of_the_fit_part(tiny_table: Path, step: str) -> None:
    task, text = labels_task(SPLIT), f'StaticTable("{tiny_table}") | {step}'
    found = judge(plait.parse(text), task)
    part = task.parts["train"]
    assert isinstance(part, Labels)
    known = join(part, task.parts["dev"])
    assert isinstance(known, Labels)
    by_hand = plait.parse(text).fit([task.documents[row] for row in known.rows.tolist()], list(known.labels))
    assert found.score.value == judge(by_hand, task).score.value


def test_trained_steps_learn_from_pairs_judgements_and_tags(tiny_table: Path) -> None:
    texts = sentences(60)
    rows, head = np.arange(30), f'StaticTable("{tiny_table}") | MeanPool() | LinearMap(8, epochs=2)'
    pairs = Pairs(rows, rows + 30, np.linspace(0, 5, 30))
    answers = tuple({int(row): 1} for row in rows)
    asked = Judgements(rows, answers)
    words = tuple(tuple(text.split()) for text in texts)
    tags = Tags(rows, tuple(tuple("N" if len(word) > 3 else "V" for word in words[row]) for row in rows))
    tasks = [
        Task("sts", "pairs", texts, parts={"train": pairs, "dev": pairs, "test": pairs}),
        Task("retrieval", "answers", texts, texts[30:], parts={"train": asked, "dev": asked, "test": asked}),
        Task("tagging", "words", words, parts={"train": tags, "dev": tags, "test": tags}),
    ]
    for task in tasks:
        found = judge(plait.parse(head), task)
        assert np.isfinite(found.score.value)
        assert found.fitted


def test_an_attention_pooling_learns_from_queries_and_documents(tiny_table: Path) -> None:
    texts, rows = sentences(40), np.arange(20)
    asked = Judgements(rows, tuple({int(row): 1} for row in rows))
    task = Task("retrieval", "answers", texts, texts[20:], parts={"train": asked, "dev": asked, "test": asked})
    recipe = plait.parse(f'StaticTable("{tiny_table}") | AttentionPool(latents=2, heads=1, epochs=2)')
    assert 0 <= judge(recipe, task).score.value <= 1
