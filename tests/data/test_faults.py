"""What is wrong with data is mended and counted, or refused with a message that says what to do."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.data import Labels, Pairs, read, split, stream_texts
from plait.types import DataError
from tests.data.writers import ENDINGS, write_table

FORMATS = (".csv", ".tsv", ".jsonl", ".parquet", ".txt", ".conll", ".conllu")


def refused(path: Path, *words: str, **options: object) -> None:
    with pytest.raises(DataError) as caught:
        read(path, **options)  # type: ignore[arg-type]
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("form", FORMATS)
def test_empty_file(tmp_path: Path, form: str, packed: str) -> None:
    path = tmp_path / f"t{form}{packed}"
    path.write_bytes(gzip.compress(b"") if packed else b"")
    refused(path, path.name.split(".")[0])


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet"])
def test_header_only(tmp_path: Path, ending: str) -> None:
    refused(write_table(tmp_path / f"t{ending}", {"text": [], "label": []}), "holds no row that can be used")


@pytest.mark.parametrize("ending", ENDINGS)
def test_rows_without_text_or_label(tmp_path: Path, ending: str) -> None:
    path = write_table(tmp_path / f"t{ending}", {"text": ["a", " ", "b", "c"], "label": ["x", "x", "y", ""]})
    task = read(path)
    assert len(task.parts["all"]) == 2
    assert task.notes[:2] == ("1 row without text dropped", "1 row without label dropped")


def test_missing_cells(tmp_path: Path) -> None:
    rows = [
        {"text": "a", "label": 1},
        {"text": None, "label": 2},
        {"text": "b", "label": None},
        {"text": "c", "label": 2},
    ]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    part = read(tmp_path / "t.jsonl").parts["all"]
    assert isinstance(part, Labels)
    assert part.labels == ("1", "2")


def test_empty_documents_of_a_corpus_are_kept_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text(
        "".join(f"First sentence of {n} here. Second sentence of {n} there.\n" for n in range(30)) + "\n \n"
    )
    task = read(path)
    assert task.corpus is not None
    assert len(task.corpus) == 32
    assert "2 documents without text kept as empty" in task.notes


def test_bytes_that_are_no_utf8(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_bytes(b"text\tlabel\ncaf\xe9\ta\nb\xff\xfe\tb\n")
    task = read(tmp_path / "t.tsv")
    assert list(task.documents) == ["caf\ufffd", "b\ufffd"]
    assert "2 texts with bytes or half characters that are not Unicode, replaced by U+FFFD" in task.notes


def test_lone_surrogates(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"text": "a\\ud800b", "label": "x"}\n{"text": "\\ud83d\\ude00", "label": "y"}\n')
    task = read(tmp_path / "t.jsonl")
    assert list(task.documents) == ["a\ufffdb", "\U0001f600"]
    assert "1 text with bytes" in task.notes[0]


@pytest.mark.parametrize("ending", ENDINGS)
def test_nul_characters(tmp_path: Path, ending: str) -> None:
    task = read(write_table(tmp_path / f"t{ending}", {"text": ["a\0b", "c"], "label": ["x", "y"]}))
    assert list(task.documents) == ["ab", "c"]
    assert "1 text with NUL characters, which were removed" in task.notes


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_text_of_a_megabyte(tmp_path: Path, ending: str) -> None:
    long = "word " * 200_000
    task = read(write_table(tmp_path / f"t{ending}", {"text": [long, "b"], "label": ["x", "y"]}))
    assert task.documents[0] == long


def test_ten_thousand_equal_texts(tmp_path: Path) -> None:
    columns = {"text": ["same"] * 10_000, "label": ["a", "b"] * 5_000}
    task = read(write_table(tmp_path / "t.csv", columns))
    assert list(task.documents) == ["same"]
    assert len(task.parts["all"]) == 10_000
    with pytest.raises(DataError, match="two different"):
        split(task)
    (tmp_path / "t.txt").write_text("same\n" * 10_000)
    refused(tmp_path / "t.txt", "1 different text;")


def test_one_text(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("One text. It has two sentences.\n")
    refused(tmp_path / "t.txt", "at least two")


@pytest.mark.parametrize("task", ["classification", "clustering"])
def test_one_label(tmp_path: Path, task: str) -> None:
    path = write_table(tmp_path / "t.csv", {"text": ["a", "b"], "label": ["x", "x"]})
    refused(path, "'x'", "at least two labels", task=task)


def test_a_label_with_one_example_is_kept(tmp_path: Path) -> None:
    task = read(write_table(tmp_path / "t.csv", {"text": list("abcde"), "label": list("xxyyz")}))
    assert len(task.parts["all"]) == 5
    assert task.notes == ("1 label with a single example",)


def test_missing_columns(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.csv", {"alpha": ["a"], "beta": ["b"], "gamma": ["c"]})
    refused(path, "alpha, beta, gamma", "columns={'text': …}")
    refused(path, "sts needs left and right and score", task="sts")
    refused(path, "names 'text' as the label", columns={"label": "text"})
    refused(path, "did you mean 'label'?", columns={"lable": "alpha"})


def test_two_columns_that_could_be_the_text(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.csv", {"text": ["a", "b"], "review": ["c", "d"], "label": ["x", "y"]})
    refused(path, "'text' and 'review' could be the text", "columns={'text': …}")
    assert list(read(path, columns={"text": "review"}).documents) == ["c", "d"]


def test_a_part_without_the_columns_of_the_others(tmp_path: Path) -> None:
    write_table(tmp_path / "train.csv", {"text": ["a", "b"], "label": ["x", "y"]})
    write_table(tmp_path / "test.csv", {"text": ["a", "b"]})
    refused(tmp_path, "test.csv has the columns text, and lacks label")


@pytest.mark.parametrize("bad", ["high", "nan", "inf", "1,5"])
def test_scores_that_are_no_numbers(tmp_path: Path, bad: str) -> None:
    columns = {"sentence1": ["a", "b"], "sentence2": ["c", "d"], "score": ["1", bad]}
    refused(write_table(tmp_path / "t.tsv", columns), "line 3", repr(bad), "expected a number")


def test_scores_that_are_missing(tmp_path: Path) -> None:
    columns = {"sentence1": ["a", "b"], "sentence2": ["c", "d"], "score": ["1", ""]}
    task = read(write_table(tmp_path / "t.tsv", columns))
    assert (len(task.parts["all"]), task.notes) == (1, ("1 row without score dropped",))


def test_pairs_of_three_classes(tmp_path: Path) -> None:
    labels = ["neutral", "entailment", "contradiction", "entailment"]
    path = write_table(tmp_path / "t.csv", {"premise": list("abcd"), "hypothesis": list("efgh"), "label": labels})
    refused(path, "3 labels", "columns={'positive': …}")
    refused(path, "holds no 'yes'", columns={"positive": "yes"})
    rest = read(path, columns={"positive": "entailment"}).parts["all"]
    two = read(path, columns={"positive": "entailment", "negative": "contradiction"}).parts["all"]
    assert isinstance(rest, Pairs)
    assert isinstance(two, Pairs)
    assert rest.score.tolist() == [0, 1, 0, 1]
    assert two.score.tolist() == [1, 0, 1]


def test_pairs_of_more_than_two_classes(tmp_path: Path) -> None:
    rows = [("a", "b", "entailment"), ("c", "d", "neutral"), ("e", "f", "contradiction"), ("g", "h", "-")]
    path = tmp_path / "nli.tsv"
    path.write_text("\n".join("\t".join(row) for row in [("premise", "hypothesis", "label"), *rows]) + "\n")
    named = "neutral|entailment|contradiction"
    task = read(path, "pair-classification", {"classes": named})
    part = task.parts["all"]
    assert isinstance(part, Pairs)
    assert part.score.tolist() == [1, 0, 2]
    assert task.notes == ("1 row of another class dropped",)
    refused(path, "read with the classes 'neutral|similar'", columns={"classes": "neutral|similar"})
    refused(path, "two or more of its labels", columns={"classes": "neutral"})


def test_pairs_with_a_score_and_a_label(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {"sentence1": ["a", "b"], "sentence2": ["c", "d"]}
    columns |= {"relatedness": [1.5, 2], "entailment": ["y", "n"]}
    path = write_table(tmp_path / "t.tsv", columns)
    refused(path, "task='sts'", "task='pair-classification'")
    assert read(path, "sts").kind == "sts"


@pytest.mark.parametrize("ending", [".csv.gz", ".jsonl.gz", ".parquet", ".parquet.gz"])
def test_damaged_files(tmp_path: Path, ending: str) -> None:
    columns = {"text": [f"text {n * 7919 % 104729}" for n in range(2000)], "label": ["a", "b"] * 1000}
    path = write_table(tmp_path / f"t{ending}", columns)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path, "damaged or cut short")


def test_not_gzip_at_all(tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_text("text,label\na,b\n")
    refused(tmp_path / "t.csv.gz", "damaged or cut short")


def test_broken_json(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"text": "a", "label": "x"}\n{"text": \n')
    refused(tmp_path / "t.jsonl", "line 2 is no JSON")
    (tmp_path / "t.jsonl").write_text('["text"]\n')
    refused(tmp_path / "t.jsonl", "line 1 is a JSON list")


def test_rows_of_another_width(tmp_path: Path) -> None:
    good = "".join(f"text {n},{'ab'[n % 2]}\n" for n in range(20))
    (tmp_path / "t.csv").write_text("text,label\n" + good + "one, two, three\n")
    task = read(tmp_path / "t.csv")
    assert len(task.parts["all"]) == 20
    assert task.notes == ("1 row with another number of fields than the header dropped (first: t.csv, line 22)",)
    (tmp_path / "u.csv").write_text("text,label\n" + "one, two, three\n" * 3)
    refused(tmp_path / "u.csv", "line 2 has 3 fields and the header 2")


def test_a_folder_with_nothing_known(tmp_path: Path) -> None:
    (tmp_path / "picture.png").touch()
    refused(tmp_path, "picture.png", "corpus.jsonl", ".parquet")
    refused(tmp_path / "picture.png", "no ending that plait knows")


def test_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "other.csv").touch()
    refused(tmp_path / "t.csv", "is not there", "other.csv")
    refused(tmp_path / "no" / "t.csv", "neither is the folder")
    with pytest.raises(DataError, match="is not there"):
        next(stream_texts(tmp_path / "t.csv"))


def test_unknown_task(tmp_path: Path) -> None:
    refused(tmp_path, "'sorting'", "clustering", task="sorting")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([".csv", ".tsv", ".jsonl", ".txt", ".conll", ".conllu", ".parquet"]))
def test_any_bytes_give_a_task_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, form: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{form}"
    path.write_bytes(data)
    try:
        task = read(path)
    except DataError:
        return
    for document in task.documents:
        (document if isinstance(document, str) else "".join(document)).encode("utf-8")
