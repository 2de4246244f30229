"""A search by words beside the vectors that `find` found."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plait.data import Judgements, Task, read, select
from plait.retrieval import Bm25, Index, Settings
from plait.selection.finding import find
from plait.store import Record
from plait.types import MissingExtra
from tests.selection.small import space

pytest.importorskip("bm25s")


@pytest.fixture(scope="module")
def task() -> Task:
    """Some queries of the sample, with the documents that answer them and as many others."""
    whole = read("demo:scifact")
    parts = {name: select(part, np.arange(min(40, len(part)))) for name, part in whole.parts.items()}
    return replace(whole, parts=parts)


def test_words_are_weighed_on_dev_and_measured_on_test(task: Task, tiny_table: Path, tmp_path: Path) -> None:
    result = find(task, space=space(tiny_table, transforms=("",)), out=tmp_path / "run")
    written = json.loads((tmp_path / "run" / "run.json").read_text())
    effect = next(effect for effect in written["families"] if effect["family"] == "words")
    assert effect["without"] == result.best.test
    assert result.search is not None
    assert result.search.words > 0.5  # random vectors say nothing, words do
    assert effect["winner_gains"]["interval"][0] > 0
    assert effect["alone"] > result.best.test
    assert Settings.read(tmp_path / "run" / "model") == result.search
    assert "search by words" in (tmp_path / "run" / "report.html").read_text()


def test_an_index_ranks_as_was_measured(task: Task, tiny_table: Path, tmp_path: Path) -> None:
    pytest.importorskip("lancedb")
    result = find(task, space=space(tiny_table, transforms=("",)), out=tmp_path / "run")
    records = [Record(text, str(number)) for number, text in enumerate(task.documents)]
    import plait

    assert result.search is not None
    words_alone = replace(result.search, rescore="")
    index = Index.create(tmp_path / "index", plait.load(tmp_path / "run" / "model"), records, words_alone)
    part = task.parts.get("test") or task.parts["all"]
    assert isinstance(part, Judgements)
    queries = [task.queries[row] for row in part.queries.tolist()]
    found = index.search_many(queries, k=10)
    gains = []
    for hits, relevant in zip(found, part.relevant, strict=True):
        places = [int(hit.id) for hit in hits]
        gain = sum(relevant.get(place, 0) / np.log2(rank + 2) for rank, place in enumerate(places))
        ideal = sorted(relevant.values(), reverse=True)[:10]
        gains.append(gain / sum(grade / np.log2(rank + 2) for rank, grade in enumerate(ideal)))
    effect = next(effect for effect in result.effects if effect.family == "words")
    if not result.nested:
        assert np.mean(gains) == pytest.approx(result.best.test + effect.loss.difference, abs=0.01)
    words = Bm25().fit([str(text) for text in task.documents])
    assert len(words.search(queries[:1], 3).line(0)[0]) == 3


def test_without_its_library_it_is_left_out_and_said(
    task: Task, tiny_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plait.selection import finding, searching

    def missing(module: str, extra: str) -> object:
        raise MissingExtra(f"{module} is not installed; run: pip install 'plait[{extra}]'")

    monkeypatch.setattr(searching, "need", missing)
    said: list[str] = []
    listener = finding.Listener(note=said.append)
    result = find(task, space=space(tiny_table, transforms=("",)), out=tmp_path / "run", listener=listener)
    assert result.search is not None
    assert not result.search.words
    assert Settings.read(tmp_path / "run" / "model") == result.search
    assert any("plait[retrieval]" in text for text in said)
