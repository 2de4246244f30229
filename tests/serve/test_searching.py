from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import plait
from plait.retrieval import Index
from plait.serve import searching
from plait.serve.searching import TableIndex, open_indexes, unused_name
from plait.step import Composite, unit_rows
from plait.store.records import Record
from plait.store.table import Table
from plait.types import DataError, RecipeError
from tests.store.makers import TEXTS, codes


def test_results_are_the_nearest_that_fit(tables: Path, recipe: Composite) -> None:
    index = TableIndex(tables / "first", recipe)
    records, vectors = index.sample(1000).records, index.sample(1000).vectors
    assert len(index) == len(records) == 40
    query = unit_rows(recipe.encode([TEXTS[3]], "query").values)[0]
    order = np.argsort(-(vectors @ query), kind="stable")
    for where in ({}, {"topic": ["weather"]}, {"topic": ["money", "science"], "copy": [1, 2, 7]}, {"copy": [3]}):
        fitting = [all(record.metadata[field] in values for field, values in where.items()) for record in records]
        expected = [records[n].id for n in order if fitting[n]]
        for k in (1, 3, 100):
            assert [hit.id for hit in index.search(TEXTS[3], k, where)] == expected[:k]
    assert index.search(TEXTS[3], 5, {"topic": ["none"]}) == []
    assert index.search(TEXTS[3], 5, {"none": ["x"]}) == []


def test_a_sample_lies_evenly_over_the_table(tables: Path, recipe: Composite, tiny_table: Path, tmp_path: Path) -> None:
    sample = TableIndex(tables / "first").sample(4)
    whole = TableIndex(tables / "first").sample(40)
    places = [[record.id for record in whole.records].index(record.id) for record in sample.records]
    assert places == [0, 13, 26, 39]
    np.testing.assert_array_equal(sample.vectors, whole.vectors[places])
    again = unit_rows(recipe.encode([record.text for record in whole.records]).values)
    np.testing.assert_allclose(whole.vectors, again, atol=1e-6)
    quantised = codes(tiny_table, "Int8")
    Table.create(tmp_path / "codes", quantised, TEXTS)
    decoded = quantised.quantiser.inverse_transform(quantised.encode(TEXTS).values)  # type: ignore[union-attr,attr-defined]
    np.testing.assert_array_equal(TableIndex(tmp_path / "codes").sample(9).vectors, decoded)


def test_a_table_of_another_recipe_is_refused_with_both_named(tables: Path, recipe: Composite) -> None:
    with pytest.raises(RecipeError) as error:
        TableIndex(tables / "second", recipe)
    assert str(recipe) in str(error.value)
    assert "MaxPool" in str(error.value)


@pytest.mark.parametrize("pattern", ["items.lance/data/*", "items.lance/_versions/*"])
@pytest.mark.parametrize("damage", ["cut", "gone", "noise"])
def test_a_damaged_table_is_refused(tables: Path, tmp_path: Path, pattern: str, damage: str) -> None:
    shutil.copytree(tables / "first", tmp_path / "table")
    files = [path for path in (tmp_path / "table").glob(pattern) if path.is_file()]
    assert files
    for path in files:
        if damage == "gone":
            path.unlink()
        else:
            content = path.read_bytes()
            path.write_bytes(content[: len(content) // 2] if damage == "cut" else bytes(len(content)))
    with pytest.raises(DataError, match="damaged"):
        TableIndex(tmp_path / "table")


def test_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no table"):
        TableIndex(tmp_path / "none")


def test_the_first_has_to_fit_the_model_and_each_has_a_name(tables: Path, recipe: Composite) -> None:
    first, second = tables / "first", tables / "second"
    assert [index.name for index in open_indexes([first, second, first], recipe)] == ["first", "second", "first-2"]
    with pytest.raises(RecipeError, match="another recipe"):
        open_indexes([second, first], recipe)
    assert unused_name("a", ["a", "a-2"]) == "a-3"


def test_what_others_write_is_taken_in(
    recipe: Composite, tiny_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Index.create(tmp_path / "index", recipe, [Record(text, f"a{n}") for n, text in enumerate(TEXTS)])
    index = TableIndex(tmp_path / "index", recipe)
    assert not index.refresh()
    Index.open(tmp_path / "index").upsert([Record("zebras", "new"), Record("quaggas", "a0")])
    assert not index.refresh()  # more may come within two seconds
    assert "new" not in [hit.id for hit in index.search("zebras", 9, {})]
    monkeypatch.setattr(searching, "SETTLED", 0)
    assert (index.refresh(), index.refresh()) == (True, False)
    assert index.search("zebras", 1, {})[0].id == "new"
    assert [hit.text for hit in index.search("quaggas", 9, {}) if hit.id == "a0"] == ["quaggas"]
    Index.create(tmp_path / "index", recipe, [Record("zebras", "other")], overwrite=True)
    assert (index.refresh(), len(index), index.search("zebras", 1, {})[0].id) == (True, 1, "other")
    another = plait.parse(f'StaticTable("{tiny_table}") | MaxPool()')
    Index.create(tmp_path / "index", another, [Record("zebras", "third")], overwrite=True)
    with pytest.raises(RecipeError, match="made anew by another recipe"):
        index.refresh()
    shutil.rmtree(tmp_path / "index")
    assert not index.refresh()
