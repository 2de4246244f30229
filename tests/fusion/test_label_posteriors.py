import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import brier_score_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import SVC, LinearSVC

from plait.fusion.label_posteriors import LabelPosteriors
from plait.types import DataError, RecipeError


def bed(rows: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 6))
    return X, (X[:, :3] + rng.normal(size=(rows, 3)) > [0, 0.5, 1]).astype(int)


def test_where_there_is_enough_it_is_scikit_learns_one_against_rest() -> None:
    (X, y), (new, _) = bed(), bed(seed=1)
    parts = StratifiedKFold(3, shuffle=True, random_state=0)
    calibrated = CalibratedClassifierCV(LinearSVC(C=1, random_state=0), cv=parts, ensemble=False)
    peer = OneVsRestClassifier(calibrated).fit(X, y)
    np.testing.assert_allclose(LabelPosteriors().fit(X, y).predict_proba(new), peer.predict_proba(new), atol=1e-6)
    bare = OneVsRestClassifier(SVC()).fit(X, y)
    for calibrate in (True, False):
        assert (LabelPosteriors(SVC(), calibrate).fit(X, y).predict(new) == bare.predict(new)).all()


def test_calibrated_probabilities_are_closer_to_the_truth() -> None:
    (X, y), (new, gold) = bed(), bed(3000, seed=1)
    losses = [
        np.mean([brier_score_loss(gold[:, c], made[:, c]) for c in range(3)])
        for made in (
            LabelPosteriors(LinearSVC(C=1), calibrate).fit(X, y).predict_proba(new) for calibrate in (True, False)
        )
    ]
    assert losses[0] < losses[1]


def test_rare_absent_and_universal_labels_keep_their_columns() -> None:
    X, y = bed()
    y = np.hstack([y[:, :1], np.zeros((300, 1), int), np.ones((300, 1), int), (np.arange(300) < 2)[:, None]])
    found = LabelPosteriors().fit(X, y)
    made = found.predict_proba(X[:5])
    assert [one is None for one in found.classifiers_] == [False, True, True, True]
    np.testing.assert_allclose(made[:, 1:], np.repeat([[0, 1, 2 / 300]], 5, axis=0), atol=1e-6)
    assert found.predict(X[:5])[:, 1:].tolist() == [[0, 1, 0]] * 5


def test_what_cannot_be_is_refused() -> None:
    X, y = bed()
    for bad in (y[1:], y[:, 0], y * 2, y[:, :0]):
        with pytest.raises(DataError, match="300 documents"):
            LabelPosteriors().fit(X, bad)
    with pytest.raises(RecipeError, match="not fitted"):
        clone(LabelPosteriors()).predict(X)
