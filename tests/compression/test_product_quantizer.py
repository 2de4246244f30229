import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.compression import Binary, ProductQuantizer, brute_force
from plait.compression.bit_packing import pack_bits, unpack_bits
from plait.compression.search import search_codes
from plait.data import stream_texts
from plait.recipe import parse
from plait.types import DataError, RecipeError


def correlated(rows: int, width: int, seed: int = 0) -> np.ndarray:
    mixing = np.random.default_rng(9).normal(size=(width, width)) * np.linspace(2, 0.1, width)
    return (np.random.default_rng(seed).normal(size=(rows, width)) @ mixing.T).astype(np.float32)


X = correlated(3000, 24)


def error(quantizer: ProductQuantizer, rows: np.ndarray = X) -> float:
    return float(((quantizer.inverse_transform(quantizer.transform(rows)) - rows) ** 2).sum(axis=1).mean())


@given(st.integers(1, 16).flatmap(lambda b: st.tuples(st.just(b), st.lists(st.integers(0, 2**b - 1), max_size=9))))
def test_packed_numbers_come_back(given: tuple[int, list[int]]) -> None:
    bits, numbers = given
    array = np.array([numbers, numbers[::-1]], np.int64).reshape(2, -1)
    packed = pack_bits(array, bits)
    assert packed.nbytes == 2 * ((len(numbers) * bits + 7) // 8)
    np.testing.assert_array_equal(unpack_bits(packed, bits, len(numbers)), array)


def test_loses_no_more_than_faiss() -> None:
    faiss = pytest.importorskip("faiss")
    peer = faiss.ProductQuantizer(24, 6, 5)
    peer.train(X)
    theirs = ((peer.decode(peer.compute_codes(X)) - X) ** 2).sum(axis=1).mean()
    assert error(ProductQuantizer(4, bits=5).fit(X)) < 1.05 * theirs
    turn = faiss.OPQMatrix(24, 6)
    turn.pq = faiss.ProductQuantizer(24, 6, 5)
    turn.train(X)
    turned = turn.apply(X)
    peer.train(turned)
    theirs = ((peer.decode(peer.compute_codes(turned)) - turned) ** 2).sum(axis=1).mean()
    rotated = ProductQuantizer(4, bits=5, rotate=True).fit(X)
    assert error(rotated) < 1.05 * theirs
    assert error(rotated) < 0.8 * error(ProductQuantizer(4, bits=5).fit(X))
    np.testing.assert_allclose(rotated.rotation_ @ rotated.rotation_.T, np.eye(24), atol=1e-4)


def test_a_rotation_finds_more_of_the_nearest_texts() -> None:
    texts = list(dict.fromkeys(stream_texts("demo:banking77")))[:900]
    rows = np.asarray(parse('StaticTable("wordllama") | MeanPool()').encode(texts).values)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    queries, documents = rows[:100], rows[100:]
    exact = np.argsort(-queries @ documents.T, axis=1)[:, :10]
    recall = []
    for quantizer in (ProductQuantizer(8, bits=6), ProductQuantizer(8, bits=6, rotate=True)):
        found, _ = search_codes(queries, quantizer.fit(documents).transform(documents), quantizer, 10, True)
        recall.append(np.mean([len(np.intersect1d(*pair)) for pair in zip(found, exact, strict=True)]) / 10)
    assert recall[1] > recall[0] + 0.02


def test_each_group_goes_to_its_nearest_centroid() -> None:
    quantizer = ProductQuantizer(5, bits=4).fit(X)  # the last group has 4 numbers and a zero
    padded = np.pad(X[:50], ((0, 0), (0, 1))).reshape(50, 5, 5)
    distance = ((padded[:, :, None] - quantizer.codebooks_) ** 2).sum(axis=3)
    np.testing.assert_array_equal(quantizer.numbers(quantizer.transform(X[:50])), distance.argmin(axis=2))
    decoded = np.stack([quantizer.codebooks_[g][distance[:, g].argmin(axis=1)] for g in range(5)], axis=1)
    np.testing.assert_array_equal(
        quantizer.inverse_transform(quantizer.transform(X[:50])), decoded.reshape(50, -1)[:, :24]
    )
    assert quantizer.nbytes(24) == quantizer.transform(X).shape[1] == 3


@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("bits", [3, 8])
def test_tables_and_decoding_give_the_same_ranking(
    rotate: bool, cosine: bool, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brute_force, "BLOCK", 100)
    quantizer = ProductQuantizer(5, bits=bits, rotate=rotate, rounds=4).fit(X[:400])
    codes, queries = quantizer.transform(X[:700]), correlated(12, 24, seed=1)
    numbers, scores = search_codes(queries, codes, quantizer, 7, cosine)
    alone = [search_codes(queries[n : n + 3], codes, quantizer, 7, cosine) for n in range(0, 12, 3)]
    np.testing.assert_array_equal(np.vstack([found for found, _ in alone]), numbers)
    np.testing.assert_array_equal(np.vstack([values for _, values in alone]), scores)
    decoded = quantizer.inverse_transform(codes).astype(np.float64)
    exact = queries @ decoded.T
    if cosine:
        exact = exact / np.linalg.norm(queries, axis=1)[:, None] / np.linalg.norm(decoded, axis=1)
    np.testing.assert_allclose(np.take_along_axis(exact, numbers, 1), scores, rtol=2e-5, atol=1e-4)
    np.testing.assert_allclose(-np.sort(-exact, axis=1)[:, :7], scores, rtol=2e-5, atol=1e-4)


def test_finds_more_than_signs_of_the_same_size() -> None:
    queries = correlated(60, 24, seed=1)
    exact = queries @ X.T / np.linalg.norm(X, axis=1)
    truth = np.argsort(-exact, axis=1)[:, :10]

    def recall(quantizer: Binary | ProductQuantizer) -> float:
        assert quantizer.nbytes(24) == 3
        found = search_codes(queries, quantizer.fit(X).transform(X), quantizer, 10, cosine=True)[0]
        return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.tolist(), truth.tolist(), strict=True)]))

    assert recall(ProductQuantizer(8)) > recall(Binary()) + 0.1


def test_weights_move_the_error_to_where_it_counts_less() -> None:
    heavy = np.where(X[:, 0] > 3, 50.0, 1.0)
    plain, weighted = ProductQuantizer(8, bits=4).fit(X), ProductQuantizer(8, bits=4).fit(X, sample_weight=heavy)
    assert error(weighted, X[heavy > 1]) < 0.95 * error(plain, X[heavy > 1])
    assert error(weighted) > error(plain)
    by_group = ProductQuantizer(8, bits=4).fit(X, sample_weight=np.repeat(heavy[:, None], 3, axis=1))
    np.testing.assert_array_equal(by_group.codebooks_, weighted.codebooks_)


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 12), width=st.integers(1, 9), dims=st.integers(1, 5), bits=st.integers(1, 6))
def test_any_shape(rows: int, width: int, dims: int, bits: int) -> None:
    values = correlated(rows, width, seed=rows)
    quantizer = ProductQuantizer(dims, bits, rounds=3).fit(values)
    codes = quantizer.transform(values)
    assert codes.shape == (rows, quantizer.nbytes(width))
    back = quantizer.inverse_transform(codes)
    assert back.shape == values.shape
    assert np.abs(back).max() < 1e6
    if rows <= 2**bits:
        np.testing.assert_allclose(back, values, atol=1e-5)


def test_faults() -> None:
    for step in (ProductQuantizer(bits=0), ProductQuantizer(bits=13), ProductQuantizer(0)):
        with pytest.raises(RecipeError, match="bits must be 1 to 12"):
            step.fit(X)
    with pytest.raises(RecipeError, match="not fitted"):
        ProductQuantizer().transform(X)
    with pytest.raises(RecipeError, match="not fitted"):
        search_codes(X, np.zeros((3, 3), np.uint8), ProductQuantizer(), 1)
    fitted = ProductQuantizer(bits=2, rounds=2).fit(X)
    with pytest.raises(DataError, match=r"\[N, 1\]"):
        fitted.inverse_transform(np.zeros((2, 7), np.uint8))
    with pytest.raises(RecipeError, match="24 numbers"):
        fitted.transform(X[:, :5])
    with pytest.raises(DataError, match="weights"):
        ProductQuantizer().fit(X, sample_weight=-np.ones(len(X)))
    assert str(parse("ProductQuantizer(4, bits=4, rotate=True)").children()[0]) == str(ProductQuantizer(4, 4, True))


def test_no_row_gives_no_code_and_no_row() -> None:
    quantizer = ProductQuantizer(5, bits=4).fit(X)
    codes = quantizer.transform(X[:0])
    assert codes.shape == (0, 3)
    assert quantizer.inverse_transform(codes).shape == (0, 24)
