"""Chunks pooled after the whole text was read: which tokens are whose, and what the vectors are."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plait
from plait import plan
from plait.bank import Bank
from plait.encoders.hosts import Host
from plait.evaluation import Embedded, judge
from plait.pooling.spans import by_sentences, by_tokens
from plait.step import unit_rows
from plait.types import DataError, Floats, RecipeError, Vectors
from tests.tiny import SENTENCES

LONG = "Cats and dogs are pets. The lazy fox jumps over a card. Rain is expected."
TEXTS = [LONG, "Word", "", "  \n ", SENTENCES[2], SENTENCES[5]]


def by_hand(host: plait.Transformer, text: str, chunks: list[tuple[int, int]]) -> list[Floats]:
    """Each chunk's mean, token by token: [CLS] to the first, [SEP] to the last."""
    (encoding,) = host._plain.encode([text], offsets=True)
    states = host.transform([text]).values[-1]
    groups: list[list[int]] = [[] for _ in chunks]
    for token, (_, end) in enumerate(encoding.offsets, start=1):
        for group, (first, last) in zip(groups, chunks, strict=True):
            if first <= end - 1 < last:
                group.append(token)
    groups[0].insert(0, 0)
    groups[-1].append(len(states) - 1)
    return [states[group].mean(axis=0) for group in groups]


def vectors(recipe: plait.Chain, texts: list[str]) -> Vectors:
    out = recipe.encode(texts)
    assert isinstance(out, Vectors)
    return out


@pytest.mark.parametrize("chunks", ["sentences:1", "sentences:2", 4, 7])
def test_a_chunk_is_the_mean_of_its_tokens_in_the_whole_text(tiny_bert: Path, chunks: str | int) -> None:
    host = plait.Transformer(str(tiny_bert))
    found = vectors(host | plait.SpanPool(chunks), [LONG])
    assert found.spans is not None
    expected = by_hand(host, LONG, [(a, b) for a, b in found.spans.tolist()])
    assert len(expected) > 1
    np.testing.assert_allclose(found.values, expected, atol=1e-5)


def test_built_in_chunks_are_the_whole_text(tiny_bert: Path) -> None:
    host = plait.Transformer(str(tiny_bert))
    for chunks in ("sentences:1", 3):
        found = vectors(host | plait.SpanPool(chunks), TEXTS)
        assert found.units is not None and found.spans is not None
        for number, text in enumerate(TEXTS):
            spans = found.spans[found.units[number] : found.units[number + 1]].tolist()
            assert "".join(text[a:b] for a, b in spans) == text


def test_tokens_are_counted(tiny_bert: Path) -> None:
    host = plait.Transformer(str(tiny_bert))
    tokens = host.spanned([LONG])
    chunked = plait.SpanPool(5).chunked(tokens, [LONG])
    sizes = np.diff(chunked.tokens.bounds)
    assert sizes.sum() == len(tokens.ids)
    assert sizes[0] == 6  # [CLS] comes on top
    assert set(sizes[1:-1]) == {5}


def test_one_chunk_is_the_whole_text(tiny_bert: Path, tiny_decoder: Path) -> None:
    for folder in (tiny_bert, tiny_decoder):
        for prompt in (None, "query: {text}", "Say {text} again"):
            host = plait.Transformer(str(folder), prompts=prompt)
            for chunks in (10_000, lambda text: [(0, len(text))]):
                found = (host | plait.SpanPool(chunks)).encode(TEXTS).values
                np.testing.assert_allclose(found, (host | plait.MeanPool()).encode(TEXTS).values, atol=1e-6)


def test_a_repeated_text_is_cut_where_it_is_pooled(tiny_decoder: Path) -> None:
    host = plait.Transformer(str(tiny_decoder), prompts="{text} again: {text:pool}")
    tokens = host.spanned(["a card. a fox."])
    chunked = plait.SpanPool("sentences:1").chunked(tokens, ["a card. a fox."])
    assert chunked.spans.tolist() == [[0, 8], [8, 14]]
    assert sorted(chunked.tokens.index) == sorted(tokens.index)


def test_context_reaches_a_chunk_late_and_only_late(tiny_bert: Path) -> None:
    host = plait.Transformer(str(tiny_bert))
    changed = LONG.replace("Cats", "Rain")
    late = [vectors(host | plait.SpanPool("sentences:1"), [text]).values for text in (LONG, changed)]
    assert np.abs(late[0][1] - late[1][1]).max() > 1e-4
    alone = [(host | plait.MeanPool()).encode([text[24:]]).values for text in (LONG, changed)]
    np.testing.assert_array_equal(*alone)


def test_chunks_may_overlap_and_leave_parts_out(tiny_bert: Path) -> None:
    host = plait.Transformer(str(tiny_bert))
    spans = [(5, 13), (9, 22), (24, 27)]  # "and dogs", "dogs are pets", "The"
    found = vectors(host | plait.SpanPool(lambda text: spans), [LONG])
    assert found.spans is not None and found.spans.tolist() == [list(span) for span in spans]
    (encoding,) = host._plain.encode([LONG], offsets=True)
    states = host.transform([LONG]).values[-1]
    for vector, (first, last) in zip(found.values, spans, strict=True):
        rows = [n for n, (_, end) in enumerate(encoding.offsets, start=1) if first <= end - 1 < last]
        np.testing.assert_allclose(vector, states[rows].mean(axis=0), atol=1e-5)


def test_chunk_sizes_and_whole_texts_share_one_pass(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host, run, rows = plait.Transformer(str(tiny_bert)), Host.states, list[int]()
    pools = [plait.MeanPool(), plait.MaxPool(), *(plait.SpanPool(size) for size in (2, 3, "sentences:1"))]
    recipes = [host | plait.Layer(layer) | pool for layer in (1, 3) for pool in pools]
    alone = [recipe.encode(TEXTS).values for recipe in recipes]

    def counted(self: Host, ids: np.ndarray, *more: object) -> list[Floats]:
        rows.append(len(ids))
        return run(self, ids, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(Host, "states", counted)
    found, reports = plan.run([strand for recipe in recipes for strand in recipe.strands()], TEXTS)
    assert sum(rows) == len(TEXTS)
    (report,) = reports.values()
    assert report.encoded == len(TEXTS)
    assert len(report.chunked) == 6
    for recipe, expected in zip(recipes, alone, strict=True):
        np.testing.assert_allclose(found[str(recipe)], expected, atol=2e-6)


def test_banked_chunks_are_found_again_by_where_they_were_cut(tiny_bert: Path, tmp_path: Path) -> None:
    host, bank = plait.Transformer(str(tiny_bert)), Bank(tmp_path)
    for cut in (10, 30):
        spans = [(0, cut), (cut, len(LONG))]
        recipe = host | plait.SpanPool(lambda text, spans=spans: spans)  # type: ignore[misc]
        expected = recipe.encode([LONG]).values
        for _ in range(2):
            np.testing.assert_array_equal(recipe.encode([LONG], bank=bank).values, expected)
    both = [host | plait.SpanPool(3), host | plait.MeanPool()]
    for recipe in both:
        np.testing.assert_array_equal(recipe.encode(TEXTS, bank=bank).values, recipe.encode(TEXTS).values)
        np.testing.assert_array_equal(recipe.encode(TEXTS, bank=bank).values, recipe.encode(TEXTS).values)


def test_equal_texts_have_their_chunks_each(tiny_bert: Path) -> None:
    recipe = plait.Transformer(str(tiny_bert)) | plait.SpanPool("sentences:1")
    once, thrice = vectors(recipe, [LONG, "Word"]), vectors(recipe, [LONG, "Word", LONG])
    assert once.units is not None and thrice.units is not None and thrice.spans is not None
    assert (once.units.tolist(), thrice.units.tolist()) == ([0, 3, 4], [0, 3, 4, 7])
    np.testing.assert_array_equal(thrice.values, once.values[[0, 1, 2, 3, 0, 1, 2]])
    assert len(thrice.spans) == 7


def test_queries_are_never_cut(tiny_bert: Path) -> None:
    host = plait.Transformer(str(tiny_bert))
    found = (host | plait.SpanPool(2)).encode([LONG], role="query")
    assert found.units is None
    np.testing.assert_array_equal(found.values, (host | plait.MeanPool()).encode([LONG], role="query").values)


def test_chunks_beyond_the_limit_are_dropped_and_counted(tiny_bert: Path) -> None:
    host = plait.Transformer(str(tiny_bert), max_length=12)
    recipe = host | plait.SpanPool("sentences:1")
    found = vectors(recipe, [LONG])
    assert found.spans is not None and len(found.spans) < 3
    assert np.isfinite(found.values).all()
    _, reports = plan.run(recipe.strands(), [LONG])
    (report,) = reports.values()
    (chunked,) = report.chunked.values()
    assert chunked.empty == 3 - len(found.spans)
    assert report.cut_items == 1
    whole = host.transform([LONG]).values[-1]
    weighted = found.values * np.diff(chunked.tokens.bounds)[:, None]
    np.testing.assert_allclose(weighted.sum(axis=0) / len(whole), whole.mean(axis=0), atol=1e-5)  # [SEP] is somebody's


@given(length=st.integers(1, 60), limit=st.integers(4, 20), data=st.data())
@settings(max_examples=40, deadline=None)
def test_long_texts_are_read_in_windows(tiny_bert: Path, length: int, limit: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, limit - 3))
    text = " ".join(itertools.islice(itertools.cycle("abcdefghij"), length))
    host = plait.Transformer(str(tiny_bert), max_length=limit, on_overflow="chunk", overlap=overlap)
    tokens = host.spanned([text])
    assert tokens.spans is not None
    chunked = plait.SpanPool(1).chunked(tokens, [text])
    assert chunked.spans[:, 0].tolist() == [2 * n for n in range(length)]
    content = limit - 2
    plain = plait.Transformer(str(tiny_bert)).tokenize([text]).ids[1:-1]
    windows = [0, *range(content - overlap, max(1, length - overlap), content - overlap)]
    expected = np.concatenate([[2, *plain[start : start + content], 3] for start in windows])
    np.testing.assert_array_equal(tokens.ids, expected)
    for number in range(length):  # each token is read in the window where more stands before it
        (entry,) = [
            i for i in chunked.tokens.index[slice(*chunked.tokens.bounds[number : number + 2])] if tokens.ids[i] > 4
        ]
        window, inside = divmod(int(entry), limit)
        assert windows[window] + inside - 1 == number
        assert window == 0 or inside > overlap
    pooled = host.tokenize([text]).index
    assert np.count_nonzero(tokens.ids[pooled] > 4) == length


def test_short_texts_do_not_know_of_windows(tiny_bert: Path) -> None:
    plain, long = (
        plait.Transformer(str(tiny_bert), on_overflow=how, overlap=overlap)
        for how, overlap in (("report", 0), ("chunk", 8))
    )
    one, two = (vectors(host | plait.SpanPool(4), SENTENCES) for host in (plain, long))
    np.testing.assert_array_equal(one.values, two.values)


def test_chunks_of_tokens_end_where_reading_ended(tiny_bert: Path) -> None:
    text = " ".join("abcdefghijklmnop")
    found = vectors(plait.Transformer(str(tiny_bert), max_length=12) | plait.SpanPool(4), [text, "a b"])
    assert found.spans is not None
    assert [text[a:b] for a, b in found.spans[:-1].tolist()] == ["a b c d ", "e f g h ", "i j"]


def test_steps_learn_from_chunks(tiny_bert: Path) -> None:
    recipe = (plait.Transformer(str(tiny_bert)) | plait.SpanPool(2) | plait.Center()).fit(TEXTS)
    found = recipe.encode(TEXTS).values
    assert len(found) > len(TEXTS)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-5)


def test_a_document_scores_as_high_as_its_best_chunk(tiny_bert: Path, tmp_path: Path) -> None:
    task = _retrieval(tmp_path)
    recipe = plait.Transformer(str(tiny_bert)) | plait.SpanPool("sentences:1")
    documents, queries = vectors(recipe, list(task.documents)), recipe.encode(list(task.queries), role="query")
    assert documents.units is not None
    similar = unit_rows(queries.values) @ unit_rows(documents.values).T
    best = [[row[a:b].max() for a, b in itertools.pairwise(documents.units.tolist())] for row in similar]
    ranks = [1 + sum(other > scores[n] for other in scores) for n, scores in enumerate(best)]
    expected = np.mean([1 / np.log2(rank + 1) for rank in ranks])
    assert judge(recipe, task).score.value == pytest.approx(expected)
    coded = recipe | plait.Int8()
    assert judge(coded, task).score.value == pytest.approx(expected, abs=0.2)


def test_find_takes_chunks_for_retrieval(tiny_bert: Path, tiny_table: Path, tmp_path: Path) -> None:
    from plait.selection.space import Space

    space = Space(
        (str(tiny_bert), str(tiny_table)),
        layers=(3,),
        mixes=(),
        trained=(),
        chunks=(),
        poolings=("MeanPool()", 'SpanPool("sentences:1")'),
        transforms=("", "Center()"),
        widths=(8,),
        quantisers=("", "Int8()"),
    )
    result = plait.find(_retrieval(tmp_path), space=space, out=tmp_path / "run")
    found = {c.text: c for c in result.selection.candidates}
    cut = [c for text, c in found.items() if "SpanPool" in text and "Pca" not in text and "Int8" not in text]
    assert len(cut) == 2
    assert all(32 * 4 < c.bytes < 3 * 32 * 4 for c in cut)
    assert not any("SpanPool" in text for text in result.selection.parts)


def test_mistakes_are_named(tiny_bert: Path, tiny_table: Path, tmp_path: Path) -> None:
    host = plait.Transformer(str(tiny_bert))
    for wrong in (0, -3, "words", "sentences:0", "sentences:x", True, 2.5, None):
        with pytest.raises(RecipeError, match="expected tokens a chunk"):
            (host | plait.SpanPool(wrong)).encode([LONG])  # type: ignore[arg-type]
    for wrong, said in (
        ([(0, 500)], r"text 0: the chunk \(0, 500\) lies outside its"),
        ([(-1, 4)], "outside"),
        ([(9, 4)], "outside"),
        ([], "gave none"),
        ([(23, 24)], "no token that was read"),
        ([(1, 2, 3)], "pairs of whole numbers"),
        ([(0.5, 2)], "pairs of whole numbers"),
    ):
        with pytest.raises(DataError, match=said):
            (host | plait.SpanPool(lambda text, wrong=wrong: wrong)).encode([LONG])  # type: ignore[misc]
    with pytest.raises(DataError, match="tuples of words"):
        (host | plait.SpanPool()).encode([("a", "b")])
    with pytest.raises(RecipeError, match="where its tokens stand"):
        (plait.StaticTable(str(tiny_table)) | plait.SpanPool()).encode([LONG])
    with pytest.raises(RecipeError, match="text:sentence"):
        (plait.Transformer(str(tiny_bert), prompts="{text:sentence} so") | plait.SpanPool()).encode([LONG])
    with pytest.raises(RecipeError, match="overlap is 5"):
        (plait.Transformer(str(tiny_bert), overlap=5) | plait.MeanPool()).encode([LONG])
    for other in (host | plait.MeanPool(), host | plait.SpanPool(3)):
        with pytest.raises(RecipeError, match="different chunks"):
            ((host | plait.SpanPool(2)) + other).encode([LONG])
    with pytest.raises(RecipeError, match=r"cannot be saved.*sentences:5"):
        plait.save(host | plait.SpanPool(lambda text: [(0, 1)]), tmp_path / "model")
    with pytest.raises(DataError, match="different chunks"):
        Embedded.concat(
            [Embedded(np.eye(2, dtype=np.float32), units=np.array([0, 2])), Embedded(np.eye(2, dtype=np.float32))],
            [1, 1],
        )
    with pytest.raises(RecipeError, match="one vector a chunk, but a sts task"):
        judge(host | plait.SpanPool(2), plait.read("demo:stsb"))


def test_sentences() -> None:
    text = 'He said: "Stop!" She did. Why?\nA list\n  of lines… 3.14 is a number。漢字。'
    found = [text[a:b] for a, b in by_sentences(text, 1).tolist()]
    assert found == [
        'He said: "Stop!" ',
        "She did. ",
        "Why?\n",
        "A list\n  ",
        "of lines… ",
        "3.14 is a number。",
        "漢字。",
    ]
    assert [text[a:b] for a, b in by_sentences(text, 3).tolist()] == ["".join(found[n : n + 3]) for n in (0, 3, 6)]


@given(text=st.text(max_size=60), count=st.integers(1, 4))
def test_sentences_are_the_whole_text(text: str, count: int) -> None:
    assert "".join(text[a:b] for a, b in by_sentences(text, count).tolist()) == text


def test_tokens_and_the_space_before_them() -> None:
    spans = np.array([[0, 2], [3, 5], [6, 7], [8, 9], [9, 10]])
    assert by_tokens(spans, 2, 10).tolist() == [[0, 6], [6, 9], [9, 10]]


def test_text_round_trips() -> None:
    for text in (
        'Transformer("x") | SpanPool(32)',
        'Transformer("x") | SpanPool("sentences:5")',
        'Transformer("x") | SpanPool()',
    ):
        assert str(plait.parse(text)) == text


def _retrieval(folder: Path) -> plait.data.tasks.Task:
    rows = ["query\tdocument"]
    pairs = zip([SENTENCES[0], SENTENCES[3], "a card", "rain"], [LONG, *SENTENCES[1:3], SENTENCES[5]], strict=True)
    rows += [f"{query}\t{document} {query}" for query, document in pairs]
    path = folder / "pairs.tsv"
    path.write_text("\n".join(rows) + "\n")
    return plait.read(path, task="retrieval")
