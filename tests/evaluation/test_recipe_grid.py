"""`grid` against `judge`, recipe by recipe, and against the number of forward passes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import plait
from plait.bank import Bank
from plait.data.tasks import Judgements, Labels, Pairs, Task
from plait.encoders.hosts import Host
from plait.evaluation import GridResult, TaskSpec, grid, judge
from plait.step import Composite
from plait.types import DataError

WORDS = ["cat", "dog", "fox", "rain", "sun", "card", "bank", "enzyme", "vector", "text"]
TEXTS = tuple(f"{a} and {b}" for a in WORDS for b in WORDS if a != b)


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    random = np.random.default_rng(0)
    rows = random.permutation(len(TEXTS))
    pairs = [Pairs(rows[part][0::2], rows[part][1::2], random.random(10)) for part in (slice(0, 20), slice(20, 40))]
    labels = tuple("animal" if text.split()[0] in WORDS[:3] else "thing" for text in TEXTS)
    parts = [Labels(part, tuple(labels[n] for n in part)) for part in (rows[:50], rows[50:])]
    judged = Judgements(np.arange(4), tuple({n: 1, n + 9: 2} for n in range(4)))
    return [
        Task("sts", "similar", TEXTS, parts=dict(zip(("train", "test"), pairs, strict=True))),
        Task("classification", "kind", TEXTS, parts=dict(zip(("train", "test"), parts, strict=True))),
        Task("retrieval", "search", TEXTS[:30], tuple(WORDS[:4]), {"test": judged}, np.arange(30), WORDS[:30]),
    ]


@pytest.fixture
def recipes(tiny_bert: Path, tiny_table: Path) -> dict[str, Composite]:
    host, table = plait.Transformer(str(tiny_bert)), plait.StaticTable(str(tiny_table))
    prompted = plait.Transformer(str(tiny_bert), prompts="a text: {text}")
    return {
        "mean": host | plait.Layer(2) | plait.MeanPool(),
        "max": host | plait.Layer(1) | plait.MaxPool(),
        "whitened": host | plait.Layer(2) | plait.MeanPool() | plait.Whitening(4),
        "prompted": prompted | plait.MeanPool(),
        "both": (prompted | plait.MeanPool()) + (table | plait.MeanPool()),
        "bits": host | plait.MeanPool() | plait.Binary(),
    }


def test_every_score_is_that_of_judge(recipes: dict[str, Composite], tasks: list[Task]) -> None:
    specs = [TaskSpec(tasks[0]), TaskSpec(tasks[1], head="ridge"), TaskSpec(tasks[2])]
    found = grid(recipes, specs)
    for name, recipe in recipes.items():
        for spec in specs:
            expected = judge(recipe, spec)
            assert found.value(name, spec.name) == pytest.approx(expected.score.value, abs=1e-6)
            assert found.judgements[name][spec.name].fitted == expected.fitted
    assert found.best("search") == max(recipes, key=lambda name: found.value(name, "search"))


def test_each_encoder_and_prompt_reads_every_text_once(
    recipes: dict[str, Composite], tasks: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    states = Host.states
    monkeypatch.setattr(Host, "states", lambda self, ids, *rest: (rows.append(len(ids)), states(self, ids, *rest))[1])
    found = grid(recipes, tasks[:2])
    assert found.passes == 3
    assert sum(rows) == 2 * len(TEXTS)


def test_a_bank_spares_the_second_run_all_passes(
    recipes: dict[str, Composite], tasks: list[Task], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = grid(recipes, tasks, Bank(tmp_path))
    monkeypatch.setattr(Host, "states", lambda *args: pytest.fail("a forward pass was run"))
    second = grid(recipes, tasks, Bank(tmp_path))
    assert all(first.value(name, task.name) == second.value(name, task.name) for name in recipes for task in tasks)


def test_the_table_has_a_row_for_each_recipe_and_task(recipes: dict[str, Composite], tasks: list[Task]) -> None:
    found = grid({name: recipes[name] for name in ("mean", "both")}, tasks)
    rows = found.table()
    assert [(row["recipe"], row["task"]) for row in rows] == [(r, t.name) for r in ("mean", "both") for t in tasks]
    assert all(float(row["low"]) <= float(row["value"]) <= float(row["high"]) for row in rows)
    assert isinstance(found, GridResult)
    assert found.milliseconds["both"] > 0


def test_nothing_to_compare_is_refused(recipes: dict[str, Composite], tasks: list[Task]) -> None:
    for given in (({}, tasks), (recipes, []), (recipes, [tasks[0], tasks[0]])):
        with pytest.raises(DataError, match="every task a name of its own"):
            grid(*given)
