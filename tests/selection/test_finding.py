"""`find` from data to files, on real pairs and tiny models."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import plait
from plait.data import Judgements, Labels, Pairs, Task, select
from plait.evaluation.embedded import Embedded
from plait.evaluation.evaluators import Evaluator, Scorer, evaluator
from plait.evaluation.judging import is_fitted
from plait.evaluation.scores import Score
from plait.selection.finding import find
from plait.selection.result import FindResult
from plait.selection.space import Space
from plait.step import walk
from plait.training.learned import Learned
from plait.types import Codes, RecipeError
from tests.selection.small import outcome, pairs, space, whole_pairs

KEYS = {
    "candidates",
    "unique_texts",
    "encoded_texts",
    "seconds",
    "best",
    "best_single",
    "defaults",
    "p_value",
    "seed",
    "versions",
    "machine",
}


@dataclass
class Spy:
    """An evaluator that remembers what it was asked to score."""

    inner: Evaluator
    evaluated: list[tuple[float, ...]] = field(default_factory=list)
    added: list[tuple[float, ...]] = field(default_factory=list)

    @property
    def metric(self) -> str:
        return self.inner.metric

    def evaluate(self, embedded: Embedded, fit: Pairs | None, on: Pairs, codes: Codes | None = None) -> Score:
        self.evaluated.append(tuple(on.score))
        return self.inner.evaluate(embedded, fit, on, codes)

    def additive(self, blocks: Sequence[Embedded], fit: Pairs | None, on: Pairs) -> Scorer:
        self.added.append(tuple(on.score))
        return self.inner.additive(blocks, fit, on)


@pytest.fixture(scope="module")
def small_space(tiny_bert: Path, tiny_table: Path) -> Space:
    return space(tiny_bert, tiny_table)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("find")


@pytest.fixture(scope="module")
def result(small_space: Space, folder: Path) -> FindResult:
    return find(pairs(), space=small_space, out=folder)


@pytest.fixture(scope="module")
def run(result: FindResult, folder: Path) -> dict[str, object]:
    facts: dict[str, object] = json.loads((folder / "run.json").read_text())
    return facts


def test_the_files_are_there(result: FindResult, folder: Path) -> None:
    names = {"run.json", "results.parquet", "recipe.txt", "report.html", "model", "bank", "settings.json"}
    assert names <= {path.name for path in folder.iterdir()}
    assert (
        (folder / "recipe.txt").read_text()
        == f"{result.best.recipe}\n"
        == (folder / "model" / "recipe.txt").read_text()
    )
    assert not list(folder.rglob("*.part"))


def test_the_record_says_what_was_done(result: FindResult, run: dict[str, object], tiny_bert: Path) -> None:
    assert set(run) >= KEYS
    best, single = run["best"], run["best_single"]
    assert isinstance(best, dict)
    assert isinstance(single, dict)
    for figure in (best, single, *run["defaults"].values()):  # type: ignore[attr-defined]
        assert {"recipe", "test", "interval", "bytes"} <= set(figure)
        assert figure["interval"][0] <= figure["test"] <= figure["interval"][1]
    assert set(run["defaults"]) == set(run["encoded_texts"])  # type: ignore[call-overload]
    assert f'Transformer("{tiny_bert}")' in run["defaults"]  # type: ignore[operator]
    assert run["seed"] == 0
    assert 0 < run["p_value"] <= 1  # type: ignore[operator]
    assert result.best.dev >= result.best_single.dev


def test_every_text_was_encoded_once_by_every_model(run: dict[str, object]) -> None:
    encoded = run["encoded_texts"]
    assert isinstance(encoded, dict)
    assert set(encoded.values()) == {run["unique_texts"]} == {len(pairs().documents)}


def test_the_grid_is_whole(result: FindResult, run: dict[str, object], folder: Path) -> None:
    table = pq.read_table(folder / "results.parquet").to_pydict()
    grid = (4 + 1 + 1) * 2 * 2  # bert: layers 0 to 3 and a mean; the table: its only layer
    assert run["candidates"] == len(table["recipe"]) == len(set(table["recipe"]))
    assert sum(stage in ("grid", "default") for stage in table["stage"]) >= grid
    assert set(table["stage"]) <= {"grid", "trained", "default", "concat", "compressed"}
    assert result.best.recipe in table["recipe"]


def test_defaults_have_a_score_on_all_of_dev(result: FindResult) -> None:
    by_text = {c.text: c for c in result.selection.candidates}
    assert [by_text[figure.recipe].share for figure in result.defaults.values()] == [1.0, 1.0]


def test_the_figures_are_those_of_the_saved_model(result: FindResult, folder: Path) -> None:
    model = plait.load(folder / "model")
    assert str(model) == result.best.recipe
    task = pairs()
    vectors = model.encode(task.documents)
    values = vectors.values
    if model.quantiser is not None:
        values = model.quantiser.inverse_transform(values)
    score = evaluator(task).evaluate(Embedded(values), None, task.parts["test"])
    assert score.value == pytest.approx(result.best.test, abs=1e-6)
    assert vectors.nbytes == result.best.bytes


def test_the_test_part_is_looked_at_once_for_each_named_recipe(
    small_space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = pairs()
    spy = Spy(evaluator(task))
    monkeypatch.setattr("plait.selection.finding.evaluator", lambda task: spy)
    found = find(task, space=small_space, out=tmp_path)
    test, dev = (tuple(task.parts[name].score) for name in ("test", "dev"))  # type: ignore[union-attr]
    named = {figure.recipe for figure in (found.best, found.best_single, *found.defaults.values())}
    assert found.selection.picks is not None
    named |= set(map(str, found.selection.picks.named().values()))
    assert spy.evaluated.count(test) == len(named)
    assert test not in spy.added
    assert dev in spy.added


def test_nothing_is_trained_on_the_examples_that_choose(
    small_space: Space, result: FindResult, tmp_path: Path, trainings: list[str]
) -> None:
    fold = result.protocol.folds[0]
    assert fold.train is fold.dev
    for candidate in result.selection.candidates:
        assert candidate.stage != "trained"
        assert not any(isinstance(step, Learned) for step in walk(candidate.recipe))
    task = pairs()
    train, dev = (select(task.parts["dev"], rows) for rows in np.split(np.arange(120), [80]))
    apart = replace(task, parts={"train": train, "dev": dev, "test": task.parts["test"]})
    found = find(apart, space=small_space, out=tmp_path)
    trained = [candidate for candidate in found.selection.candidates if candidate.stage == "trained"]
    assert len(small_space.trained) <= len(trained) <= 2 * len(small_space.trained)
    assert "training" in {effect.family for effect in found.effects}
    first = len(trainings)
    find(apart, space=small_space, out=tmp_path, resume=True)
    assert len(trainings) == first  # it was in the bank


def test_poolings_that_are_trained_are_tried(tiny_bert: Path, tiny_table: Path, tmp_path: Path) -> None:
    texts = [f"{text} {n}" for n in range(20) for text in ("the fox runs", "a dog sleeps", "cancel my card", "a bank")]
    labels = [label for _ in range(20) for label in ("animal", "animal", "bank", "bank")]
    parts = {
        name: Labels(np.arange(start, len(texts), 3), tuple(labels[start::3]))
        for start, name in enumerate(("train", "dev", "test"))
    }
    only = space(tiny_bert, tiny_table, trained=("AttentionPool(latents=4, heads=2, head_dim=8, epochs=2)",))
    found = find(Task("classification", "topics", tuple(texts), parts=parts), space=only, out=tmp_path)
    trained = [candidate for candidate in found.selection.candidates if candidate.stage == "trained"]
    assert [str(next(candidate.recipe.strands()).encoder) for candidate in trained] == [
        f'Transformer("{tiny_bert}")',
        f'StaticTable("{tiny_table}")',
    ]
    assert "training" in {effect.family for effect in found.effects}
    with pytest.raises(RecipeError, match="name it in `trained`"):
        find(pairs(), space=replace(only, poolings=("AttentionPool()",)), out=tmp_path / "refused")


def test_selection_does_not_see_the_test_labels(
    small_space: Space, result: FindResult, folder: Path, tmp_path: Path
) -> None:
    task = pairs()
    test = task.parts["test"]
    assert isinstance(test, Pairs)
    shuffled = replace(test, score=np.random.default_rng(1).permutation(test.score))
    other = find(replace(task, parts={**task.parts, "test": shuffled}), space=small_space, out=tmp_path)
    assert other.best.test != result.best.test
    before, after = outcome(folder), outcome(tmp_path)
    for name in ("recipe.txt", "model/model.safetensors", "results"):
        assert before[name] == after[name], name


def test_the_same_seed_gives_the_same_bytes(
    small_space: Space, result: FindResult, folder: Path, tmp_path: Path
) -> None:
    again = find(pairs(), space=small_space, out=tmp_path)
    assert outcome(tmp_path) == outcome(folder)
    assert again.best.interval == result.best.interval


def test_data_without_a_split_is_judged_by_nested_folds(tiny_table: Path, tmp_path: Path) -> None:
    task = whole_pairs()
    found = find(task, space=space(tiny_table), out=tmp_path)
    run = json.loads((tmp_path / "run.json").read_text())
    assert found.nested
    assert run["folds"] == len(found.protocol.folds) > 1
    assert run["examples"]["test"] == len(task.parts["all"])
    assert set(run["encoded_texts"].values()) == {run["unique_texts"]}
    assert str(plait.load(tmp_path / "model")) == found.best.recipe


def test_words_in_sentences_are_found_too(tiny_table: Path, tmp_path: Path) -> None:
    found = find("demo:crossner", space=space(tiny_table, parts=2, transforms=("",)), out=tmp_path)
    assert found.metric == "span-f1"
    run = json.loads((tmp_path / "run.json").read_text())
    assert set(run["encoded_texts"].values()) == {run["unique_texts"]}


def test_the_time_budget_stops_the_search_not_the_run(small_space: Space, tmp_path: Path) -> None:
    found = find(pairs(), space=small_space, out=tmp_path, time_budget=1e-9)
    assert found.selection.skipped > 0
    assert len(found.defaults) == 2
    assert json.loads((tmp_path / "run.json").read_text())["skipped"] == found.selection.skipped


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda task, space: {"data": task, "space": space, "seed": 1}, "seed"),
        (lambda task, space: {"data": task, "space": space, "strategy": "greedy"}, "strategy"),
        (lambda task, space: {"data": task, "space": replace(space, parts=3)}, "space"),
        (lambda task, space: {"data": replace(task, documents=[*task.documents, "more"]), "space": space}, "data"),
        (lambda task, space: {"data": relabelled(task), "space": space}, "data"),
    ],
    ids=["seed", "strategy", "space", "texts", "labels"],
)
def test_resume_refuses_other_settings(
    change: Callable[[Task, Space], dict[str, object]], word: str, result: FindResult, small_space: Space, folder: Path
) -> None:
    with pytest.raises(RecipeError, match=f"cannot resume .*{word} was"):
        find(**change(pairs(), small_space), out=folder, resume=True)


def relabelled(task: Task) -> Task:
    dev = task.parts["dev"]
    assert isinstance(dev, Pairs)
    return replace(task, parts={**task.parts, "dev": replace(dev, score=dev.score[::-1])})


def test_a_finished_run_resumes_to_the_same(
    small_space: Space, result: FindResult, folder: Path, tmp_path: Path
) -> None:
    import shutil

    shutil.copytree(folder, tmp_path / "copy")
    find(pairs(), space=small_space, out=tmp_path / "copy", resume=True)
    assert outcome(tmp_path / "copy") == outcome(folder)


def test_a_folder_used_again_knows_that_the_corpus_has_changed(tiny_table: Path, tmp_path: Path) -> None:
    words = ["fox", "dog", "cat", "rain", "card", "bank"]
    queries = tuple(f"where is the {word} of the {word}" for word in words)
    only = space(tiny_table, poolings=("SifPool(a=0.01)",), transforms=("",), widths=(), quantisers=("",))

    def corpus(extra: str) -> Task:
        documents = tuple(f"the {word} is here {extra}" for word in words)
        judged = [Judgements(np.arange(a, a + 2), ({a: 1}, {a + 1: 1})) for a in (0, 2, 4)]
        parts = dict(zip(("train", "dev", "test"), judged, strict=True))
        return Task("retrieval", "six", documents, queries, parts, np.arange(6), tuple(words))

    def vectors(task: Task, out: Path) -> np.ndarray:
        find(task, space=only, out=out)
        return plait.load(out / "model").encode(queries, role="query").values

    vectors(corpus("a"), tmp_path / "used")
    find(corpus("of the bank, the bank, where"), space=only, out=tmp_path / "used")
    find(corpus("of the bank, the bank, where"), space=only, out=tmp_path / "fresh")
    used, fresh = outcome(tmp_path / "used"), outcome(tmp_path / "fresh")
    assert [name for name in used if name != "scores" and used[name] != fresh[name]] == []


def test_no_model_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plait.selection.finding.installed", lambda: ())
    with pytest.raises(RecipeError, match="no model is named"):
        find(pairs(), out=tmp_path)


def test_a_pooling_that_counts_tokens_is_saved_with_what_it_counted(tiny_table: Path, tmp_path: Path) -> None:
    only = space(tiny_table, poolings=("SifPool(a=0.01)",), quantisers=("", "ProductQuantizer(4, bits=2)"))
    task = pairs()
    result = find(task, space=only, out=tmp_path)
    model = plait.load(tmp_path / "model")
    assert is_fitted(model)
    assert "SifPool" in str(model)
    out = model.encode(task.documents)
    codes = out if model.quantiser is not None else None
    score = evaluator(task).evaluate(Embedded(out.values), None, task.parts["test"], codes)
    assert score.value == pytest.approx(result.best.test, abs=1e-6)
