"""An index: what it finds, beside its parts searched one by one, and what changes do to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from plait import parse
from plait.retrieval import (
    Bm25,
    HypotheticalDocuments,
    Index,
    LateInteraction,
    RecordedGenerator,
    Settings,
    TokenEncoder,
)
from plait.retrieval.generation import Draw
from plait.step import Composite, unit_rows
from plait.store import Record, Table
from plait.types import DataError, ModelError, RecipeError

pytest.importorskip("lancedb")
pytest.importorskip("bm25s")

DOCUMENTS = [
    Record("Cats purr. They sleep all day. Fish is what they eat.", "cats", {"year": 2001}),
    Record("Dogs bark at the train. They run through rain.", "dogs", {"year": 2010}),
    Record("A transfer to another bank takes a day. Cards are lost.", "bank", {"year": 2010}),
    Record("The enzyme binds its substrate within milliseconds.", "enzyme", {"year": 2020}),
]
QUERIES = ["what do cats eat", "rain", "bank cards", "substrate"]


@pytest.fixture
def recipe(tiny_table: Path) -> Composite:
    return parse(f'StaticTable("{tiny_table}") | MeanPool()')


def test_scores_are_the_weighted_sums(recipe: Composite, tmp_path: Path) -> None:
    index = Index.create(tmp_path / "i", recipe, DOCUMENTS, Settings(words=0.25, depth=4))
    texts = [record.text for record in DOCUMENTS]
    dense = unit_rows(recipe.encode(QUERIES, "query").values) @ unit_rows(recipe.encode(texts).values).T
    words = Bm25().fit(texts)
    for row, hits in enumerate(index.search_many(QUERIES, k=4)):
        scores = 0.75 * (dense[row] - dense[row].min()) / np.ptp(dense[row])
        numbers, found = words.search([QUERIES[row]], k=4).line(0)
        spread = np.ptp(found)
        scores[numbers] += 0.25 * ((found - found.min()) / spread if spread else 1)
        assert [hit.id for hit in hits] == [DOCUMENTS[n].id for n in np.argsort(-scores, kind="stable")]
        np.testing.assert_allclose([hit.score for hit in hits], np.sort(scores)[::-1], atol=1e-5)


def test_a_table_is_an_index(recipe: Composite, tmp_path: Path) -> None:
    table = Table.create(tmp_path / "t", recipe, DOCUMENTS)
    index = Index.open(tmp_path / "t")
    assert index.settings == Settings(words=0)
    for query in QUERIES:
        assert index.search(query, 3) == table.search(query, k=3)


def test_words_decide_alone(recipe: Composite, tmp_path: Path) -> None:
    index = Index.create(tmp_path / "i", recipe, DOCUMENTS, Settings(words=1.0))
    assert [index.search(query, 1)[0].id for query in QUERIES] == ["cats", "dogs", "bank", "enzyme"]


def test_passages_and_their_documents(recipe: Composite, tmp_path: Path) -> None:
    index = Index.create(tmp_path / "i", recipe, DOCUMENTS, Settings(cut="sentences:1", words=1.0))
    assert len(index) == 8
    hits = index.search("they run and eat", k=4)
    assert [hit.metadata["document"] for hit in hits] == ["dogs", "cats"]
    assert hits[1].text == "Fish is what they eat."
    start, end = hits[1].metadata["start"], hits[1].metadata["end"]
    assert DOCUMENTS[0].text[start:end].strip() == hits[1].text


def test_conditions_hold_for_both(recipe: Composite, tmp_path: Path) -> None:
    for words in (0.0, 0.5, 1.0):
        index = Index.create(tmp_path / "i", recipe, DOCUMENTS, Settings(words=words), overwrite=True)
        for query in QUERIES:
            assert all(hit.metadata["year"] == 2010 for hit in index.search(query, 4, {"year": 2010}))
    assert index.search("cats", 4, {"year": 2010}) == []


@pytest.mark.parametrize("cut", ["", "sentences:1"])
def test_changes_are_seen(recipe: Composite, tmp_path: Path, cut: str) -> None:
    index = Index.create(tmp_path / "i", recipe, DOCUMENTS[:2], Settings(cut=cut, words=1.0))
    index.add(DOCUMENTS[2:])
    assert index.search("substrate", 1)[0].text.startswith("The enzyme")
    index.upsert([Record("Cats bark now.", "cats")])
    assert index.search("purr", 1) == []
    assert index.search("cats", 1)[0].text == "Cats bark now."
    assert index.delete(["cats"]) == 1
    assert index.search("cats", 1) == []
    again = Index.open(tmp_path / "i")
    assert [again.search(query, 1) for query in QUERIES] == [index.search(query, 1) for query in QUERIES]


def test_a_table_changed_by_others_is_read_anew(recipe: Composite, tmp_path: Path) -> None:
    Index.create(tmp_path / "i", recipe, DOCUMENTS, Settings(words=1.0))
    Table.open(tmp_path / "i").add([Record("A submarine dives.", "new")])
    assert Index.open(tmp_path / "i").search("submarine", 1)[0].id == "new"


def test_late_chunks(tiny_bert: Path, tmp_path: Path) -> None:
    recipe = parse(f'Transformer("{tiny_bert}") | SpanPool("sentences:1")')
    index = Index.create(tmp_path / "i", recipe, DOCUMENTS, Settings(words=0))
    made = recipe.encode([record.text for record in DOCUMENTS])
    assert len(index) == len(made.values) == 8
    asked = unit_rows(recipe.encode(["rain"], "query").values)
    scores = np.maximum.reduceat((asked @ unit_rows(made.values).T)[0], made.units[:-1])
    hits = index.search("rain", k=4)
    assert [hit.metadata["document"] for hit in hits] == [DOCUMENTS[n].id for n in np.argsort(-scores, kind="stable")]
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(scores)[::-1], atol=1e-5)
    with pytest.raises(RecipeError, match="cuts documents itself"):
        Index.create(tmp_path / "j", recipe, DOCUMENTS, Settings(cut="sentences:2"))


def test_hypothetical_documents_take_the_queries_place(recipe: Composite, tmp_path: Path) -> None:
    index = Index.create(tmp_path / "i", recipe, DOCUMENTS, Settings(words=0))
    nothing = HypotheticalDocuments(RecordedGenerator(), draw=Draw(count=0))
    assert index.search_many(QUERIES, 4, hyde=nothing) == index.search_many(QUERIES, 4)
    gold = HypotheticalDocuments(
        RecordedGenerator({"?": [DOCUMENTS[3].text]}), "{query}", draw=Draw(count=1), include_query=False
    )
    (hits,) = index.search_many(["?"], 1, hyde=gold)
    assert (hits[0].id, round(hits[0].score, 4)) == ("enzyme", 1.0)


def test_what_is_wrong_is_told(recipe: Composite, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="0 to 1"):
        Settings(words=2)
    with pytest.raises(RecipeError, match="tokens:N"):
        Settings(cut="pages")
    with pytest.raises(DataError, match="empty"):
        Index.create(tmp_path / "i", recipe, [])
    index = Index.create(tmp_path / "i", recipe, DOCUMENTS)
    with pytest.raises(RecipeError, match="1 or more"):
        index.search("a", k=0)
    assert index.search_many([]) == []
    (tmp_path / "i" / "retrieval.json").write_text("{")
    with pytest.raises(DataError, match="is damaged"):
        Index.open(tmp_path / "i")


@pytest.mark.parametrize("cut", ["", "sentences:1"])
def test_numbers_are_not_given_twice(recipe: Composite, tmp_path: Path, cut: str) -> None:
    texts = [record.text for record in DOCUMENTS]
    index = Index.create(tmp_path / "i", recipe, texts[:3], Settings(cut=cut, words=0))
    index.delete(["0"])
    index.add(texts[:1])
    index.add(texts[3:])
    names = [name.partition("#")[0] for name in index.table.ids()]
    assert len(set(names)) == 4
    assert {"1", "2"} < set(names)


def test_documents_are_read_as_a_stream(recipe: Composite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from plait.store import table

    monkeypatch.setattr(table, "WRITE", 100)
    monkeypatch.setattr(table, "block_size", lambda recipe: 50)
    for cut in ("", "sentences:1"):
        index = Index.create(tmp_path / "i", recipe, DOCUMENTS[:1], Settings(cut=cut, words=0), overwrite=True)
        stored: list[int] = []

        def many(index: Index = index, stored: list[int] = stored) -> Iterator[str]:
            for number in range(400):
                stored.append(len(index.table))
                yield f"text number {number}"

        index.add(many())
        assert stored[-1] > 100  # the first were written before the last were read


def test_a_stopped_upsert_loses_no_document(recipe: Composite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index.create(tmp_path / "i", recipe, DOCUMENTS, Settings(cut="sentences:1", words=0))

    def killed(self: Table, ids: object) -> int:
        raise KeyboardInterrupt

    shorter = Record("Cats bark now.", "cats")
    with monkeypatch.context() as patch:
        patch.setattr(Table, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            index.upsert([shorter])
    documents = {name.partition("#")[0] for name in Index.open(tmp_path / "i").table.ids()}
    assert documents == {"cats", "dogs", "bank", "enzyme"}
    index.upsert([shorter])
    assert sorted(name for name in index.table.ids() if name.startswith("cats")) == ["cats#0"]


def test_an_upsert_keeps_the_last_of_one_id(recipe: Composite, tmp_path: Path) -> None:
    index = Index.create(tmp_path / "i", recipe, DOCUMENTS, Settings(cut="sentences:1", words=1.0))
    index.upsert([Record("One. Two. Three.", "cats"), Record("Submarines dive.", "cats")])
    assert [hit.text for hit in index.search("submarines", 3)] == ["Submarines dive."]
    assert index.search("three", 3) == []


def test_nothing_left_is_nothing_found(recipe: Composite, tmp_path: Path) -> None:
    for words in (0.0, 0.5, 1.0):
        index = Index.create(tmp_path / "i", recipe, DOCUMENTS, Settings(words=words), overwrite=True)
        assert index.delete([str(record.id) for record in DOCUMENTS]) == 4
        assert index.search("cats", 3) == []
        assert Index.open(tmp_path / "i").search("cats", 3, {"year": 2001}) == []


def test_a_table_that_may_only_be_read_is_searched(
    recipe: Composite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Index.create(tmp_path / "i", recipe, DOCUMENTS, Settings(words=1.0))
    Table.open(tmp_path / "i").add([Record("A submarine dives.", "new")])

    def refused(self: Bm25, folder: Path) -> None:
        raise PermissionError(13, "read-only", str(folder))

    monkeypatch.setattr(Bm25, "save", refused)
    assert Index.open(tmp_path / "i").search("submarine", 1)[0].id == "new"


def test_late_chunks_change_and_tell_what_was_cut(tiny_bert: Path, tmp_path: Path) -> None:
    recipe = parse(f'Transformer("{tiny_bert}", max_length=16) | SpanPool("sentences:1")')
    index = Index.create(tmp_path / "i", recipe, DOCUMENTS, Settings(words=1.0))
    assert index.table.cut_texts == 4
    index.upsert([Record("A cat. It purrs.", "cats"), Record("Rain falls.", "rain")])
    names = sorted(index.table.ids())
    assert [name for name in names if name.startswith(("cats", "rain"))] == ["cats#0", "cats#1", "rain#0"]
    assert index.search("purrs", 1)[0].text == "It purrs."
    assert index.delete(["cats"]) == 2
    with pytest.raises(RecipeError, match="in one go; leave resume out"):
        Index.create(tmp_path / "j", recipe, DOCUMENTS, Settings(words=0), resume=True)
    hyde = HypotheticalDocuments(RecordedGenerator({"rain": ["It is wet."]}), "{query}", draw=Draw(count=1))
    with pytest.raises(RecipeError, match="a mean of hypothetical documents"):
        index.search_many(["rain"], hyde=hyde)


def test_so_many_are_rescored(recipe: Composite, tmp_path: Path) -> None:
    index = Index.create(tmp_path / "i", recipe, DOCUMENTS, Settings(cut="sentences:1", words=0, rescored=6))
    seen: list[int] = []

    class Longest:
        def scores(self, query: str, texts: Sequence[str]) -> np.ndarray:
            seen.append(len(texts))
            return np.array([len(text) for text in texts], np.float32)

    index.settings = Settings(cut="sentences:1", words=0, rescore="any", rescored=6)
    index._scorer = Longest()
    hits = index.search("rain", k=1)
    assert seen == [6]
    assert len(hits) == 1


def test_the_best_are_looked_at_token_by_token(recipe: Composite, tiny_bert: Path, tmp_path: Path) -> None:
    bert = parse(f'Transformer("{tiny_bert}") | Layer(2) | MeanPool()')
    index = Index.create(tmp_path / "i", bert, DOCUMENTS, Settings(words=0, rescore="tokens", rescored=4))
    late = LateInteraction(TokenEncoder(parse(f'Transformer("{tiny_bert}") | Layer(2)')))  # type: ignore[arg-type]
    expected = late.scores("rain", [record.text for record in DOCUMENTS])
    hits = Index.open(tmp_path / "i").search("rain", k=4)
    assert [hit.id for hit in hits] == [DOCUMENTS[n].id for n in np.argsort(-expected, kind="stable")]
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(expected)[::-1], atol=1e-5)
    with pytest.raises(RecipeError, match="no one kind of token vectors"):
        Index.create(tmp_path / "j", recipe + bert, DOCUMENTS, Settings(rescore="tokens"))
    assert not (tmp_path / "j").exists()
    assert index.search("rain", k=1) == hits[:1]


@pytest.mark.parametrize("name", ["Nothing()", 'StaticTable("nowhere")', "MeanPool()"])
def test_who_cannot_look_again_is_refused_before_anything_is_read(recipe: Composite, tmp_path: Path, name: str) -> None:
    def records() -> Iterator[Record]:
        raise AssertionError("was read")
        yield

    with pytest.raises((RecipeError, ModelError)):
        Index.create(tmp_path / "i", recipe, records(), Settings(words=0, rescore=name))
    assert not (tmp_path / "i").exists()
