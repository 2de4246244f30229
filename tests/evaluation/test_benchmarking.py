"""One model on many tasks: the same figures as task by task, from one pass."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import plait
from plait import plan
from plait.data import Judgements, Labels, Tags, Task, read
from plait.evaluation import TaskSpec, benchmark, judge, suite, suites
from plait.evaluation.benchmarking import texts_of
from plait.types import DataError, Floats

WORDS = ("red", "blue", "card", "bank", "rain", "sun", "north", "dog", "cat", "fox")


def sentences(number: int, seed: int = 0) -> tuple[str, ...]:
    rng = np.random.default_rng(seed)
    return tuple(f"{' '.join(rng.choice(WORDS, 5))} {n}" for n in range(number))


def labels(name: str, parts: dict[str, slice], number: int = 60) -> Task:
    texts = sentences(number)
    said = tuple("card" if "card" in text else "other" for text in texts)
    made = {part: Labels(np.arange(number)[where], said[where]) for part, where in parts.items()}
    return Task("classification", name, texts, parts=made)


def search() -> Task:
    texts = sentences(40, seed=1)
    judged = Judgements(np.arange(10), tuple({n: 1} for n in range(10)))
    ids = tuple(map(str, range(40)))
    return Task("retrieval", "search", texts, texts[:10], {"test": judged}, np.arange(40), ids)


def tasks() -> list[TaskSpec]:
    split = {"train": slice(0, 30), "dev": slice(30, 40), "test": slice(40, 60)}
    return [
        TaskSpec(labels("split", split)),
        TaskSpec(labels("whole", {"all": slice(0, 60)}), head="knn", folds=3, group="other"),
        TaskSpec(search(), metric="MRR@10"),
    ]


class Looked:
    """Encodes with a recipe and remembers what it was asked."""

    def __init__(self, recipe: plait.step.Composite) -> None:
        self.recipe, self.asked = recipe, list[list[str]]()

    def encode(self, texts: list[str]) -> Floats:
        self.asked.append(texts)
        found: Floats = self.recipe.encode(texts).values
        return found


@pytest.mark.parametrize("steps", ["MeanPool()", "MeanPool() | Whitening(5)", "SifPool()", "PowerMeanPool()"])
def test_scores_are_those_of_judge(tiny_table: Path, steps: str) -> None:
    recipe = plait.parse(f'StaticTable("{tiny_table}") | {steps}')
    found = benchmark(recipe, tasks())
    for spec in tasks():
        alone = judge(recipe, spec)
        assert found.value(spec.name) == pytest.approx(alone.score.value, abs=1e-6)
        assert found.judgements[spec.name].interval == alone.interval
        assert found.judgements[spec.name].folds == (3 if spec.name == "whole" else 1 if spec.name == "split" else 5)
    assert found.width == (48 if "Power" in steps else 5 if "Whitening" in steps else 16)


def test_a_recipe_and_what_encodes_alike_score_alike(tiny_table: Path) -> None:
    recipe = plait.parse(f'StaticTable("{tiny_table}") | MeanPool()')
    model = Looked(recipe)
    one, two = benchmark(recipe, tasks()), benchmark(model, tasks())
    assert [row["value"] for row in one.table()] == pytest.approx([row["value"] for row in two.table()], abs=1e-6)
    assert (one.texts, two.model) == (two.texts, "Looked")
    (asked,) = model.asked
    assert len(asked) == len(set(asked)) == two.texts
    assert asked == texts_of(tasks())


def test_all_texts_go_through_one_pass(tiny_table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    run = plan.run

    def counted(strands: object, items: list[str], *rest: object) -> object:
        passes.append(len(items))
        return run(strands, items, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(plan, "run", counted)
    benchmark(plait.parse(f'StaticTable("{tiny_table}") | MeanPool() | Center()'), tasks())
    assert passes == [60 + 40, 10]  # documents of all tasks, then queries


def test_texts_that_are_cut_are_counted_task_by_task(tiny_table: Path) -> None:
    recipe = plait.parse(f'StaticTable("{tiny_table}", max_length=8) | MeanPool()')
    found = benchmark(recipe, tasks())
    assert [row["cut"] for row in found.table()] == [judge(recipe, spec).cut_texts for spec in tasks()]


def test_sentences_of_words_run_beside_the_others(tiny_table: Path) -> None:
    items = tuple(tuple(text.split()) for text in sentences(30))
    tags = tuple(tuple("NUM" if word.isdigit() else "WORD" for word in item) for item in items)
    parts = {n: Tags(np.arange(30)[w], tags[w]) for n, w in (("train", slice(0, 20)), ("test", slice(20, 30)))}
    tagging = Task("tagging", "tags", items, parts=parts)
    recipe = plait.parse(f'StaticTable("{tiny_table}") | MeanPool()')
    assert benchmark(recipe, [*tasks(), tagging]).value("tags") == judge(recipe, tagging).score.value
    with pytest.raises(DataError, match="tags asks for a vector a word"):
        benchmark(Looked(recipe), [tagging])


def test_means_by_group(tiny_table: Path) -> None:
    found = benchmark(plait.parse(f'StaticTable("{tiny_table}") | MeanPool()'), tasks())
    values = {name: found.value(name) for name in ("split", "whole", "search")}
    groups = {"classification": values["split"], "other": values["whole"], "retrieval": values["search"]}
    assert found.group_means() == pytest.approx(groups)
    assert found.mean() == pytest.approx(sum(values.values()) / 3)
    with pytest.raises(DataError, match="no task is of the group 'sts'; there are classification, other, retrieval"):
        found.mean("sts")


def test_what_cannot_be_scored_is_said(tiny_table: Path) -> None:
    recipe = plait.parse(f'StaticTable("{tiny_table}") | MeanPool()')
    with pytest.raises(DataError, match="tasks are none"):
        benchmark(recipe, [])
    with pytest.raises(DataError, match="each with a name of its own"):
        benchmark(recipe, [search(), search()])
    with pytest.raises(DataError, match="part is 'train'"):
        TaskSpec(search(), part="train")
    with pytest.raises(DataError, match="folds is 1"):
        TaskSpec(search(), folds=1)

    class Short:
        def encode(self, texts: list[str]) -> Floats:
            return np.ones((1, 3), np.float32)

    with pytest.raises(DataError, match=r"shape \(1, 3\); expected \d+ rows"):
        benchmark(Short(), [search()])


def test_dev_is_scored_when_asked_for(tiny_table: Path) -> None:
    recipe = plait.parse(f'StaticTable("{tiny_table}") | MeanPool()')
    spec = replace(tasks()[0], part="dev")
    assert len(benchmark(recipe, [spec]).scores["split"]) == 10
    assert judge(recipe, spec.task, "dev").score.value == benchmark(recipe, [spec]).value("split")


def test_suites_are_read_from_the_folder_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = tmp_path / "ud" / "en_lines"
    bank.mkdir(parents=True)
    tree = "# text = {0} runs\n1\t{0}\t_\tNOUN\t_\tNumber={1}\t2\tnsubj\t_\t_\n2\truns\t_\tVERB\t_\t_\t0\troot\t_\t_\n"
    for part in ("train", "dev", "test"):
        text = "\n".join(tree.format(noun, number) for noun, number in (("Dog", "Sing"), ("Dogs", "Plur")) * 20)
        (bank / f"{part}.conllu.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "wsj_sample_parsed.mrg.gz").write_bytes(
        gzip.compress(b"(S (NP (N it)) (VP (V is))) (S (VP (V go)))")
    )
    monkeypatch.setenv("PLAIT_DATA", str(tmp_path))
    found = {spec.name: spec for spec in suite("senteval-probing", {"train": 7, "test": 5})}
    number = found["en_lines SubjNum"]
    assert (number.head, number.group) == ("mlp", "probing")
    assert {part: len(labels) for part, labels in number.task.parts.items()} == {"train": 7, "dev": 40, "test": 5}
    assert {len(part) for part in suite("senteval-probing", 3)[0].task.parts.values()} == {3}
    assert found["wsj_sample_parsed TopConst"].task.documents == ("it is", "go")
    with pytest.raises(DataError, match=r"mr\.tsv is not there"):
        suite("senteval")


def test_every_line_of_the_benchmarks_is_understood() -> None:
    from plait.evaluation.benchmark_file import _Entry, _file

    for name in suites():
        entries = [_Entry(**entry) for entry in _file()[name]["tasks"]]  # type: ignore[attr-defined]
        assert entries
        assert all(bool(entry.data) + bool(entry.treebank) + bool(entry.constituents) == 1 for entry in entries)
        names = [entry.name or entry.treebank or entry.constituents for entry in entries]
        assert len(set(names)) == len(names)
    with pytest.raises(DataError, match="no benchmark 'senteval2'; did you mean 'senteval'"):
        suite("senteval2")


def test_a_name_reads_the_suite(monkeypatch: pytest.MonkeyPatch, tiny_table: Path) -> None:
    monkeypatch.delenv("PLAIT_DATA", raising=False)
    with pytest.raises(DataError, match="PLAIT_DATA"):
        benchmark(plait.parse(f'StaticTable("{tiny_table}") | MeanPool()'), "senteval")


def test_the_sample_set_is_scored() -> None:
    task = read("demo:stsb")
    assert benchmark(plait.parse('StaticTable("wordllama") | MeanPool()'), [task]).value("demo:stsb") > 0.7
