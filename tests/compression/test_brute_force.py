import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.compression import brute_force, scoring
from plait.compression.brute_force import nearest_vectors, rescored
from plait.compression.hamming import nearest
from plait.compression.lengths import Lengths
from plait.types import DataError, RecipeError

PATHS = ("faiss", "numpy")
"""Both ways through a search: with the library, and where it is not installed."""


def draw(rows: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)


def choose(path: str, patch: pytest.MonkeyPatch) -> None:
    if path == "faiss":
        pytest.importorskip("faiss")
        assert scoring.library() is not None
    else:
        patch.setitem(sys.modules, "faiss", None)
        assert scoring.library() is None


def sorted_whole(queries: np.ndarray, vectors: np.ndarray, k: int, cosine: bool) -> tuple[np.ndarray, np.ndarray]:
    """Every score in float64, rounded as the search rounds it, and a stable sort."""
    q, v = queries.astype(np.float64), vectors.astype(np.float64)
    if cosine:
        q = q / np.linalg.norm(q, axis=1, keepdims=True)
        lengths = np.linalg.norm(v, axis=1, keepdims=True)
        v = v / np.where(lengths > 0, lengths, 1)
    scores = (q @ v.T).astype(np.float32)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(scores, order, axis=1)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("cosine", [True, False])
@pytest.mark.parametrize("rows", [5, 90, 700])
def test_equals_a_whole_sort(path: str, cosine: bool, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(path, monkeypatch)
    monkeypatch.setattr(brute_force, "BLOCK", 64)
    monkeypatch.setattr(brute_force, "VIEWED", 200)
    monkeypatch.setattr(brute_force, "QUERIES", 5)
    vectors = draw(rows, 32, 0) * np.linspace(0.1, 5, rows, dtype=np.float32)[:, None]
    vectors[rows // 2] = 0
    queries = draw(17, 32, 1)
    numbers, scores = nearest_vectors(queries, vectors, 10, cosine)
    expected, values = sorted_whole(queries, vectors, 10, cosine)
    np.testing.assert_array_equal(numbers, expected)
    np.testing.assert_allclose(scores, values, rtol=1e-5, atol=1e-6)
    assert scores.dtype == np.float32


@settings(max_examples=60, deadline=None)
@given(
    copies=st.lists(st.integers(0, 5), min_size=1, max_size=90),
    k=st.integers(1, 12),
    queries=st.integers(1, 4),
    seed=st.integers(0, 50),
)
def test_both_paths_agree_and_settle_ties_by_number(copies: list[int], k: int, queries: int, seed: int) -> None:
    vectors, asked = draw(6, 16, seed)[copies], draw(queries, 16, seed + 1000)
    found = []
    for path in PATHS:
        with pytest.MonkeyPatch.context() as patch:
            choose(path, patch)
            patch.setattr(brute_force, "VIEWED", 40)
            found.append(nearest_vectors(asked, vectors, k, cosine=False))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
    for row, values in zip(*(part.tolist() for part in found[0]), strict=True):
        assert list(zip((-value for value in values), row, strict=True)) == sorted(
            zip((-value for value in values), row, strict=True)
        )
        for place, number in enumerate(row):
            assert {n for n in range(number) if copies[n] == copies[number]} <= set(row[:place])


@pytest.mark.parametrize("path", PATHS)
def test_order_does_not_hang_on_rounding(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Far more rows than faiss is asked for lie within float32's rounding of each other."""
    choose(path, monkeypatch)
    base = np.full(64, 0.125, np.float64)
    vectors = (base + 1e-7 * np.random.default_rng(0).normal(size=(200, 64))).astype(np.float32)
    numbers, _ = nearest_vectors(base[None], vectors, 5, cosine=False)
    np.testing.assert_array_equal(numbers, sorted_whole(base[None], vectors, 5, False)[0])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("queries", [1, 6])
@pytest.mark.parametrize("spread", [0.0, 5e-5, 0.1])
def test_cosines_of_measured_vectors(path: str, queries: int, spread: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors of almost length 1 are multiplied as they lie, and rank by their cosine nevertheless."""
    choose(path, monkeypatch)
    monkeypatch.setattr(brute_force, "VIEWED", 150)
    monkeypatch.setattr(brute_force, "BLOCK", 60)
    random, asked = np.random.default_rng(2), draw(queries, 24, 1)
    base = np.vstack([draw(200, 24, 0), asked[:1] + 0.02 * draw(200, 24, 3)])
    base /= np.linalg.norm(base, axis=1, keepdims=True)
    vectors = (base * random.uniform(1 - spread, 1 + spread, (400, 1))).astype(np.float32)
    vectors[7] = 0
    expected, values = sorted_whole(asked, vectors, 10, cosine=True)
    for lengths in (None, Lengths.of(vectors)):
        numbers, scores = nearest_vectors(asked, vectors, 10, lengths=lengths)
        np.testing.assert_array_equal(numbers, expected)
        np.testing.assert_allclose(scores, values, rtol=5e-7, atol=5e-8)


@pytest.mark.parametrize("path", PATHS)
def test_measured_once_or_each_time(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(path, monkeypatch)
    vectors, asked = draw(300, 16, 0) * np.linspace(0.1, 9, 300, dtype=np.float32)[:, None], draw(5, 16, 1)
    for cosine in (True, False):
        once = nearest_vectors(asked, vectors, 7, cosine, Lengths.of(vectors))
        for one, other in zip(once, nearest_vectors(asked, vectors, 7, cosine), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("path", PATHS)
def test_lengths_whose_squares_float32_cannot_hold(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(path, monkeypatch)
    scales = np.resize(np.array([1e-42, 1e-30, 1, 1e30], np.float64), 120)[:, None]
    vectors, asked = (draw(120, 16, 0) * scales).astype(np.float32), draw(3, 16, 1)
    numbers, scores = nearest_vectors(asked, vectors, 10)
    expected, values = sorted_whole(asked, vectors, 10, cosine=True)
    np.testing.assert_array_equal(numbers, expected)
    np.testing.assert_allclose(scores, values, rtol=1e-6)


def test_rows_of_zeros_come_between_the_near_and_the_opposite() -> None:
    vectors = np.vstack([-np.eye(4), np.zeros((2, 4)), np.eye(4)[:1]]).astype(np.float32)
    numbers, scores = nearest_vectors(np.ones((1, 4)), vectors, 4, lengths=Lengths.of(vectors))
    assert numbers.tolist() == [[6, 4, 5, 0]]
    assert scores.tolist() == [[0.5, 0, 0, -0.5]]


@given(st.lists(st.lists(st.floats(-1e3, 1e3, width=32), min_size=3, max_size=3), max_size=20))
def test_lengths(rows: list[list[float]]) -> None:
    vectors = np.array(rows, np.float64).reshape(-1, 3)
    sizes = [size for row in rows if (size := math.hypot(*row))] or [0]
    measured = Lengths.of(vectors)
    np.testing.assert_allclose([measured.shortest, measured.longest], [min(sizes), max(sizes)], rtol=1e-6, atol=1e-44)
    assert measured.spread == max(abs(measured.longest - 1), abs(1 - measured.shortest))


@settings(max_examples=60, deadline=None)
@given(
    codes=st.integers(1, 80), width=st.integers(1, 17), k=st.integers(1, 20), seed=st.integers(0, 99), few=st.booleans()
)
def test_hamming_paths_agree(codes: int, width: int, k: int, seed: int, few: bool) -> None:
    random = np.random.default_rng(seed)
    rows = random.integers(0, 2 if few else 256, (codes, width), dtype=np.uint8)
    asked, k = random.integers(0, 2 if few else 256, (3, width), dtype=np.uint8), min(k, codes)
    distance = np.bitwise_count(asked[:, None] ^ rows).sum(axis=2, dtype=np.int64)
    expected = np.argsort(distance, axis=1, kind="stable")[:, :k]
    for path in PATHS:
        with pytest.MonkeyPatch.context() as patch:
            choose(path, patch)
            numbers, found = nearest(asked, rows, k)
        np.testing.assert_array_equal(numbers, expected)
        np.testing.assert_array_equal(found, np.take_along_axis(distance, expected, axis=1))


def test_rescoring_reads_only_what_was_found(tmp_path: pytest.TempPathFactory) -> None:
    vectors, queries = draw(50, 8, 0), draw(4, 8, 1)
    spoilt = vectors.copy()
    found = np.array([[1, 7, 3, 9], [0, 2, 4, 6], [11, 10, 9, 8], [49, 48, 5, 3]])
    spoilt[np.setdiff1d(np.arange(50), found)] = np.nan
    np.save(f"{tmp_path}/v.npy", spoilt)
    numbers, scores = rescored(queries, found, np.load(f"{tmp_path}/v.npy", mmap_mode="r"), 2)
    for row, best, values, query in zip(found, numbers, scores, queries, strict=True):
        cosines = vectors[row] @ query / np.linalg.norm(vectors[row], axis=1) / np.linalg.norm(query)
        np.testing.assert_array_equal(best, row[np.argsort(-cosines)[:2]])
        np.testing.assert_allclose(values, np.sort(cosines)[::-1][:2], rtol=1e-5)


def test_threshold_of_faiss_is_put_back() -> None:
    faiss = pytest.importorskip("faiss")
    before = faiss.cvar.distance_compute_blas_threshold
    nearest_vectors(draw(3, 8, 0), draw(60, 8, 1), 2)
    assert faiss.cvar.distance_compute_blas_threshold == before != 1


def test_faults() -> None:
    vectors = draw(5, 4, 0)
    with pytest.raises(RecipeError, match="k is 0"):
        nearest_vectors(vectors, vectors, 0)
    with pytest.raises(DataError, match=r"\(5, 3\)"):
        nearest_vectors(vectors[:, :3], vectors, 1)
    with pytest.raises(DataError, match="NaN"):
        nearest_vectors(np.full((1, 4), np.nan), vectors, 1)
    vectors[3, 1] = np.nan
    with pytest.raises(DataError, match="1 of 5 rows to search hold NaN"):
        nearest_vectors(np.ones((1, 4)), vectors, 1)
