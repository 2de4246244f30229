"""Tagged sentences in columns."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.data import Tags, Task, read, stream_texts
from plait.types import DataError

TREEBANK = (
    "# newdoc\n# sent_id = 1\n# text = Du pain #1.\n"
    "1-2\tDu\t_\t_\t_\t_\t_\t_\t_\t_\n"
    "1\tDe\tde\tADP\tP\t_\t3\tcase\t_\t_\n"
    "2\tle\tle\tDET\tD\t_\t3\tdet\t_\t_\n"
    "3\tpain\tpain\tNOUN\tN\t_\t0\troot\t_\t_\n"
    "3.1\tmangé\t_\tVERB\t_\t_\t_\t_\t_\t_\n"
    "4\t#1\t#1\tSYM\tS\t_\t3\tdep\t_\t_\n"
    "5\t.\t.\tPUNCT\tF\t_\t3\tpunct\t_\t_\n\n"
)
WORD = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"], exclude_characters="\ufeff"), min_size=1
)


def sentences(task: Task, part: str = "all") -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    examples = task.parts[part]
    assert isinstance(examples, Tags)
    return [(tuple(task.documents[r]), tags) for r, tags in zip(examples.rows, examples.tags, strict=True)]


def test_treebank(tmp_path: Path) -> None:
    path = tmp_path / "t.conllu"
    path.write_text(TREEBANK * 2)
    words = ("De", "le", "pain", "#1", ".")
    task = read(path)
    assert task.kind == "tagging"
    assert len(task.documents) == 1
    assert sentences(task) == [(words, ("ADP", "DET", "NOUN", "SYM", "PUNCT"))] * 2
    assert sentences(read(path, columns={"tag": "xpos"}))[0][1] == ("P", "D", "N", "S", "F")
    assert sentences(read(path, columns={"word": "lemma"}))[0][0] == ("de", "le", "pain", "#1", ".")
    with pytest.raises(DataError, match="'pos' as the tag; expected id, form"):
        read(path, columns={"tag": "pos"})


def test_words_and_tags(tmp_path: Path) -> None:
    path = tmp_path / "t.conll"
    path.write_text("-DOCSTART- O\n\nNew\tB-LOC\nYork\tI-LOC\n\n\n# O\nsings O")
    assert sentences(read(path)) == [(("New", "York"), ("B-LOC", "I-LOC")), (("#", "sings"), ("O", "O"))]


def test_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.bio"
    path.write_text("He PRP B-NP\nsang VBD B-VP\n")
    assert sentences(read(path))[0][1] == ("B-NP", "B-VP")
    assert sentences(read(path, columns={"tag": 1}))[0][1] == ("PRP", "VBD")


def test_numbered_words_with_comments_in_a_tsv_file(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(
        "#\thttp://a.example\t[2009]\n1\tBerlin\tB-LOC\tO\n2\truft\tO\tO\n\n#\tx\ty\n1\tJa\tO\tO\n2\t#\tO\tB-X\n\n"
    )
    assert sentences(read(path))[0][0] == ("Berlin", "ruft")
    assert sentences(read(path, columns={"tag": 2}))[0][1] == ("B-LOC", "O")
    assert sentences(read(path))[1] == (("Ja", "#"), ("O", "B-X"))


def test_lines_with_too_few_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.conll"
    path.write_text("He O\nsang\n")
    with pytest.raises(DataError, match="line 2 has 1 columns; expected at least 2"):
        read(path)


def test_one_tag(tmp_path: Path) -> None:
    path = tmp_path / "t.conll"
    path.write_text("He O\nsang O\n")
    with pytest.raises(DataError, match="every word has the tag 'O'"):
        read(path)


def test_a_tagged_file_is_no_classification(tmp_path: Path) -> None:
    path = tmp_path / "t.conllu"
    path.write_text(TREEBANK)
    with pytest.raises(DataError, match="can be read as tagging"):
        read(path, "classification")


def test_words_and_tags_of_unequal_number(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"tokens": ["a", "b"], "tags": ["X", "Y"]}\n{"tokens": ["a"], "tags": ["X", "Y"]}\n')
    with pytest.raises(DataError, match="line 2: 1 words and 2 tags"):
        read(path)


def test_texts_of_tagged_sentences(tmp_path: Path) -> None:
    path = tmp_path / "t.conllu"
    path.write_text(TREEBANK)
    assert list(stream_texts(path)) == ["De le pain #1 ."]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.lists(st.tuples(WORD, st.sampled_from(["O", "B-X"])), min_size=1, max_size=5), min_size=1, max_size=5),
    st.sampled_from("\t "),
)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list[list[tuple[str, str]]], between: str) -> None:
    rows = [*rows, [("end", "O"), ("end", "B-X")]]
    first = {row[0][0] for row in rows}
    if any(word.startswith(("#", "-DOCSTART-")) for word in first):
        return
    path = tmp_path_factory.getbasetemp() / "round.conll"
    path.write_text("\n\n".join("\n".join(f"{w}{between}{t}" for w, t in row) for row in rows) + "\n", newline="")
    expected = [(tuple(w for w, _ in row), tuple(t for _, t in row)) for row in rows]
    assert sentences(read(path)) == expected
