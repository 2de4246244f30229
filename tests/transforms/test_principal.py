import numpy as np
import pytest
from sklearn.decomposition import PCA

from plait.transforms import AllButTheTop, Pca
from plait.types import RecipeError


def sample(rows: int = 300, width: int = 10, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(width, width)))[0]
    return (rng.normal(size=(rows, width)) * np.geomspace(5, 0.2, width) @ rotation + 2).astype(np.float32)


@pytest.mark.parametrize("count", [1, 4, 10, None])
def test_pca_equals_scikit_learn(count: int | None) -> None:
    X, held_out = sample(), sample(seed=1)
    peer, ours = PCA(count, svd_solver="full").fit(X.astype(np.float64)), Pca(count).fit(X)
    expected, got = peer.transform(held_out.astype(np.float64)), ours.transform(held_out)
    np.testing.assert_allclose(np.abs(got), np.abs(expected), atol=1e-4)
    np.testing.assert_allclose(ours.variance_, peer.explained_variance_, rtol=1e-6)
    np.testing.assert_allclose(ours.inverse_transform(got), peer.inverse_transform(expected), atol=1e-4)


@pytest.mark.parametrize("count", [0, 1, 3, 10])
def test_all_but_the_top_equals_subtracting_scikit_learns_components(count: int) -> None:
    X, held_out = sample(), sample(seed=1)
    axes = PCA(svd_solver="full").fit(X.astype(np.float64)).components_[:count]
    centred = held_out - X.mean(axis=0)
    ours = AllButTheTop(count).fit(X).transform(held_out)
    np.testing.assert_allclose(ours, centred - centred @ axes.T @ axes, atol=1e-4)


def test_fewer_rows_than_components() -> None:
    X = sample(rows=3)
    projected = Pca(6).fit(X).transform(X)
    assert projected.shape == (3, 6)
    np.testing.assert_allclose(projected[:, 2:], 0, atol=1e-5)
    left = AllButTheTop(6).fit(X).transform(sample(seed=1))
    assert np.abs(left).max() > 0.1


@pytest.mark.parametrize("step", [Pca(11), AllButTheTop(11), AllButTheTop(-1)])
def test_counts_that_cannot_be_are_refused(step: Pca) -> None:
    with pytest.raises(RecipeError, match="components of vectors of 10 numbers"):
        step.fit(sample())


@pytest.mark.parametrize("kind", [Pca, AllButTheTop])
def test_a_stream_learns_what_the_whole_does(kind: type[Pca]) -> None:
    X, streamed = sample(), kind(2)
    for part in np.array_split(X, 5):
        streamed.partial_fit(part)
    np.testing.assert_allclose(streamed.axes_, kind(2).fit(X).axes_, atol=1e-8)
