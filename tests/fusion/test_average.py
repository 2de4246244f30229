"""Averages of vectors, against numpy."""

from pathlib import Path

import numpy as np
import pytest

import plait
from plait.types import RecipeError
from tests.tiny import SENTENCES


@pytest.fixture
def parts(tiny_table: Path) -> list[plait.Step]:
    table = plait.StaticTable(str(tiny_table))
    return [table | plait.MeanPool(), table | plait.MaxPool() | plait.Center()]


def test_plain_weighted_and_normalised(parts: list[plait.Step]) -> None:
    fitted = plait.Average(parts).fit(SENTENCES)
    a, b = (part.encode(SENTENCES).values for part in parts)  # type: ignore[attr-defined]
    np.testing.assert_allclose(fitted.encode(SENTENCES).values, (a + b) / 2, atol=1e-6)
    weighted = plait.Average(parts, weights=[3, 1]).encode(SENTENCES).values
    np.testing.assert_allclose(weighted, (3 * a + b) / 4, atol=1e-6)

    def unit(x: np.ndarray) -> np.ndarray:
        return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30)

    normed = plait.Average(parts, normalize=True).encode(SENTENCES).values
    np.testing.assert_allclose(normed, (unit(a) + unit(b)) / 2, atol=1e-6)


def test_its_text_is_read_back(parts: list[plait.Step]) -> None:
    recipe = plait.Average(parts, weights=[2, 1], normalize=True) | plait.Truncate(4)
    assert str(plait.parse(str(recipe))) == str(recipe)


def test_widths_must_agree(tiny_table: Path, parts: list[plait.Step]) -> None:
    narrow = plait.StaticTable(str(tiny_table)) | plait.MeanPool() | plait.Truncate(4)
    with pytest.raises(RecipeError, match=r"\[16, 4\]"):
        plait.Average([parts[0], narrow]).encode(["a text"])
    with pytest.raises(RecipeError, match="no parts"):
        plait.Average([])
