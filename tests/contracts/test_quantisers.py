"""What holds for every quantiser."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from plait.compression.search import pair_similarity, search_codes
from plait.roles import Quantiser
from plait.step import unit_rows


@pytest.fixture(params=[8, 13])
def rows(request: pytest.FixtureRequest) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(60, request.param)).astype(np.float32)


def test_codes_are_as_wide_as_they_say(quantiser: Quantiser, rows: np.ndarray) -> None:
    codes = quantiser.fit(rows).transform(rows)
    assert codes.dtype in (np.int8, np.uint8)
    assert len(codes) == len(rows)
    assert codes[0].nbytes == quantiser.nbytes(rows.shape[1])
    assert codes[0].nbytes < rows[0].nbytes


def test_inverse_points_the_same_way(quantiser: Quantiser, rows: np.ndarray) -> None:
    back = quantiser.fit(rows).inverse_transform(quantiser.transform(rows))
    assert back.shape == rows.shape
    assert back.dtype == np.float32
    cosine = np.einsum("ij,ij->i", unit_rows(back), unit_rows(rows))
    shuffled = np.einsum("ij,ij->i", unit_rows(back), unit_rows(np.roll(rows, 1, axis=0)))
    assert cosine.mean() > 0.75
    assert cosine.mean() > shuffled.mean() + 0.5


def test_rows_do_not_see_each_other(quantiser: Quantiser, rows: np.ndarray) -> None:
    codes = quantiser.fit(rows).transform(rows)
    np.testing.assert_array_equal(quantiser.transform(rows[:1]), codes[:1])
    np.testing.assert_array_equal(quantiser.transform(rows[::-1]), codes[::-1])


def test_no_rows_give_no_codes(quantiser: Quantiser, rows: np.ndarray) -> None:
    codes = quantiser.fit(rows).transform(rows[:0])
    assert codes.shape == (0, quantiser.transform(rows).shape[1])


def test_values_outside_the_calibration_do_not_wrap(quantiser: Quantiser, rows: np.ndarray) -> None:
    back = quantiser.fit(rows).inverse_transform(quantiser.transform(rows * 100))
    assert np.einsum("ij,ij->i", unit_rows(back), unit_rows(rows)).mean() > 0.7


def test_search_finds_what_is_most_similar(quantiser: Quantiser, rows: np.ndarray) -> None:
    codes = quantiser.fit(rows).transform(rows)
    numbers, scores = search_codes(rows, codes, quantiser, 3, cosine=True)
    assert (numbers[:, 0] == np.arange(len(rows))).mean() > 0.8
    assert (np.diff(scores, axis=1) <= 0).all()
    assert np.abs(scores).max() <= 1 + 1e-6
    alone = [search_codes(rows[n : n + 1], codes, quantiser, 3, cosine=True) for n in range(5)]
    np.testing.assert_array_equal(np.vstack([found for found, _ in alone]), numbers[:5])


def test_pairs_are_most_similar_to_themselves(quantiser: Quantiser, rows: np.ndarray) -> None:
    codes = quantiser.fit(rows).transform(rows)
    np.testing.assert_allclose(pair_similarity(codes, codes, quantiser), 1, atol=1e-5)
    assert pair_similarity(codes, np.roll(codes, 1, axis=0), quantiser).mean() < 0.5


def test_state_put_into_a_clone_is_the_whole_of_it(quantiser: Quantiser, rows: np.ndarray) -> None:
    codes = quantiser.fit(rows).transform(rows)
    copy = clone(quantiser).set_state(quantiser.state())
    assert copy.fingerprint == quantiser.fingerprint
    np.testing.assert_array_equal(copy.transform(rows), codes)
    np.testing.assert_array_equal(copy.inverse_transform(codes), quantiser.inverse_transform(codes))
