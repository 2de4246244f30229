"""`Funnelling`: classifiers of many languages that share one judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from plait.fusion.label_posteriors import LabelPosteriors
from plait.fusion.views import Documents, Labels, PosteriorView, View, WordClassView
from plait.step import unit_rows
from plait.types import DataError, Floats, RecipeError


class Funnelling(BaseEstimator):
    """Label documents of several languages: views make comparable vectors, one classifier judges those of all.

    A language with few labelled documents gains from the others without any translation. With one language it is
    stacking of views.

    Args:
        views: what makes the vectors; None takes `PosteriorView` and `WordClassView`, which need nothing but the
            labelled documents.
        meta: the judge, a classifier with ``decision_function``; None takes a support vector machine with a Gaussian
            kernel of width 1 / numbers, on standardised vectors.
        aggregate: "mean" turns every view into probabilities of the classes (through a classifier like the judge) and
            averages those; "concat" puts the views side by side.
        posteriors: what the judge learns from. "tat" shows it views of the documents that the views were fitted on;
            "kfold" views of documents left out in turn: more honest, but from views that saw fewer documents.
        calibrate: whether the views' and the judge's probabilities are calibrated.
        folds: for calibration and for "kfold".

    Attributes:
        views_: fitted.
        classes_: number of classes.

    Raises:
        DataError: if languages, documents and labels do not fit each other, or a language was not learned from.
        RecipeError: for an unknown option, or if it is not fitted.

    Source: Generalized Funnelling: Ensemble Learning and Heterogeneous Document Embeddings for Cross-Lingual Text
    Classification, arXiv 2110.14764.

    Example:
        >>> english = ["a dog barks", "the dog runs", "a cat purrs", "the cat sleeps"] * 3
        >>> french = ["le chien court", "un chien aboie", "le chat dort", "un chat ronronne"] * 3
        >>> labels = [[1, 0], [1, 0], [0, 1], [0, 1]] * 3
        >>> model = Funnelling().fit({"en": english, "fr": french}, {"en": labels, "fr": labels})
        >>> model.predict({"fr": ["mon chat", "ton chien"]})["fr"].tolist()
        [[0, 1], [1, 0]]
    """

    def __init__(
        self,
        views: Sequence[View] | None = None,
        meta: Any = None,
        aggregate: str = "mean",
        posteriors: str = "tat",
        calibrate: bool = True,
        folds: int = 3,
    ) -> None:
        self.views = views
        self.meta = meta
        self.aggregate = aggregate
        self.posteriors = posteriors
        self.calibrate = calibrate
        self.folds = folds

    def fit(self, X: Documents, y: Labels) -> Self:
        """Learn from documents and ``[N, C]`` labels of 0 and 1, by language."""
        if self.aggregate not in ("mean", "concat"):
            raise RecipeError(f'aggregate is {self.aggregate!r}; expected "mean" or "concat"')
        if self.posteriors not in ("tat", "kfold"):
            raise RecipeError(f'posteriors is {self.posteriors!r}; expected "tat" or "kfold"')
        labels = _checked(X, y)
        self.classes_ = next(iter(labels.values())).shape[1]
        # Copies, not scikit-learn's clones: those would copy word tables whole and forget what an encoder has learned.
        self.views_ = [copy(view).fit(X, labels) for view in self._views()]
        seen = [
            _stacked(self._left_out(view, X, labels) if self.posteriors == "kfold" else fitted.transform(X))
            for view, fitted in zip(self._views(), self.views_, strict=True)
        ]
        gold = np.concatenate(list(labels.values()))
        self._judges = [
            self._judge(rows, gold) if self.aggregate == "mean" and not view.posterior else None
            for view, rows in zip(self.views_, seen, strict=True)
        ]
        self._last = self._judge(self._joined(seen), gold)
        return self

    def predict_proba(self, X: Documents) -> dict[str, Floats]:
        """``[N, C]`` probability of each class, by language."""
        rows = self._rows(X)
        return _parted(X, self._last[1].predict_proba(self._last[0].transform(rows)))

    def predict(self, X: Documents) -> dict[str, NDArray[np.int64]]:
        """``[N, C]`` of 0 and 1, by language."""
        rows = self._rows(X)
        return _parted(X, self._last[1].predict(self._last[0].transform(rows)))

    def _views(self) -> Sequence[View]:
        if self.views is None:
            return [
                PosteriorView(posteriors=LabelPosteriors(calibrate=self.calibrate, folds=self.folds)),
                WordClassView(),
            ]
        return self.views

    def _rows(self, X: Documents) -> Floats:
        if not hasattr(self, "views_"):
            raise RecipeError("Funnelling is not fitted; call fit with documents and labels by language first")
        return self._joined([_stacked(view.transform(X)) for view in self.views_])

    def _left_out(self, view: View, X: Documents, labels: Mapping[str, np.ndarray]) -> dict[str, Floats]:
        """Views of documents, each from a view that was fitted without it."""
        parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        for language, texts in X.items():
            if len(texts) < self.folds:
                raise DataError(f"{language!r} has {len(texts)} documents; {self.folds} folds need as many at least")
            parts[language] = list(KFold(self.folds, shuffle=True, random_state=0).split(texts))
        out: dict[str, Floats] = {}
        for fold in range(self.folds):
            kept = {name: [texts[n] for n in parts[name][fold][0]] for name, texts in X.items()}
            away = {name: [texts[n] for n in parts[name][fold][1]] for name, texts in X.items()}
            fitted = copy(view).fit(kept, {name: labels[name][parts[name][fold][0]] for name in X})
            for name, rows in fitted.transform(away).items():
                out.setdefault(name, np.zeros((len(X[name]), rows.shape[1]), np.float32))
                out[name][parts[name][fold][1]] = rows
        return out

    def _joined(self, views: Sequence[Floats]) -> Floats:
        """The views of the same documents as one ``[N, D]`` array."""
        if self.aggregate == "concat":
            return np.hstack(views)
        turned = [
            rows if judge is None else judge[1].predict_proba(judge[0].transform(rows))
            for rows, judge in zip(views, self._judges, strict=True)
        ]
        # Every view at length 1: one whose probabilities are all small would hardly have a say otherwise.
        return np.asarray(np.mean([unit_rows(rows) for rows in turned], axis=0), np.float32)

    def _judge(self, rows: Floats, gold: np.ndarray) -> tuple[StandardScaler, LabelPosteriors]:
        scaler = StandardScaler().fit(rows)
        scaler.scale_ = np.maximum(scaler.scale_, 1e-5)
        meta = SVC(kernel="rbf", gamma="auto") if self.meta is None else self.meta
        return scaler, LabelPosteriors(meta, self.calibrate, self.folds).fit(scaler.transform(rows), gold)


def _checked(X: Documents, y: Labels) -> dict[str, np.ndarray]:
    """The labels as arrays in the order of the documents' languages."""
    if not X or set(X) != set(y):
        raise DataError(
            f"documents are in {sorted(X)}, labels in {sorted(y)}; expected the same languages, one at least"
        )
    labels = {language: np.asarray(y[language]) for language in X}
    for language, given in labels.items():
        if given.ndim != 2 or len(given) != len(X[language]) or not len(given) or not np.isin(given, (0, 1)).all():
            raise DataError(
                f"{language!r} has {len(X[language])} documents and labels of shape {given.shape}; "
                "expected [documents, classes] of 0 and 1, and one document at least"
            )
    if len({given.shape[1] for given in labels.values()}) > 1:
        raise DataError(
            f"languages have {[given.shape[1] for given in labels.values()]} classes; give all the same columns"
        )
    return labels


def _stacked(by_language: Mapping[str, Floats]) -> Floats:
    return np.concatenate(list(by_language.values()))


def _parted(X: Documents, rows: np.ndarray) -> dict[str, Any]:
    bounds = np.cumsum([len(texts) for texts in X.values()])[:-1]
    return dict(zip(X, np.split(rows, bounds), strict=True))
