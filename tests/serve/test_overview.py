from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA

from plait.serve.overview import SHOWN, Overview, choices, plane
from plait.serve.searching import Sample, TableIndex
from plait.store.table import Record


def test_the_map_is_the_two_principal_components() -> None:
    vectors = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32) * np.arange(1, 9, dtype=np.float32)
    points = plane(Sample([Record("a")] * 60, vectors))
    expected = PCA(2).fit_transform(vectors)
    for axis in range(2):
        assert abs(np.corrcoef(points[:, axis], expected[:, axis])[0, 1]) > 0.9999
    assert np.abs(points).max() == 1
    shape = [np.ptp(spread[:, 1]) / np.ptp(spread[:, 0]) for spread in (points, expected)]
    assert shape[0] == pytest.approx(shape[1], rel=1e-4)


def test_what_cannot_be_spread_lies_at_the_middle() -> None:
    for vectors in (np.ones((1, 4)), np.ones((5, 4)), np.array([[1.0], [1.0]])):
        points = plane(Sample([Record("a")] * len(vectors), vectors.astype(np.float32)))
        np.testing.assert_array_equal(points, np.zeros((len(vectors), 2)))


def test_a_collection_of_one_number_a_vector() -> None:
    points = plane(Sample([Record("a")] * 3, np.array([[0.0], [1.0], [2.0]], np.float32)))
    np.testing.assert_allclose(np.abs(points[:, 0]), [1, 0, 1], atol=1e-6)
    assert not points[:, 1].any()


def test_only_fields_with_a_choice_are_offered() -> None:
    records = [
        Record("t", metadata={"lang": "de" if n % 3 else "en", "one": 1, "id": n, "list": [n % 2], "flag": n % 2 == 0})
        for n in range(60)
    ]
    assert choices(records) == {"lang": ["de", "en"], "flag": [True, False]}
    assert choices([]) == {}


def test_long_texts_are_cut_on_the_map(tables: Path) -> None:
    overview = Overview.of(TableIndex(tables / "first"), 5)
    assert overview.rows == 40
    assert len(overview.map()["id"]) == 5  # type: ignore[arg-type]
    long = Overview("n", "r", 1, {}, [Record("x" * 999, "1")], np.zeros((1, 2), np.float32))
    assert long.map()["text"] == ["x" * SHOWN]
