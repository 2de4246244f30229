"""Embeddings of a task and their concatenation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import normalize

from plait.evaluation import Embedded
from plait.types import DataError
from tests.evaluation.makers import embedded


def test_blocks_are_normalised_then_weighted() -> None:
    a, b = embedded(0, 6, 3, 2), embedded(1, 6, 4, 2)
    joined = Embedded.concat([a, b], [2, 0.5])
    assert joined.queries is not None and a.queries is not None and b.queries is not None
    for found, first, second in ((joined.documents, a.documents, b.documents), (joined.queries, a.queries, b.queries)):
        expected = np.hstack([2 * normalize(first), 0.5 * normalize(second)])
        assert found == pytest.approx(expected, abs=1e-6)
        assert found.dtype == np.float32


def test_a_block_of_weight_zero_is_left_out() -> None:
    a, b = embedded(0, 6, 3), embedded(1, 6, 4)
    assert Embedded.concat([a, b], [0, 1]).documents.shape == (6, 4)
    with pytest.raises(DataError, match="nothing is left"):
        Embedded.concat([a, b], [0, 0])


def test_rows_of_words_come_sentence_by_sentence() -> None:
    block = Embedded(np.arange(5, dtype=np.float32)[:, None], units=np.array([0, 2, 2, 5]))
    assert block.of(np.array([2, 0, 1])).ravel().tolist() == [2, 3, 4, 0, 1]


def test_numbers_that_are_not_finite_are_found() -> None:
    values = np.ones((4, 2), np.float32)
    values[2, 1] = np.nan
    with pytest.raises(DataError, match="1 document vectors hold NaN or infinity, the first in row 2"):
        Embedded(values)
    with pytest.raises(DataError, match="2 query vectors"):
        Embedded(np.ones((4, 2), np.float32), np.array([[np.inf], [-np.inf]], np.float32))


def test_one_vector_is_not_a_table() -> None:
    with pytest.raises(DataError, match=r"shape \(3,\)"):
        Embedded(np.ones(3, np.float32))
