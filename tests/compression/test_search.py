import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.compression import Binary, Int8, brute_force, hamming, search
from plait.compression.search import pair_similarity, search_codes
from plait.roles import Quantiser
from plait.types import DataError, RecipeError


def unit(rows: int, width: int, seed: int = 0) -> np.ndarray:
    X = np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def ranked(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """A whole stable sort: best first, the lower number first among equals."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(scores, order, axis=1)


def exact(queries: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    return np.array([[float(q.astype(np.float64) @ d.astype(np.float64)) for d in decoded] for q in queries])


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "BLOCK", 16)
    monkeypatch.setattr(brute_force, "BLOCK", 16)
    monkeypatch.setattr(brute_force, "QUERIES", 3)
    monkeypatch.setattr(hamming, "BLOCK", 16)


@pytest.mark.parametrize("k", [1, 5, 20, 100, 500])
def test_int8_equals_a_whole_sort_of_the_decoded_dot_products(k: int) -> None:
    documents, queries = unit(100, 24), unit(7, 24, seed=1)
    int8 = Int8().fit(documents)
    codes = int8.transform(documents)
    numbers, scores = search_codes(queries, codes, int8, k)
    expected, values = ranked(exact(queries, int8.inverse_transform(codes)), k)
    np.testing.assert_array_equal(numbers, expected)
    np.testing.assert_allclose(scores, values, atol=1e-6)
    assert scores.dtype == np.float32


@pytest.mark.parametrize("step", [Int8(), Binary(), Binary(0)], ids=str)
@settings(max_examples=30)
@given(copies=st.lists(st.integers(0, 4), min_size=1, max_size=60), k=st.integers(1, 10), seed=st.integers(0, 99))
def test_equal_codes_come_in_the_order_of_their_numbers(step: Quantiser, copies: list[int], k: int, seed: int) -> None:
    documents, queries = unit(5, 33, seed), unit(4, 33, seed + 100)
    step.fit(documents)
    codes = step.transform(documents)[copies]
    numbers, scores = search_codes(queries, codes, step, k)
    k = min(k, len(copies))
    assert numbers.shape == scores.shape == (4, k)
    for row, values in zip(numbers.tolist(), scores.tolist(), strict=True):
        assert len(set(row)) == k
        assert values == sorted(values, reverse=True)
        for (a, one), (b, other) in zip(
            zip(row, values, strict=True), zip(row[1:], values[1:], strict=True), strict=False
        ):
            assert one > other or a < b
        for place, number in enumerate(row):
            earlier = [n for n in range(number) if copies[n] == copies[number]]
            assert set(earlier) <= set(row[:place]), "a lower number with the same code was passed over"


def test_int8_far_from_zero_keeps_its_digits() -> None:
    documents = unit(80, 16) * 1e-3 + 5
    queries = unit(5, 16, seed=1)
    int8 = Int8().fit(documents)
    codes = int8.transform(documents)
    values = ranked(exact(queries, codes.astype(np.float64) * int8.step_), 10)[0]
    numbers, scores = search_codes(queries, codes, int8, 10)
    assert all(set(a) & set(b) for a, b in zip(numbers.tolist(), values.tolist(), strict=True))
    np.testing.assert_allclose(
        scores, np.take_along_axis(exact(queries, int8.inverse_transform(codes)), numbers, 1), rtol=1e-5
    )


@pytest.mark.parametrize("width", [8, 24, 65, 128])
def test_hamming_distances_equal_faiss(width: int) -> None:
    faiss = pytest.importorskip("faiss")
    documents, queries = unit(90, width), unit(6, width, seed=1)
    binary = Binary(rescore=0).fit(documents)
    codes = binary.transform(documents)
    index = faiss.IndexBinaryFlat(8 * codes.shape[1])
    index.add(codes)
    distance, _ = index.search(np.packbits(queries > 0, axis=1), 12)
    numbers, scores = search_codes(queries, codes, binary, 12)
    np.testing.assert_allclose((1 - scores) * width / 2, distance, atol=1e-3)
    differing = (documents[numbers] > 0) != (queries[:, None] > 0)
    np.testing.assert_array_equal(differing.sum(axis=2), distance)


def test_binary_rescoring_equals_the_formula() -> None:
    documents, queries = unit(100, 40), unit(5, 40, seed=1)
    signs = np.where(documents > 0, 1.0, -1.0)
    distance = ((documents > 0) != (queries[:, None] > 0)).sum(axis=2)
    binary = Binary(rescore=3).fit(documents)
    numbers, scores = search_codes(queries, binary.transform(documents), binary, 4)
    for row, found, values in zip(range(5), numbers, scores, strict=True):
        near = np.argsort(distance[row], kind="stable")[:12]
        dots = signs[near] @ queries[row]
        expected = near[np.lexsort((near, -dots))][:4]
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_allclose(values, signs[expected] @ queries[row], atol=1e-5)


def test_rescoring_finds_more_of_the_true_neighbours() -> None:
    documents, queries = unit(400, 64), unit(40, 64, seed=1)
    truth = ranked(queries @ documents.T, 10)[0]

    def recall(rescore: int) -> float:
        binary = Binary(rescore).fit(documents)
        found = search_codes(queries, binary.transform(documents), binary, 10)[0]
        return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.tolist(), truth.tolist(), strict=True)]))

    assert recall(4) > recall(0) + 0.05


def test_a_memory_mapped_corpus(tmp_path: pytest.TempPathFactory) -> None:
    documents = unit(50, 16)
    for step in (Int8(), Binary()):
        codes = step.fit(documents).transform(documents)
        path = f"{tmp_path}/codes.npy"
        np.save(path, codes)
        mapped = np.load(path, mmap_mode="r")
        for one, other in zip(
            search_codes(documents[:3], mapped, step, 5), search_codes(documents[:3], codes, step, 5), strict=True
        ):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("step", [Int8(), Binary(), Binary(0)], ids=str)
def test_nothing_to_search(step: Quantiser) -> None:
    documents = unit(9, 16)
    codes = step.fit(documents).transform(documents)
    assert search_codes(documents, codes[:0], step, 3)[0].shape == (9, 0)
    assert search_codes(documents[:0], codes, step, 3)[0].shape == (0, 3)


def test_faults() -> None:
    documents = unit(9, 16)
    int8 = Int8().fit(documents)
    codes = int8.transform(documents)
    with pytest.raises(RecipeError, match="k is 0"):
        search_codes(documents, codes, int8, 0)
    with pytest.raises(RecipeError, match="16 numbers"):
        search_codes(documents[:, :4], codes, int8, 1)
    with pytest.raises(DataError, match=r"have shape \[N, 16\]"):
        search_codes(documents, codes[:, :4], int8, 1)
    for unfitted in (Int8(), Binary()):
        with pytest.raises(RecipeError, match="fit"):
            search_codes(documents, codes, unfitted, 1)
    with pytest.raises(DataError, match="one shape"):
        pair_similarity(codes, codes[:3], int8)


def test_pair_similarity() -> None:
    a, b = unit(40, 20), unit(40, 20, seed=1)
    binary = Binary().fit(a)
    same = ((a > 0) == (b > 0)).mean(axis=1)
    np.testing.assert_allclose(
        pair_similarity(binary.transform(a), binary.transform(b), binary), 2 * same - 1, atol=1e-6
    )
    int8 = Int8().fit(np.vstack([a, b]))
    got = pair_similarity(int8.transform(a), int8.transform(b), int8)
    np.testing.assert_allclose(got, (a * b).sum(axis=1), atol=0.02)
    zero = Int8().fit(np.zeros((2, 3)))
    assert pair_similarity(zero.transform(np.zeros((2, 3))), zero.transform(np.zeros((2, 3))), zero).tolist() == [0, 0]
