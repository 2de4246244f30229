import numpy as np
import pytest
from scipy.spatial import procrustes
from sklearn.base import clone
from sklearn.linear_model import LinearRegression

from plait.transforms.procrustes import Procrustes
from plait.types import DataError, RecipeError


def rotation(width: int, seed: int = 0) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(width, width)))[0]


def noisy(rows: int = 60, width: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(rows, width))
    return X, X @ rotation(width) + 0.3 * rng.normal(size=(rows, width))


def test_a_rotation_is_found_again() -> None:
    X = noisy()[0]
    found = Procrustes().fit(X, X @ rotation(5))
    np.testing.assert_allclose(found.map_, rotation(5), atol=1e-12)
    np.testing.assert_allclose(found.inverse_transform(found.transform(X)), X, atol=1e-5)


def test_cosines_stay_as_they_were() -> None:
    X, Y = noisy()
    found = Procrustes().fit(X, Y)
    np.testing.assert_allclose(found.map_.T @ found.map_, np.eye(5), atol=1e-12)
    turned = found.transform(X)
    np.testing.assert_allclose(turned @ turned.T, X @ X.T, atol=1e-4)


def test_no_rotation_fits_better() -> None:
    X, Y = noisy()
    left = np.linalg.norm(X @ Procrustes().fit(X, Y).map_ - Y)
    assert all(left < np.linalg.norm(X @ rotation(5, seed) - Y) for seed in range(50))


def test_it_fits_as_well_as_scipys_distance_says() -> None:
    X, Y = (rows - rows.mean(axis=0) for rows in noisy())
    X, Y = X / np.linalg.norm(X), Y / np.linalg.norm(Y)
    turned = X @ Procrustes().fit(X, Y).map_
    # scipy also scales; the best scale of the turned rows is the trace of their product with the others.
    assert procrustes(Y, X)[2] == pytest.approx(1 - (turned * Y).sum() ** 2)


def test_without_orthogonality_it_is_least_squares() -> None:
    X, Y = noisy()
    peer = LinearRegression(fit_intercept=False).fit(X, Y[:, :3])
    ours = Procrustes(orthogonal=False).fit(X, Y[:, :3])
    np.testing.assert_allclose(ours.map_, peer.coef_.T, atol=1e-10)


@pytest.mark.parametrize(("wide", "narrow"), [(5, 3), (3, 5)])
def test_unequal_widths_are_padded(wide: int, narrow: int) -> None:
    X = np.random.default_rng(0).normal(size=(40, max(wide, narrow)))
    turned = X @ rotation(X.shape[1])
    ours = Procrustes().fit(X[:, :wide], turned[:, :narrow])
    assert ours.map_.shape == (wide, narrow)
    assert np.linalg.svd(ours.map_)[1].max() < 1 + 1e-9
    assert ours.transform(X[:, :wide]).shape == (40, narrow)


def test_what_cannot_be_is_refused() -> None:
    X, Y = noisy()
    with pytest.raises(DataError, match="60 rows and 59 rows"):
        Procrustes().fit(X, Y[1:])
    with pytest.raises(DataError, match="all finite"):
        Procrustes().fit(np.full((3, 2), np.nan), np.ones((3, 2)))
    with pytest.raises(DataError, match="one at least"):
        Procrustes().fit(X[:0], Y[:0])
    with pytest.raises(RecipeError, match="not fitted"):
        Procrustes().transform(X)
    with pytest.raises(RecipeError, match="5 numbers"):
        Procrustes().fit(X, Y).transform(X[:, :2])
    assert clone(Procrustes(orthogonal=False)).orthogonal is False
