"""Sentences that a model writes in front of passages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from plait import MeanPool, StaticTable
from plait.retrieval import Draw, Index, LocalGenerator, Passages, Settings, WrittenContext
from plait.retrieval import index as indexing
from plait.store import Record
from plait.types import DataError, ModelError, RecipeError

TEXT = "Cats purr. They sleep. Dogs bark. They run."


@dataclass
class Echo:
    """Writes what it was asked, and remembers it."""

    seen: list[str] = field(default_factory=list)
    name: str = "echo"

    def generate(self, prompts: Sequence[str], draw: Draw) -> list[list[str]]:
        self.seen.extend(prompts)
        return [[f" about {prompt[-10:]}\nand more"] for prompt in prompts]


def test_the_model_sees_the_document_and_the_passage_once_each() -> None:
    echo = Echo()
    cut = Passages("sentences:2", WrittenContext(echo, "<{document}|{passage}>", most=20))
    found = list(cut.of([Record(TEXT, "7"), Record("A {passage} of {document}.", "8")]))
    assert echo.seen == [
        "<Cats purr. They slee|Cats purr. They sleep.>",
        "<Cats purr. They slee|Dogs bark. They run.>",
        "<A {passage} of {docu|A {passage} of {document}.>",
    ]
    assert found[1].text == f"about {echo.seen[1][-10:]}\nDogs bark. They run."
    assert [record.id for record in found] == ["7#0", "7#1", "8#0"]
    assert TEXT[found[1].metadata["start"] : found[1].metadata["end"]].strip() == "Dogs bark. They run."  # type: ignore[misc]


def test_an_empty_answer_puts_nothing_in_front() -> None:
    (record,) = Passages("sentences:9", lambda text, passages: [""]).of([Record("A text.", "1")])
    assert record.text == "A text."


def test_what_is_wrong_is_told() -> None:
    with pytest.raises(RecipeError, match="no slot"):
        WrittenContext(Echo(), "{document}")
    with pytest.raises(DataError, match="the context of 1 is 0 texts for 2 passages"):
        list(Passages("sentences:2", lambda text, passages: []).of([Record(TEXT, "1")]))
    with pytest.raises(RecipeError, match="context is 'other'"):
        Passages(context="other")
    with pytest.raises(RecipeError, match="in front of passages: cut documents too"):
        Settings(context="title")


def test_an_index_keeps_what_was_written(tiny_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lancedb")
    echo, models = Echo(), list[str]()

    def generate(self: LocalGenerator, prompts: Sequence[str], draw: Draw) -> list[list[str]]:
        models.append(self.model)
        return echo.generate(prompts, draw)

    monkeypatch.setattr(LocalGenerator, "generate", generate)
    recipe, settings = StaticTable(str(tiny_table)) | MeanPool(), Settings("sentences:2", "a-decoder", words=0)
    index = Index.create(tmp_path / "index", recipe, [Record(TEXT, "7")], settings)
    written = len(echo.seen)
    assert set(models) == {"a-decoder"}
    assert index.search("dogs bark", k=1)[0].text.startswith("about ")
    Index.open(tmp_path / "index").upsert([Record(TEXT, "7"), Record("Rain falls.", "8")])
    assert len(echo.seen) == written + 1  # the passages that are as they were have their sentences
    assert indexing._written(tmp_path / "index").is_dir()


def test_a_decoder_writes(tiny_decoder: Path) -> None:
    context = WrittenContext(LocalGenerator(str(tiny_decoder)), draw=Draw(1, 0.0, 4))
    passages = ["Cats purr.", "Dogs bark."]
    if "Llama" in (tiny_decoder / "config.json").read_text():
        with pytest.raises(ModelError, match="output matrix of its own"):
            context(TEXT, passages)
        return
    first = context(TEXT, passages)
    assert len(first) == 2
    assert first == context(TEXT, passages)
