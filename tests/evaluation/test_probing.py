"""Probes computed from a treebank, against labels written down by hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from plait.data.tasks import Labels, Task
from plait.evaluation import probing_tasks
from plait.evaluation.probing import PROBES
from plait.evaluation.treebank import trees
from plait.types import DataError

WORDS = {
    "dogs": "NOUN\t_\tNumber=Plur",
    "dog": "NOUN\t_\tNumber=Sing",
    "cats": "NOUN\t_\tNumber=Plur",
    "cat": "NOUN\t_\tNumber=Sing",
    "saw": "VERB\t_\tTense=Past",
    "heard": "VERB\t_\tTense=Past",
    "see": "VERB\t_\tTense=Pres",
    "and": "CCONJ\t_\t_",
    ".": "PUNCT\t_\t_",
}


def sentence(words: str, tree: list[tuple[int, str]]) -> str:
    rows = [
        f"{n}\t{form}\t{form}\t{WORDS[form.lower()]}\t{head}\t{relation}\t_\t_"
        for n, (form, (head, relation)) in enumerate(zip(words.split(), tree, strict=True), 1)
    ]
    return "\n".join([f"# text = {words}", *rows])


SIMPLE = [(2, "nsubj"), (0, "root"), (2, "obj"), (2, "punct")]
JOINED = [(2, "nsubj"), (0, "root"), (2, "obj"), (6, "cc"), (6, "nsubj"), (2, "conj"), (6, "obj"), (2, "punct")]


def write(folder: Path, sentences: list[str], name: str = "bank.conllu") -> Path:
    path = folder / name
    path.write_text("\n\n".join(sentences) + "\n\n", encoding="utf-8")
    return path


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    simple = [
        sentence(f"{a.capitalize()} {verb} {b} .", SIMPLE)
        for a in ("dog", "dogs", "cat", "cats")
        for verb in ("saw", "heard", "see")
        for b in ("dog", "cats")
    ]
    joined = [sentence(f"{a.capitalize()} saw cats and dogs heard {a} .", JOINED) for a in ("dog", "dogs", "cat")] * 8
    return write(tmp_path, [*simple, *joined])


def examples(task: Task) -> list[tuple[str, str]]:
    part = task.parts["all"]
    assert isinstance(part, Labels)
    return [(str(task.documents[row]), str(label)) for row, label in zip(part.rows, part.labels, strict=True)]


def probe(bank: Path, name: str, seed: int = 0) -> list[tuple[str, str]]:
    (task,) = probing_tasks(bank, seed, [name])
    assert task.name == f"{bank.name.split('.')[0]} {name}"
    return examples(task)


def test_trees_are_read(bank: Path) -> None:
    first, *_, last = trees(bank)
    assert (first.text, first.root, first.depth, len(first.words)) == ("Dog saw dog .", 1, 2, 4)
    assert last.depth == 3
    assert (subject := first.child(first.root, "nsubj")) and subject.form == "Dog"
    assert first.child(first.root, "iobj") is None


def test_labels_that_are_read_off(bank: Path) -> None:
    assert all(label == ("Pres" if "see" in text.split() else "Past") for text, label in probe(bank, "Tense"))
    assert all(label == ("Plur" if "s" in text.split()[0] else "Sing") for text, label in probe(bank, "SubjNum"))
    assert all(label == ("Plur" if "s" in text.split()[2] else "Sing") for text, label in probe(bank, "ObjNum"))
    assert {(len(text.split()), label) for text, label in probe(bank, "SentLen")} == {(4, "1"), (8, "2")}
    assert probing_tasks(bank, probes=["TreeDepth"]) == []  # all trees are flat: one label is no task


def test_exchanged_neighbours(bank: Path) -> None:
    written = {text for text, _ in probe(bank, "SentLen")}
    found = probe(bank, "BShift")
    for text, label in found:
        words = text.split()
        swaps = [" ".join([*words[:n], words[n + 1], words[n], *words[n + 2 :]]) for n in range(len(words) - 1)]
        assert label == "as written" if text in written else (label == "exchanged" and written & set(swaps))
    counts = Counter(label for _, label in found)
    assert min(counts.values()) > len(found) / 4


def test_odd_words_have_the_features_of_those_they_replace(bank: Path) -> None:
    written = {text for text, _ in probe(bank, "SentLen")}
    for text, label in probe(bank, "OMO"):
        assert (label == "replaced") or text in written
    replaced = [text for text, label in probe(bank, "OMO") if label == "replaced"]
    assert replaced
    known = {frozenset(pair) for pair in (("dog", "cat"), ("dogs", "cats"), ("saw", "heard"))}
    for text in replaced:
        near = [w for w in written if len(w.split()) == len(text.split())]
        changes = [[{a.lower(), b} for a, b in zip(w.split(), text.split(), strict=True) if a != b] for w in near]
        assert any(len(change) == 1 and frozenset(change[0]) in known for change in changes)


def test_clauses_are_exchanged_whole(bank: Path) -> None:
    found = probe(bank, "CoordInv")
    assert len(found) == 24
    for text, label in found:
        first, second = text.removesuffix(" .").split(" and ")
        assert text == text.lower()
        assert ("saw" in first and "heard" in second) == (label == "as written")
    assert len({label for _, label in found}) == 2


def test_the_word_that_a_sentence_holds(tmp_path: Path) -> None:
    fill = [sentence("Dog saw cats .", SIMPLE)] * 98
    bank = write(tmp_path, [*fill, sentence("Dogs saw cats .", SIMPLE), sentence("Cat saw cats .", SIMPLE)])
    assert probe(bank, "WC") == [("Dogs saw cats .", "dogs"), ("Cat saw cats .", "cat")]


def test_the_seed_decides(bank: Path) -> None:
    assert probe(bank, "BShift", 3) == probe(bank, "BShift", 3)
    assert probe(bank, "BShift", 3) != probe(bank, "BShift", 4)


def test_parts_are_kept_apart(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write(tmp_path, [sentence("Dog saw cats .", SIMPLE), sentence("Dogs see cats .", SIMPLE)], f"{part}.conllu")
    (task,) = probing_tasks(tmp_path, probes=["Tense"])
    assert {part: len(labels) for part, labels in task.parts.items()} == {"train": 2, "test": 2}
    assert len(task.documents) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1\tDog\tdog\tNOUN\t_\t_\t0\troot", "line 2.*expected ten columns"),
        ("1\tDog\tdog\tNOUN\t_\t_\tx\troot\t_\t_", "the seventh a head"),
        ("1\tDog\tdog\tNOUN\t_\t_\t1\troot\t_\t_", "has a circle"),
        ("1\tDog\tdog\tNOUN\t_\t_\t0\tdep\t_\t_", "no word with the relation root"),
    ],
)
def test_damage_is_told(tmp_path: Path, line: str, message: str) -> None:
    bank = write(tmp_path, [f"# text = Dog\n{line}"])
    with pytest.raises(DataError, match=message):
        probing_tasks(bank)


def test_an_unknown_probe_is_refused(bank: Path) -> None:
    with pytest.raises(DataError, match=f"there is no probe 'TopConst'; there are {PROBES[0]}"):
        probing_tasks(bank, probes=["TopConst"])
