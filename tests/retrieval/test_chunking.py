from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait import parse
from plait.retrieval import Passages, by_document
from plait.store import Hit, Record
from plait.types import DataError, RecipeError
from tests.tiny import SENTENCES

DOCUMENT = "Intro here.\n# Cats\nThey purr. They sleep.\n## Food\nThey eat fish.\n# Dogs\nThey bark."


@given(
    st.text(alphabet=st.sampled_from("ab .!?\n#。"), max_size=60),
    st.sampled_from(["sentences:1", "sentences:3", "headings"]),
)
def test_passages_are_the_document_in_order(text: str, cut: str) -> None:
    spans = Passages(cut).spans(text).tolist()
    assert all(0 <= start <= end <= len(text) for start, end in spans)
    assert [start for start, _ in spans] == sorted(start for start, _ in spans)
    kept = "".join(text[start:end] for start, end in spans)
    assert "".join(kept.split()) == "".join(text.split())  # blanks alone may be left out


def test_tokens_are_those_of_the_model(tiny_bert: Path) -> None:
    recipe = parse(f'Transformer("{tiny_bert}") | MeanPool()')
    encoder = next(recipe.strands()).encoder
    text = " ".join(SENTENCES[:6])
    (encoding,) = encoder.reader.plain.encode([text], offsets=True)  # type: ignore[attr-defined]
    starts = [start for start, _ in encoding.offsets]
    spans = Passages("tokens:7").spans(text, encoder).tolist()  # type: ignore[arg-type]
    assert len(spans) > 3
    for start, end in spans[:-1]:
        assert sum(start <= place < end for place in starts) == 7


def test_headings_stand_in_front() -> None:
    passages = list(Passages("headings", "title").of([Record(DOCUMENT, "d", {"title": "Pets", "year": 2020})]))
    assert [passage.text.splitlines()[0] for passage in passages] == [
        "Pets",
        "Pets > Cats",
        "Pets > Cats > Food",
        "Pets > Dogs",
    ]
    assert [passage.id for passage in passages] == ["d#0", "d#1", "d#2", "d#3"]
    assert passages[2].metadata == {"title": "Pets", "year": 2020, "document": "d", "start": 42, "end": 65}
    assert DOCUMENT[42:65].startswith("## Food")
    assert next(iter(Passages("headings").of([Record(DOCUMENT, "d")]))).text == "Intro here."


def test_a_function_may_cut() -> None:
    cut = Passages(lambda text: [(0, 5), (3, len(text))])
    assert [passage.text for passage in cut.of([Record("0123456789", "x")])] == ["01234", "3456789"]


def test_a_document_counts_once() -> None:
    hits = [Hit(f"{d}#{n}", "", 1.0 - n / 10, {"document": d}) for n, d in enumerate("aabca")]
    assert [hit.id for hit in by_document(hits, 2)] == ["a#0", "b#2"]


@pytest.mark.parametrize("cut", ["tokens", "tokens:0", "pages:3", "sentences:-1", "", "headings:2"])
def test_other_cuts_are_refused(cut: str) -> None:
    with pytest.raises(RecipeError, match='expected "tokens:N"'):
        Passages(cut)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(RecipeError, match='expected "title"'):
        Passages("headings", "summary")
    with pytest.raises(RecipeError, match="give the recipe"):
        Passages("tokens:5").spans("a text")
    with pytest.raises(DataError, match="has no id"):
        list(Passages("headings").of([Record("text")]))
