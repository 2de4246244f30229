import numpy as np
import pytest
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA

from plait.transforms import Whitening
from plait.types import RecipeError

METHODS = ("pca", "zca", "cholesky")


def sample(rows: int = 400, width: int = 12, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    scales = np.geomspace(10, 0.1, width)
    rotation = np.linalg.qr(rng.normal(size=(width, width)))[0]
    return (rng.normal(size=(rows, width)) * scales @ rotation + 3).astype(np.float32)


@pytest.mark.parametrize("method", METHODS)
def test_covariance_becomes_the_identity(method: str) -> None:
    X = sample()
    white = Whitening(method=method).fit(X).transform(X).astype(np.float64)
    np.testing.assert_allclose(np.cov(white.T), np.eye(12), atol=1e-6)
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-6)


@pytest.mark.parametrize("count", [1, 5, 12])
def test_pca_method_equals_scikit_learn_on_held_out_rows(count: int) -> None:
    X, held_out = sample(), sample(seed=1)
    peer = PCA(count, whiten=True, svd_solver="full").fit(X.astype(np.float64)).transform(held_out.astype(np.float64))
    ours = Whitening(count).fit(X).transform(held_out)
    signs = np.sign((peer * ours).sum(axis=0))
    np.testing.assert_allclose(ours * signs, peer, atol=2e-5)


def test_zca_is_the_symmetric_root_and_cholesky_is_triangular() -> None:
    X = sample()
    zca = Whitening(method="zca").fit(X).matrix_
    np.testing.assert_allclose(zca, zca.T, atol=1e-10)
    np.testing.assert_allclose(zca @ zca, np.linalg.inv(np.cov(X.T.astype(np.float64))), rtol=1e-6, atol=1e-6)
    triangular = Whitening(method="cholesky").fit(X).matrix_
    assert np.triu(triangular, 1).max() == 0


@pytest.mark.parametrize("method", METHODS)
def test_inverse(method: str) -> None:
    X = sample()
    whitening = Whitening(method=method).fit(X)
    np.testing.assert_allclose(whitening.inverse_transform(whitening.transform(X)), X, atol=1e-4)


def test_inverse_of_fewer_components_is_the_projection() -> None:
    X = sample()
    peer = PCA(4, svd_solver="full").fit(X)
    back = Whitening(4).fit(X)
    expected = peer.inverse_transform(peer.transform(X))
    np.testing.assert_allclose(back.inverse_transform(back.transform(X)), expected, atol=1e-3)


@pytest.mark.parametrize("method", ["pca", "zca"])
def test_fewer_rows_than_numbers(method: str) -> None:
    X = sample(rows=6)
    white = Whitening(method=method).fit(X).transform(X).astype(np.float64)
    assert white.shape == (6, 12)
    spectrum = np.linalg.eigvalsh(np.cov(white.T))
    np.testing.assert_allclose(spectrum, [0] * 7 + [1] * 5, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_rows_without_variance_are_not_blown_up(method: str) -> None:
    same = np.repeat(np.random.default_rng(0).normal(size=(1, 5)).astype(np.float32) * 100, 7, axis=0)
    for X in (same, same[:1]):
        assert np.abs(Whitening(method=method).fit(X).transform(X)).max() <= 1e-3


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_column_stays_finite(method: str) -> None:
    X = sample()
    X[:, 3] = 0.1
    white = Whitening(method=method).fit(X).transform(X).astype(np.float64)
    spectrum = np.linalg.eigvalsh(np.cov(white.T))
    np.testing.assert_allclose(spectrum[1:], 1, atol=1e-4)
    assert spectrum[0] < 1e-6


def test_shrinkage() -> None:
    X = sample(rows=10)
    estimate = LedoitWolf().fit(X.astype(np.float64))
    whitening = Whitening(shrinkage="ledoit-wolf", method="zca").fit(X)
    assert whitening.shrinkage_ == pytest.approx(estimate.shrinkage_, abs=1e-6)
    expected = np.linalg.inv(estimate.covariance_ * 10 / 9)
    np.testing.assert_allclose(whitening.matrix_ @ whitening.matrix_, expected, rtol=1e-4, atol=1e-6)
    only_scale = Whitening(shrinkage=1.0, method="zca").fit(X).matrix_
    np.testing.assert_allclose(only_scale, np.eye(12) * only_scale[0, 0], atol=1e-9)


def test_a_stream_learns_what_the_whole_does() -> None:
    X, streamed = sample(), Whitening(5, shrinkage="ledoit-wolf")
    for part in np.array_split(X, 7):
        streamed.partial_fit(part)
    whole = Whitening(5, shrinkage="ledoit-wolf").fit(X)
    np.testing.assert_allclose(streamed.matrix_, whole.matrix_, atol=1e-8)
    assert np.array_equal(streamed.fit(X).matrix_, whole.matrix_)


def test_saved_state_transforms_alike_but_cannot_go_on() -> None:
    X = sample()
    fitted = Whitening(5).fit(X)
    loaded = Whitening(5).set_state(fitted.state())
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))
    assert loaded.fingerprint == fitted.fingerprint
    with pytest.raises(RecipeError, match="fit it on all rows again"):
        loaded.partial_fit(X)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Whitening(13), "13 components of vectors of 12"),
        (Whitening(0), "0 components"),
        (Whitening(method="svd"), 'expected "pca"'),  # type: ignore[arg-type]
        (Whitening(shrinkage=1.5), "from 0 to 1"),
        (Whitening(shrinkage="oas"), "ledoit-wolf"),
        (Whitening(3, method="cholesky"), "no order of components"),
    ],
)
def test_parameters_that_cannot_be_are_refused(step: Whitening, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        step.fit(sample())
