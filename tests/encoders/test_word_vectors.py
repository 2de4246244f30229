"""Files of word vectors in every format, whole and damaged."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plait.encoders.static import StaticTable
from plait.encoders.word_vectors import word_table
from plait.pooling import MeanPool
from plait.types import DataError, ModelError

WORDS = ["the", "cat", "Sat", "on", "naïve", "日本", "3.14"]
VECTORS = np.random.default_rng(0).normal(size=(len(WORDS), 4)).round(4).astype(np.float32)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAIT_CACHE", str(tmp_path / "cache"))


def lines(words: list[str] = WORDS, vectors: np.ndarray = VECTORS) -> list[str]:
    return [" ".join([word, *map(str, vector.tolist())]) for word, vector in zip(words, vectors, strict=True)]


def binary(words: list[str], vectors: np.ndarray, newline: bytes = b"\n") -> bytes:
    rows = [
        word.encode() + b" " + vector.astype("<f4").tobytes() + newline
        for word, vector in zip(words, vectors, strict=True)
    ]
    return f"{len(words)} {vectors.shape[1]}\n".encode() + b"".join(rows)


GLOVE = "\n".join(lines()).encode() + b"\n"
TEXT = f"{len(WORDS)} 4\n".encode() + GLOVE
FORMATS = {
    "glove.txt": GLOVE,
    "word2vec.txt": TEXT,
    "fasttext.vec": TEXT.replace(b"\n", b" \n").replace(b"4 \n", b"4\n", 1),
    "crlf.txt": TEXT.replace(b"\n", b"\r\n"),
    "word2vec.bin": binary(WORDS, VECTORS),
    "no_newlines.bin": binary(WORDS, VECTORS, b""),
    "word2vec.bin.gz": gzip.compress(binary(WORDS, VECTORS)),
    "glove.txt.gz": gzip.compress(GLOVE),
}


@pytest.mark.parametrize("name", FORMATS)
def test_words_and_vectors_are_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(FORMATS[name])
    for _ in range(2):  # the second time from the prepared table
        words, table = word_table(tmp_path / name)
        assert words == WORDS
        assert isinstance(table, np.memmap)
        assert np.array_equal(table[:-1], VECTORS)
        assert not table[-1].any()


@given(
    words=st.lists(
        st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=5), min_size=1, unique=True
    ),
    width=st.integers(2, 5),
    form=st.sampled_from(["header", "none", "binary"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_words(tmp_path: Path, words: list[str], width: int, form: str) -> None:
    vectors = np.random.default_rng(len(words)).normal(size=(len(words), width)).astype(np.float32)
    rows = lines(words, vectors)
    text = "\n".join([f"{len(words)} {width}", *rows] if form == "header" else rows)
    (tmp_path / "any").write_bytes(binary(words, vectors) if form == "binary" else text.encode())
    read, table = word_table(tmp_path / "any")
    assert read == words
    assert np.array_equal(table[:-1], vectors)


def test_words_with_spaces(tmp_path: Path) -> None:
    (tmp_path / "glove.txt").write_text("one 1 2\n. . . 3 4\nnew york 5 6\n")
    words, table = word_table(tmp_path / "glove.txt")
    assert words == ["one", ". . .", "new york"]
    assert table[:-1].tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a 1 2 3\nb 1 2\n", "line 2: expected a word and 3 numbers"),
        (b"a 1 2 3\nb 1 2 3\nc 1 2 3 4\n", "line 3: expected 3 numbers, found 4"),
        (b"2 3\na 1 2 3\nb 1 x 3\n", "line 3"),
        (b"3 3\na 1 2 3\nb 1 2 3\n", "holds 2 vectors, its header promises 3"),
        (b"1 3\na 1 2 3\nb 1 2 3\n", "holds 2 vectors, its header promises 1"),
        (b"three 3\na 1 2 3\n", "line 2"),
        (b"just some words here\n", "line 1: expected a word and 3 numbers"),
        (b"word\n", "line 1: expected a word and 1 numbers"),
        (b"", "holds no vectors"),
        (b"0 3\n", "holds no vectors"),
        (binary(WORDS, VECTORS)[:-9], "ends at word 7 of 7"),
        (b"8 4\n" + binary(WORDS, VECTORS)[4:], "ends at word 8 of 8"),
        (b"3 4\n" + binary(WORDS, VECTORS)[4:], "goes on after the 3 words"),
        (b"2 4\n" + b"\xff" * 3000, "no end of the word"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "vectors").write_bytes(data)
    with pytest.raises(DataError, match=message):
        word_table(tmp_path / "vectors")
    assert not list((tmp_path / "cache" / "weights" / "tables").iterdir())


def test_repeated_words_and_nan_are_counted(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("a 1 2\nb nan 1\na 5 6\nc 3 4\n")
    with pytest.warns(UserWarning) as caught:
        words, table = word_table(tmp_path / "v.txt")
    assert words == ["a", "b", "c"]
    assert table.tolist() == [[1, 2], [0, 0], [3, 4], [0, 0]]
    assert any("1 of 3 rows hold NaN" in str(one.message) for one in caught)
    assert any("1 words come more than once" in str(one.message) for one in caught)


def test_nothing_but_nan(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("a nan 2\nb nan 1\n")
    with pytest.raises(ModelError, match="no row of finite numbers"):
        word_table(tmp_path / "v.txt")


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("a 1 2\n")
    assert word_table(tmp_path / "v.txt")[1][0].tolist() == [1, 2]
    (tmp_path / "v.txt").write_text("a 3 4 5\n")
    assert word_table(tmp_path / "v.txt")[1][0].tolist() == [3, 4, 5]


def test_texts_are_means_of_their_known_words(tmp_path: Path) -> None:
    (tmp_path / "glove.txt").write_bytes(GLOVE)
    recipe = StaticTable(str(tmp_path / "glove.txt")) | MeanPool()
    got = recipe.encode(["The cat sat, NAÏVE!", "nothing known", ""]).values
    expected = VECTORS[[0, 1, 4]].mean(axis=0)  # "sat" is written "Sat" in the table, and lower case is not guessed up
    assert np.allclose(got[0], expected, atol=1e-6)
    assert not got[1:].any()


def test_unknown_words_are_counted_and_many_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / "glove.txt").write_bytes(GLOVE)
    table = StaticTable(str(tmp_path / "glove.txt"))
    assert table.unknown(["the dog Sat on", ""]) == (1, 4)
    assert table.unknown([("the", "mat"), ("cat",)]) == (1, 3)
    with pytest.warns(UserWarning, match="knows 50 of 150 words"):
        table.tokenize(["the dog barks"] * 50)
