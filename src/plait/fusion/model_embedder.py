"""`ModelEmbedder`: one vector a model, from which questions it gets right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import expit

from plait.fusion.forecasting import Forecaster, Questions
from plait.rows import Doubles
from plait.step import Step
from plait.types import DataError, Floats, RecipeError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from plait.training.loop import Schedule


WEIGHT_DECAY = 1e-5
"""As published."""


class ModelEmbedder(Forecaster):
    """Vectors of models, factorised out of a table of who got what right, with the questions' texts as features.

    The logit that model m gets question q right is ``w · (p_m ∘ (A q + a)) + b``. The vectors ``p_m`` forecast answers
    to new questions, route them, and place models by what they are good at. Learning needs torch; forecasting does not.

    Args:
        dim: numbers in a model's vector.
        noise: standard deviation of the noise on question vectors while learning, in the vectors' own unit (they are
            meant to have length 1): it keeps single questions from being learned by heart.
        epochs: passes over the questions, at most.
        lr: peak step. 1e-3 suits a few thousand questions; 1e-4 was published for thirty thousand.
        batch_size: answers in a step; whole questions are taken.
        validation: share of the questions that says when to stop; 0 runs all epochs.
        question_encoder: recipe for questions that are texts; None takes vectors.
        random_state: seed of the first weights, of the order and of the noise.

    Attributes:
        model_vectors_: ``[M, dim]``.
        projection_: ``[D, dim]``, and its ``shift_`` ``[dim]``.
        weights_: ``[dim]``, and the ``bias_`` of all logits.

    Raises:
        MissingExtra: without torch.
        DataError: if the table and the questions do not fit each other.
        RecipeError: if it is not fitted.

    Source: EmbedLLM: Learning Compact Representations of Large Language Models, arXiv 2410.02223.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> questions = rng.normal(size=(300, 4)) / 2
        >>> right = [questions[:, 0] > 0, questions[:, 0] < 0]
        >>> found = ModelEmbedder(dim=8, epochs=20, lr=0.01).fit(right, questions)
        >>> found.route(np.eye(4)[:1] * [[1], [-1]]).tolist()
        [0, 1]
    """

    def __init__(
        self,
        dim: int = 232,
        noise: float = 0.05,
        epochs: int = 50,
        lr: float = 1e-3,
        batch_size: int = 2048,
        validation: float = 0.1,
        question_encoder: Step | None = None,
        random_state: int = 0,
    ) -> None:
        self.dim = dim
        self.noise = noise
        self.epochs = epochs
        self.lr = lr
        self.batch_size = batch_size
        self.validation = validation
        self.question_encoder = question_encoder
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: Questions) -> Self:
        """Learn from an ``[M, Q]`` table (1 right, 0 wrong, NaN not asked) and its Q questions."""
        questions = self.vectors(y)
        table = self.table(X, len(questions))
        order = np.random.default_rng(self.random_state).permutation(len(questions))
        held = int(self.validation * len(questions))
        if held == len(questions):
            raise DataError(f"validation={self.validation} leaves none of {len(questions)} questions to learn from")
        module = self._train(table, questions, order[held:], order[:held])
        values = {name: value.detach().numpy().astype(np.float64) for name, value in module.named_parameters()}
        self.model_vectors_ = values["models.weight"]
        self.projection_, self.shift_ = values["project.weight"].T, values["project.bias"]
        self.weights_, self.bias_ = values["judge.weight"][0], float(values["judge.bias"][0])
        return self

    def predict_proba(self, X: Questions) -> Doubles:
        vectors = self.fitted("model_vectors_")
        return np.asarray(expit(vectors @ self._traits(X).T + self.bias_))

    def add_model(self, X: ArrayLike, y: Questions) -> int:
        """Place a new model by its answers to some questions, all else fixed; the more answers, the better.

        The vector is the most likely one when model vectors are normally distributed as those known are, so that a
        handful of answers moves it little from their mean.

        Args:
            X: ``[Q]`` answers, 1 right, 0 wrong, NaN not asked.
            y: the questions.

        Returns:
            The number of the new model, a new last row of ``model_vectors_``.
        """
        known = self.fitted("model_vectors_")
        given = self._traits(y)
        answers = np.asarray(X, np.float64)
        if answers.shape != (len(given),) or not np.isin(answers[~np.isnan(answers)], (0, 1)).all():
            raise DataError(
                f"answers have shape {answers.shape} for {len(given)} questions; expected one of 1, 0, NaN each"
            )
        traits, right = given[~np.isnan(answers)], answers[~np.isnan(answers)]
        mean, precision = known.mean(axis=0), 1 / np.maximum(known.var(axis=0), 1e-6)

        def loss(vector: Doubles) -> tuple[float, Doubles]:
            logits, away = traits @ vector + self.bias_, vector - mean
            cost = np.logaddexp(0, logits).sum() - right @ logits + precision @ away**2 / 2
            return float(cost), traits.T @ (expit(logits) - right) + precision * away

        found = minimize(loss, mean, jac=True, method="L-BFGS-B").x
        self.model_vectors_ = np.vstack([known, found])
        self.models_ += 1
        return self.models_ - 1

    def _traits(self, questions: Questions) -> Doubles:
        """``[Q, dim]`` what a model's vector is multiplied with."""
        projection, vectors = self.fitted("projection_"), self.vectors(questions)
        if vectors.shape[1] != len(projection):
            raise RecipeError(
                f"ModelEmbedder was fitted on questions of {len(projection)} numbers; got {vectors.shape}"
            )
        return np.asarray((vectors @ projection + self.shift_) * self.weights_, np.float64)

    def _train(self, table: Doubles, questions: Floats, learned: np.ndarray, held: np.ndarray) -> nn.Module:
        from plait._lazy import need

        need("torch", "torch")
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

        from plait.training.loop import train

        features, answers = torch.from_numpy(questions), torch.from_numpy(np.nan_to_num(table).T).float()
        asked = torch.from_numpy(~np.isnan(table).T)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            module = _factors(len(table), questions.shape[1], self.dim)

        def cost(rows: np.ndarray, noise: float) -> Tensor:
            given = features[rows]
            logits = _logits(module, given + noise * torch.randn_like(given))
            return cross_entropy(logits[asked[rows]], answers[rows][asked[rows]])

        def batches(epoch: int) -> Iterator[np.ndarray]:
            order = np.random.default_rng([self.random_state, epoch]).permutation(learned)
            size = max(1, self.batch_size // len(table))
            found = (order[start : start + size] for start in range(0, len(order), size))
            return (rows for rows in found if asked[rows].any())

        train(
            module,
            batches,
            lambda rows: cost(rows, self.noise),
            dev=(lambda: -float(cost(held, 0.0))) if asked[held].any() else None,
            schedule=self._schedule(),
        )
        return module

    def _schedule(self) -> Schedule:
        from plait.training.loop import Schedule

        return Schedule(self.epochs, self.lr, weight_decay=WEIGHT_DECAY, seed=self.random_state)


def _factors(models: int, width: int, dim: int) -> nn.Module:
    from torch import nn

    rows = nn.Embedding(models, dim)
    # Begun at the usual length 1, directions that no question asks about would stay noise and hide who is like whom.
    nn.init.normal_(rows.weight, std=0.01)
    return nn.ModuleDict({"models": rows, "project": nn.Linear(width, dim), "judge": nn.Linear(dim, 1)})


def _logits(module: nn.Module, questions: Tensor) -> Tensor:
    """``[Q, M]``. The published two logits of a softmax are one difference, which is all that their loss sees."""
    parts = dict(module.named_children())
    judge = parts["judge"]
    found: Tensor = (parts["project"](questions) * judge.weight) @ parts["models"].weight.T + judge.bias
    return found
