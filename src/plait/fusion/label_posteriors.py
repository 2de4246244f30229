"""`LabelPosteriors`: one calibrated probability a label, for documents that may have several."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC

from plait.types import DataError, Floats, RecipeError


class LabelPosteriors(BaseEstimator):
    """One classifier a label, each on its own, with probabilities that mean what they say.

    scikit-learn's one-against-rest stops at a label that too few documents have to be calibrated on. Here it gets the
    share of documents that have it, and one that none has gets 0, so that columns stay where they are.

    Args:
        estimator: a classifier with ``decision_function``; None takes a linear support vector machine with C = 1.
        calibrate: fit a sigmoid to margins of documents left out in turn (Platt); False takes the sigmoid of the margin
            as it is.
        folds: how often documents are left out in turn; a label needs as many documents with it, and without it.

    Attributes:
        classifiers_: one a label, None where there were too few documents.
        priors_: ``[C]`` share of documents with the label.

    Raises:
        DataError: if labels are not ``[N, C]`` of 0 and 1, one row a document.
        RecipeError: if it is not fitted.

    Example:
        >>> X = np.array([[1.0], [2], [3], [-1], [-2], [-3]])
        >>> LabelPosteriors(folds=3).fit(X, np.hstack([X > 0, X > 9])).predict(X[[0, 3]]).tolist()
        [[1, 0], [0, 0]]
    """

    def __init__(self, estimator: Any = None, calibrate: bool = True, folds: int = 3) -> None:
        self.estimator = estimator
        self.calibrate = calibrate
        self.folds = folds

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Learn from ``[N, D]`` documents and ``[N, C]`` labels of 0 and 1."""
        labels = np.asarray(y)
        if labels.ndim != 2 or not labels.size or X.shape[0] != len(labels) or not np.isin(labels, (0, 1)).all():
            raise DataError(f"labels have shape {labels.shape} for {X.shape[0]} documents; expected [N, C] of 0 and 1")
        self.priors_ = labels.mean(axis=0)
        self.classifiers_ = [self._classifier(X, column) for column in labels.astype(int).T]
        return self

    def predict_proba(self, X: Any) -> Floats:
        """``[N, C]`` probability of each label."""
        out = np.repeat(self._priors()[None], X.shape[0], axis=0)
        for label, classifier in enumerate(self.classifiers_):
            if classifier is not None and self.calibrate:
                out[:, label] = classifier.predict_proba(X)[:, 1]
            elif classifier is not None:
                out[:, label] = expit(classifier.decision_function(X))
        return np.asarray(out, np.float32)

    def predict(self, X: Any) -> NDArray[np.int64]:
        """``[N, C]`` of 0 and 1: the side of the classifier's own border, which calibration does not move."""
        out = np.repeat((self._priors() > 0.5)[None], X.shape[0], axis=0).astype(np.int64)
        for label, classifier in enumerate(self.classifiers_):
            if classifier is not None:
                bare = classifier.calibrated_classifiers_[0].estimator if self.calibrate else classifier
                out[:, label] = bare.decision_function(X) > 0
        return out

    def _priors(self) -> NDArray[np.float64]:
        if not hasattr(self, "priors_"):
            raise RecipeError("LabelPosteriors is not fitted; call fit with documents and their labels first")
        return np.asarray(self.priors_, np.float64)

    def _classifier(self, X: Any, column: NDArray[np.int64]) -> Any:
        if min(column.sum(), len(column) - column.sum()) < self.folds:
            return None
        bare = clone(self.estimator) if self.estimator is not None else LinearSVC(C=1.0, random_state=0)
        if not self.calibrate:
            return bare.fit(X, column)
        parts = StratifiedKFold(self.folds, shuffle=True, random_state=0)
        return CalibratedClassifierCV(bare, cv=parts, ensemble=False).fit(X, column)
