import numpy as np
import pytest
from scipy.linalg import subspace_angles

from plait.fusion.generalized_cca import GeneralizedCca
from plait.types import DataError, RecipeError


def views(rows: int = 400, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(rows, 2))
    return [
        np.hstack([shared + 0.5 * rng.normal(size=(rows, 2)), rng.normal(size=(rows, extra))])
        @ rng.normal(size=(2 + extra, 2 + extra))
        + 3
        for extra in (2, 3, 4)
    ]


def test_two_views_give_the_canonical_correlations() -> None:
    one, other, _ = views()
    ours = GeneralizedCca(4, shrinkage=0).fit([one, other])
    # Canonical correlations are the cosines of the angles between the column spaces of the centred views.
    correlations = np.cos(subspace_angles(one - one.mean(axis=0), other - other.mean(axis=0)))
    np.testing.assert_allclose(ours.agreement_, (1 + np.sort(correlations)[::-1]) / 2, atol=1e-8)


def test_three_views_give_the_shared_vectors_that_the_views_predict_best() -> None:
    three = views()
    ours = GeneralizedCca(3, shrinkage=0).fit(three)
    centred = [view - view.mean(axis=0) for view in three]
    hats = sum(view @ np.linalg.pinv(view) for view in centred)
    values, vectors = np.linalg.eigh(hats)
    np.testing.assert_allclose(ours.agreement_, values[::-1][:3] / 3, atol=1e-8)
    fused = ours.transform(three).astype(float)
    assert subspace_angles(fused, vectors[:, -3:]).max() < 1e-3


def test_what_is_shared_is_found_on_new_rows() -> None:
    rng = np.random.default_rng(5)
    shared = rng.normal(size=(4000, 1))
    matrices = [rng.normal(size=(3, 3)) for _ in range(3)]
    made = [np.hstack([shared + rng.normal(size=(4000, 1)), rng.normal(size=(4000, 2))]) @ m for m in matrices]
    train, test = [view[:2000] for view in made], [view[2000:] for view in made]
    fused = GeneralizedCca(1).fit(train).transform(test)[:, 0]
    found = abs(np.corrcoef(fused, shared[2000:, 0])[0, 1])
    assert found > np.sqrt(3 / 4) - 0.03  # the mean of three noisy copies correlates with the copied by √(3 / 4)
    assert fused.dtype == np.float32


def test_constant_columns_and_wide_views_stay_finite() -> None:
    rng = np.random.default_rng(0)
    wide = [np.hstack([rng.normal(size=(10, 20)), np.ones((10, 1))]) for _ in range(2)]
    assert np.isfinite(GeneralizedCca(3).fit(wide).transform(wide)).all()


def test_what_cannot_be_is_refused() -> None:
    one, other, _ = views()
    for bad in ([one], [one, other[:-1]], [one, other[:, 0]], [one[:0], other[:0]], [one, np.full_like(other, np.nan)]):
        with pytest.raises(DataError):
            GeneralizedCca().fit(bad)
    with pytest.raises(RecipeError, match="10 components"):
        GeneralizedCca(10).fit([one, other])
    with pytest.raises(RecipeError, match="not fitted"):
        GeneralizedCca().transform([one, other])
    with pytest.raises(RecipeError, match="fitted on views of"):
        GeneralizedCca(2).fit([one, other]).transform([other, one])
