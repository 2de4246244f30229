from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import plait
from plait.cli.arguments import names_of, pairs_of, ready, recipe_of, rows_of
from plait.types import RecipeError
from tests.store.makers import TEXTS, many

NAMES = st.text(alphabet=st.characters(exclude_characters="\"'()[]{},", exclude_categories=["Z", "C"]), min_size=1)


@given(st.lists(st.one_of(NAMES, NAMES.map(lambda name: f'Transformer("{name}, x", prompts={{"a": ","}})'))))
def test_names_survive_joining(names: list[str]) -> None:
    assert names_of([",".join(names)]) == names
    assert names_of(names) == names


@pytest.mark.parametrize("given_", ["label", "=x", "label=", " = "])
def test_columns_need_both_sides(given_: str) -> None:
    with pytest.raises(RecipeError, match="expected ROLE=COLUMN"):
        pairs_of([given_], "--column")


def test_columns_keep_further_signs() -> None:
    assert pairs_of(["label=a=b"], "--column") == {"label": "a=b"}


def test_recipe_of_text_folder_and_run(recipe: str, tmp_path: Path) -> None:
    step = plait.parse(recipe)
    run = tmp_path / "run"
    plait.save(step, run / "model")
    (run / "recipe.txt").write_text(recipe)
    for given_ in (recipe, str(run / "model"), str(run)):
        assert str(recipe_of(given_)) == recipe
    with pytest.raises(RecipeError, match="no folder and no recipe"):
        recipe_of("nowhere/model")


def test_steps_that_learn_need_a_fit(tiny_table: Path) -> None:
    text = f'StaticTable("{tiny_table}") | SifPool() | Whitening(4) | Int8()'
    with pytest.raises(RecipeError, match="give --fit"):
        ready(plait.parse(text), TEXTS, False, text)
    fitted = ready(plait.parse(text), many(50), True, text)
    assert fitted.encode(TEXTS).values.shape == (5, 4)


def test_binary_needs_no_fit(tiny_table: Path) -> None:
    text = f'StaticTable("{tiny_table}") | MeanPool() | Binary()'
    assert ready(plait.parse(text), TEXTS, False, text).encode(TEXTS).values.shape == (5, 2)


@pytest.mark.parametrize(("name", "content", "rows"), [("a.txt", "x\ny\n", 2), ("a.txt", "x\ny", 2), ("a.txt", "", 0)])
def test_rows_of_lines(tmp_path: Path, name: str, content: str, rows: int) -> None:
    (tmp_path / name).write_text(content)
    assert rows_of(str(tmp_path / name)) == rows


def test_rows_of_other_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\nx\ny\n")
    pq.write_table(pa.table({"text": ["x"] * 7}), tmp_path / "a.parquet")
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"x\n"))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    expected = {"a.csv": 2, "a.parquet": 7, "a.txt.gz": None, "broken.parquet": None, "none.txt": None}
    assert {name: rows_of(str(tmp_path / name)) for name in expected} == expected
