"""Forecasting which model gets which question right, and sending each question to the model that will.

A *model* is anything whose answers are right or wrong: a classifier, a retriever, a language model. What is known of
the models is a table of correctness, models × questions.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.neighbors import NearestNeighbors

from plait.rows import Doubles
from plait.step import Step
from plait.types import DataError, Floats, Items, RecipeError

Questions = ArrayLike | Items


class Forecaster(BaseEstimator):
    """What learns from a table of correctness and forecasts it for new questions."""

    question_encoder: Step | None = None
    models_: int

    @abstractmethod
    def fit(self, X: ArrayLike, y: Questions) -> Self:
        """Learn from an ``[M, Q]`` table (1 right, 0 wrong, NaN not asked) and its Q questions."""

    @abstractmethod
    def predict_proba(self, X: Questions) -> Doubles:
        """``[M, Q]`` probability that model m gets question q right."""

    def predict(self, X: Questions) -> NDArray[np.bool_]:
        """``[M, Q]`` whether that probability is above one half."""
        return np.asarray(self.predict_proba(X) > 0.5)

    def route(self, X: Questions) -> NDArray[np.intp]:
        """``[Q]`` the model most likely to be right, for each question; of equals the first."""
        return np.asarray(self.predict_proba(X).argmax(axis=0))

    def vectors(self, questions: Any) -> Floats:
        """``[Q, D]`` vectors of questions, through ``question_encoder`` when they are texts."""
        if self.question_encoder is None:
            array = np.asarray(questions)
            if array.ndim != 2 or array.dtype.kind not in "fiub" or not np.isfinite(array).all():
                raise DataError(
                    f"questions have shape {array.shape} of {array.dtype}; expected [Q, D] vectors, all finite, "
                    "or texts and a recipe as question_encoder"
                )
            return array.astype(np.float32, copy=False)
        values: Floats = self.question_encoder.encode(questions).values
        return values

    def table(self, correct: ArrayLike, questions: int) -> Doubles:
        """The ``[M, Q]`` table, once it is sure that it is one."""
        table = np.asarray(correct, np.float64)
        if table.ndim != 2 or table.shape[1] != questions or not table.size:
            raise DataError(f"correct has shape {table.shape} for {questions} questions; expected [models, questions]")
        if not np.isin(table[~np.isnan(table)], (0, 1)).all():
            raise DataError("correct holds other numbers than 1 (right), 0 (wrong) and NaN (not asked)")
        silent = np.flatnonzero(np.isnan(table).all(axis=1))
        if len(silent):
            raise DataError(f"model {silent[0]} of {len(table)} was asked nothing; leave its row out")
        self.models_ = len(table)
        return table

    def fitted(self, name: str) -> Any:
        """A learned value, or an error that says to fit."""
        if not hasattr(self, name):
            raise RecipeError(f"{type(self).__name__} is not fitted; call fit with a table of correctness first")
        return getattr(self, name)


class MeanAccuracy(Forecaster):
    """Every model is as good at each question as it was on average: the baseline that knows no question.

    Attributes:
        accuracy_: ``[M]``.

    Example:
        >>> MeanAccuracy().fit([[1, 1, 0], [0, 0, 1]], np.eye(3)).predict(np.eye(2)[:, :1]).tolist()
        [[True, True], [False, False]]
    """

    def fit(self, X: ArrayLike, y: Questions) -> Self:
        self.accuracy_ = np.nanmean(self.table(X, len(y)), axis=1)  # type: ignore[arg-type]
        return self

    def predict_proba(self, X: Questions) -> Doubles:
        return np.repeat(self.fitted("accuracy_")[:, None], len(X), axis=1)  # type: ignore[arg-type]


class KNNForecaster(Forecaster):
    """A model does on a question as it did on the questions most like it, by cosine.

    Args:
        k: questions that vote; 131 was published for thirty thousand.
        question_encoder: recipe for questions that are texts; None takes vectors.

    Attributes:
        accuracy_: ``[M]``, which stands in where a model was asked none of the neighbours.

    Source: EmbedLLM: Learning Compact Representations of Large Language Models, arXiv 2410.02223.

    Example:
        >>> questions = np.repeat(np.eye(2), 3, axis=0)
        >>> KNNForecaster(3).fit([[1, 1, 1, 0, 0, 0]], questions).predict_proba(np.eye(2)).tolist()
        [[1.0, 0.0]]
    """

    def __init__(self, k: int = 131, question_encoder: Step | None = None) -> None:
        self.k = k
        self.question_encoder = question_encoder

    def fit(self, X: ArrayLike, y: Questions) -> Self:
        questions = self.vectors(y)
        self._table = self.table(X, len(questions))
        if not 1 <= self.k <= len(questions):
            raise RecipeError(f"KNNForecaster asks {self.k} neighbours, but has seen {len(questions)} questions")
        self.accuracy_ = np.nanmean(self._table, axis=1)
        self._index = NearestNeighbors(n_neighbors=self.k, metric="cosine", algorithm="brute").fit(questions)
        return self

    def predict_proba(self, X: Questions) -> Doubles:
        accuracy = self.fitted("accuracy_")
        near = self._index.kneighbors_graph(self.vectors(X))
        right, asked = (near @ np.nan_to_num(self._table).T).T, (near @ ~np.isnan(self._table).T).T
        unasked = np.repeat(accuracy[:, None], right.shape[1], axis=1)
        return np.asarray(np.divide(right, asked, out=unasked, where=asked > 0), np.float64)


class ItemResponse(Forecaster):
    """The Rasch model: a model has an ability, a question a difficulty, and nothing else counts.

    It knows no text. A question that some models were asked it places exactly (`completed_`); for a new one it averages
    over the difficulties that it has seen.

    Args:
        precision: of the normal priors that ability and difficulty have; 1 is one logit of standard deviation.

    Attributes:
        ability_: ``[M]`` logits.
        difficulty_: ``[Q]`` logits.
        completed_: ``[M, Q]`` probabilities of the table that was learned from, gaps filled in.

    Source: Probabilistic Models for Some Intelligence and Attainment Tests (Rasch, 1960).

    Example:
        >>> found = ItemResponse().fit([[1, 1, np.nan], [1, 0, 0]], np.eye(3))
        >>> bool(found.ability_[0] > found.ability_[1]), bool(found.completed_[0, 2] < found.completed_[0, 0])
        (True, True)
    """

    def __init__(self, precision: float = 1.0) -> None:
        self.precision = precision

    def fit(self, X: ArrayLike, y: Questions) -> Self:
        table = self.table(X, len(y))  # type: ignore[arg-type]
        models, asked, right = len(table), ~np.isnan(table), np.nan_to_num(table)

        def loss(values: Doubles) -> tuple[float, Doubles]:
            logits = values[:models, None] - values[None, models:]
            miss = asked * (expit(logits) - right)
            cost = (asked * (np.logaddexp(0, logits) - right * logits)).sum()
            slope = np.concatenate([miss.sum(axis=1), -miss.sum(axis=0)]) + self.precision * values
            return float(cost + self.precision * values @ values / 2), slope

        found = minimize(loss, np.zeros(sum(table.shape)), jac=True, method="L-BFGS-B").x
        self.ability_, self.difficulty_ = found[:models], found[models:]
        self.completed_ = expit(self.ability_[:, None] - self.difficulty_)
        return self

    def predict_proba(self, X: Questions) -> Doubles:
        level = self.fitted("completed_").mean(axis=1)
        return np.repeat(level[:, None], len(X), axis=1)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Routing:
    """What sending each question to one model brought, as shares of right answers.

    Attributes:
        routed: of the chosen models.
        expected: had the same number of questions gone to each model, but at random.
        best: of the best single model.
        random: of a model drawn for each question.
        oracle: had every question gone to a model that gets it right, where there is one.
    """

    routed: float
    expected: float
    best: float
    random: float
    oracle: float


def routing(correct: ArrayLike, chosen: ArrayLike) -> Routing:
    """Judge a router.

    Args:
        correct: ``[M, Q]`` table without gaps.
        chosen: ``[Q]`` the model that each question was sent to.

    Raises:
        DataError: if the two do not fit each other.

    Example:
        >>> routing([[1, 1, 0, 0], [0, 0, 1, 0]], [0, 0, 1, 1])
        Routing(routed=0.75, expected=0.375, best=0.5, random=0.375, oracle=0.75)
    """
    table, rows = np.asarray(correct, np.float64), np.asarray(chosen, np.int64)
    if table.ndim != 2 or rows.shape != table.shape[1:] or not table.size or np.isnan(table).any():
        raise DataError(
            f"correct has shape {table.shape} and chosen {rows.shape}; expected [M, Q] without gaps and [Q]"
        )
    accuracy = table.mean(axis=1)
    return Routing(
        routed=float(table[rows, np.arange(len(rows))].mean()),
        expected=float(accuracy[rows].mean()),
        best=float(accuracy.max()),
        random=float(accuracy.mean()),
        oracle=float(table.max(axis=0).mean()),
    )
