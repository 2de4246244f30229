"""Made-up labels: a query must be absent from every document, and its document must be the right one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from plait.data import Judgements, Task, read, split
from tests.data.writers import write_table


def answers(task: Task) -> list[tuple[str, list[str]]]:
    """Each query with the texts that it should find."""
    part = task.parts["all"]
    assert isinstance(part, Judgements)
    assert task.corpus is not None
    return [
        (str(task.queries[row]), [str(task.documents[task.corpus[number]]) for number in relevant])
        for row, relevant in zip(part.queries, part.relevant, strict=True)
    ]


def numbered(count: int) -> list[str]:
    return [
        f"Page {n} begins here. It goes on with the number {n * 7}. The last words are {n * n}." for n in range(count)
    ]


def test_titles_find_bodies(tmp_path: Path) -> None:
    titles = [f"Title number {n}" for n in range(40)]
    bodies = [f"{title}. The body of {n}." if n % 2 else f"The body of {n}." for n, title in enumerate(titles)]
    task = read(write_table(tmp_path / "t.csv", {"title": titles, "text": bodies}))
    assert "titles are the queries" in str(task.proxy)
    assert dict(answers(task)) == {f"Title number {n}": [f"The body of {n}."] for n in range(40)}


def test_equal_titles_find_all_their_bodies(tmp_path: Path) -> None:
    titles = [f"Title {n // 2}" for n in range(60)]
    task = read(write_table(tmp_path / "t.csv", {"title": titles, "text": [f"Body {n}." for n in range(60)]}))
    assert all(len(found) == 2 for _, found in answers(task))


def test_a_sentence_finds_the_document_it_was_taken_from(tmp_path: Path) -> None:
    texts = numbered(60)
    (tmp_path / "t.txt").write_text("\n".join([*texts, "A single sentence."]) + "\n")
    task = read(tmp_path / "t.txt")
    assert "sentence taken out" in str(task.proxy)
    assert len(task.queries) == 60
    for query, (document,) in answers(task):
        assert not any(query in str(text) for text in task.documents)
        assert sorted([query, *document.split(". ")], key=len)
        number = next(n for n, text in enumerate(texts) if query in text)
        assert set(document.replace(".", "").split()) <= set(texts[number].replace(".", "").split())
    assert "1 document of one sentence passed over while queries were made" in task.notes


def test_sentences_that_stand_in_several_documents_are_no_queries(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(
        "".join(f"All rights are reserved here. Chapter {n} of the work.\n" for n in range(50))
    )
    assert not any("rights" in query for query, _ in answers(read(tmp_path / "t.txt")))


def test_repeated_documents_are_all_right(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("\n".join(numbered(30) * 2) + "\n")
    task = read(tmp_path / "t.txt")
    assert task.corpus is not None
    assert len(task.corpus) == 60
    assert all(len(found) == 2 and len(set(found)) == 1 for _, found in answers(task))
    assert "30 documents with the same text as another one" in task.notes


def test_damaged_copies_find_short_texts(tmp_path: Path) -> None:
    texts = [f"blue chair {n} with arms" for n in range(80)]
    (tmp_path / "t.txt").write_text("\n".join(texts) + "\n")
    task = read(tmp_path / "t.txt")
    assert "robustness, not meaning" in str(task.proxy)
    assert not set(task.queries) & set(texts)
    for query, (found,) in answers(task):
        assert abs(len(query) - len(found)) <= 6


def test_queries_are_sampled_and_the_seed_decides(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("\n".join(numbered(800)) + "\n")
    task = read(tmp_path / "t.txt")
    assert len(task.queries) == 500
    assert task.queries == read(tmp_path / "t.txt").queries
    assert task.queries != read(tmp_path / "t.txt", seed=1).queries


def test_a_proxy_is_judged_in_folds(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("\n".join(numbered(50)) + "\n")
    protocol = split(read(tmp_path / "t.txt"))
    tested = np.concatenate([fold.test.queries for fold in protocol.folds if isinstance(fold.test, Judgements)])
    assert sorted(tested.tolist()) == list(range(50))
