import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import plait
from plait.compression import ResidualBinary
from plait.compression.bit_planes import pack_planes, popcount_products, unpack_planes
from plait.compression.residual_module import ResidualBinariser
from plait.compression.search import pair_similarity, search_codes
from plait.training import Triples
from plait.types import DataError, RecipeError
from tests.tiny import SENTENCES

RANDOM = np.random.default_rng(0)
MIXING = RANDOM.normal(size=(24, 24)) * np.linspace(2, 0.3, 24)


def draw(rows: int, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(rows, 24)) @ MIXING.T).astype(np.float32)


X = draw(600, 1)


def recall(quantiser: ResidualBinary, documents: np.ndarray, queries: np.ndarray) -> float:
    cosines = queries @ documents.T / np.linalg.norm(documents, axis=1)
    truth = np.argsort(-cosines, axis=1)[:, :10]
    found = search_codes(queries, quantiser.transform(documents), quantiser, 10)[0]
    return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.tolist(), truth.tolist(), strict=True)]))


@given(planes=st.integers(1, 8), width=st.integers(1, 20), rows=st.integers(0, 5), seed=st.integers(0, 99))
def test_planes_and_popcounts_are_the_numbers_and_their_products(planes: int, width: int, rows: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    grid = 2 * random.integers(0, 2**planes, (rows, width)) - (2**planes - 1)
    asked = 2 * random.integers(0, 2**planes, (3, width)) - (2**planes - 1)
    packed, other = pack_planes(grid, planes), pack_planes(asked, planes)
    assert packed.shape == (rows, planes * ((width + 7) // 8))
    np.testing.assert_array_equal(unpack_planes(packed, width, planes), grid)
    np.testing.assert_array_equal(popcount_products(other, packed, width, planes), asked @ grid.T)


@pytest.mark.parametrize("loops", [0, 1, 3])
def test_codes_are_the_networks_signs(loops: int) -> None:
    quantiser = ResidualBinary(width=20, loops=loops, epochs=1).fit(X)
    with torch.no_grad():
        sums = quantiser.module_(torch.from_numpy(X)).numpy()
    codes = quantiser.transform(X)
    assert codes.shape == (600, quantiser.nbytes(24)) == (600, 3 * (loops + 1))
    np.testing.assert_array_equal(unpack_planes(codes, 20, loops + 1), sums * 2**loops)
    edge = 2 - 0.5**loops
    assert set(np.unique(sums)) <= set(np.arange(-edge, edge + 1e-9, 2 * 0.5**loops))


@pytest.mark.parametrize("loops", [0, 2])
def test_search_and_similarity_are_cosines_of_the_codes(loops: int) -> None:
    quantiser, queries = ResidualBinary(width=40, loops=loops, epochs=1).fit(X), draw(9, 2)
    codes, asked = quantiser.transform(X), quantiser.transform(queries)
    grid, mine = (unpack_planes(c, 40, loops + 1).astype(np.float64) for c in (codes, asked))
    products = popcount_products(asked, codes, 40, loops + 1)
    np.testing.assert_array_equal(products, mine @ grid.T)
    cosines = products / np.linalg.norm(grid, axis=1) / np.linalg.norm(mine, axis=1)[:, None]
    numbers, scores = search_codes(queries, codes, quantiser, 7)
    np.testing.assert_allclose(scores, -np.sort(-cosines, axis=1)[:, :7], atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(cosines, numbers, 1), scores, atol=1e-6)
    np.testing.assert_allclose(pair_similarity(asked, codes[:9], quantiser), np.diag(cosines[:, :9]), atol=1e-6)


def test_more_loops_find_more_and_training_helps_a_narrow_code() -> None:
    documents, queries = draw(300, 3), draw(40, 4)
    found = [recall(ResidualBinary(loops=loops, epochs=2).fit(X), documents, queries) for loops in (0, 1, 3)]
    assert found[0] + 0.1 < found[1] < found[2]
    assert found[2] > 0.85
    narrow = [ResidualBinary(8, loops=1, epochs=epochs, lr=3e-3, batch_size=64).fit(X) for epochs in (0, 15)]
    assert recall(narrow[0], documents, queries) + 0.05 < recall(narrow[1], documents, queries)


def test_gradients_are_those_of_the_clipped_identity() -> None:
    module = ResidualBinariser(4, 6, loops=0).eval()
    vectors = torch.randn(50, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weights = torch.randn(50, 6, generator=torch.Generator().manual_seed(1))
    (module(vectors) * weights).sum().backward()
    signed, vectors.grad = vectors.grad.clone(), None
    before = module.norms[0](module.encoders[0](torch.nn.functional.normalize(vectors, dim=-1)))
    (before.clamp(-1, 1) * weights).sum().backward()
    torch.testing.assert_close(signed, vectors.grad)


def test_a_new_version_searches_the_codes_of_the_old_one() -> None:
    """The new model sees the same texts in other directions."""
    turn = np.linalg.qr(RANDOM.normal(size=(24, 24)))[0].astype(np.float32)
    documents, queries = draw(300, 5), draw(40, 6)
    old = ResidualBinary(48, loops=1, epochs=2).fit(X)
    index = old.transform(documents)
    truth = np.argsort(-(queries @ documents.T) / np.linalg.norm(documents, axis=1), axis=1)[:, :10]

    def across(new: ResidualBinary) -> float:
        found = search_codes(queries @ turn, index, new, 10)[0]
        return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.tolist(), truth.tolist(), strict=True)]))

    new = ResidualBinary(48, loops=1, epochs=20, lr=3e-3, batch_size=64, random_state=1)
    apart, together = new.fit(X @ turn), None
    assert across(apart) < 0.15
    together = new.fit(X @ turn, compatible_with=(old, X))
    assert across(together) > 0.35
    for other, rows in ((ResidualBinary(40, loops=1, epochs=0).fit(X), X), (old, X[:9])):
        with pytest.raises(RecipeError, match="same width and loops"):
            new.fit(X @ turn, compatible_with=(other, rows))


def test_pairs_bring_queries_to_their_documents() -> None:
    noise = np.random.default_rng(8).normal(size=(600, 24)).astype(np.float32)
    both = np.vstack([X, X * np.where(np.arange(24) < 12, 1, 0) + noise])
    every = np.arange(600)
    pairs = Triples(600 + every[:500], every[:500], np.zeros((500, 0), np.int64))

    def hits(y: object) -> float:
        quantiser = ResidualBinary(32, loops=1, epochs=15, lr=3e-3, batch_size=64).fit(both, y)
        found = search_codes(both[1100:], quantiser.transform(X), quantiser, 5)[0]
        return float((found == every[500:, None]).any(axis=1).mean())

    assert hits(pairs) > hits(None)


def test_inside_a_recipe_with_progress_and_without_labels() -> None:
    told: list[tuple[str, int, int]] = []
    recipe = plait.parse('StaticTable("wordllama") | MeanPool() | ResidualBinary(64, loops=1, epochs=3)')
    texts = [f"{sentence} {n}" for n in range(5) for sentence in SENTENCES]
    fitted = recipe.fit(texts, progress=lambda *said: told.append(said))
    assert [done for label, done, _ in told if label == "training"] == [1, 2, 3]
    codes = fitted.encode(texts)
    assert codes.nbytes == 16
    again = plait.parse(str(recipe)).fit(texts).encode(texts)
    assert again.values.tobytes() == codes.values.tobytes()


@settings(max_examples=10, deadline=None)
@given(rows=st.integers(2, 6), width=st.integers(1, 12), loops=st.integers(0, 3), batch=st.integers(2, 4))
def test_any_shape(rows: int, width: int, loops: int, batch: int) -> None:
    quantiser = ResidualBinary(width, loops, epochs=1, batch_size=batch, queue=8).fit(X[:rows])
    assert np.isfinite(quantiser.inverse_transform(quantiser.transform(X[:rows]))).all()


def test_faults() -> None:
    with pytest.raises(RecipeError, match="not fitted"):
        ResidualBinary().transform(X)
    with pytest.raises(DataError, match="at least two rows"):
        ResidualBinary().fit(X[:1])
    fitted = ResidualBinary(16, loops=1, epochs=0).fit(X)
    with pytest.raises(RecipeError, match="24 numbers"):
        fitted.transform(X[:, :5])
    with pytest.raises(DataError, match=r"\[N, 4\]"):
        fitted.inverse_transform(np.zeros((1, 3), np.uint8))
