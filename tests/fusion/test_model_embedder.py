from functools import cache

import numpy as np
import pytest
from scipy.special import expit
from sklearn.base import clone

from plait.fusion.forecasting import MeanAccuracy, routing
from plait.fusion.model_embedder import ModelEmbedder
from plait.types import DataError, RecipeError


def bed(models: int = 12, questions: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Four groups of models, each good at one kind of question."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(4, size=questions)
    vectors = np.eye(4)[kinds] + 0.1 * rng.normal(size=(questions, 4))
    chance = np.where(np.arange(models)[:, None] % 4 == kinds, 0.95, 0.3)
    return (rng.random((models, questions)) < chance).astype(float), vectors.astype(np.float32)


@cache
def fitted() -> ModelEmbedder:
    correct, vectors = bed()
    return ModelEmbedder(dim=16, lr=0.01, epochs=25).fit(correct[:, :400], vectors[:400])


def test_it_forecasts_new_questions_and_routes_them() -> None:
    correct, vectors = bed()
    held_out, mean = correct[:, 400:], MeanAccuracy().fit(correct[:, :400], vectors[:400])
    ours = (fitted().predict(vectors[400:]) == held_out).mean()
    assert ours > (mean.predict(vectors[400:]) == held_out).mean() + 0.1
    judged = routing(held_out, fitted().route(vectors[400:]))
    assert judged.routed > 0.88
    assert judged.best < 0.6


def test_probabilities_follow_the_formula() -> None:
    found, question = fitted(), bed()[1][7]
    trait = question @ found.projection_ + found.shift_
    by_hand = [expit(found.weights_ @ (row * trait) + found.bias_) for row in found.model_vectors_]
    np.testing.assert_allclose(found.predict_proba(question[None])[:, 0], by_hand, rtol=1e-6)
    assert found.model_vectors_.shape == (12, 16)


def test_models_that_are_good_at_the_same_lie_together() -> None:
    unit = fitted().model_vectors_ / np.linalg.norm(fitted().model_vectors_, axis=1, keepdims=True)
    cosine = unit @ unit.T - 2 * np.eye(12)
    assert np.mean(cosine.argmax(axis=1) % 4 == np.arange(12) % 4) > 0.9


def test_without_the_right_questions_it_is_the_mean() -> None:
    correct, vectors = bed()
    mixed = np.random.default_rng(1).permutation(vectors)
    found = ModelEmbedder(dim=16, lr=0.01, epochs=25).fit(correct[:, :400], mixed[:400])
    judged = routing(correct[:, 400:], found.route(vectors[400:]))
    assert judged.routed < judged.best + 0.1


def test_a_new_model_is_placed_by_its_answers() -> None:
    correct, vectors = bed(13)
    found = ModelEmbedder(dim=16, lr=0.01, epochs=25).fit(correct[:12, :400], vectors[:400])
    before = found.predict_proba(vectors)
    answers = np.where(np.arange(400) < 60, correct[12, :400], np.nan)
    assert found.add_model(answers, vectors[:400]) == 12
    np.testing.assert_array_equal(found.predict_proba(vectors)[:12], before)
    assert (found.predict(vectors[400:])[12] == correct[12, 400:]).mean() > 0.7


def test_a_new_models_vector_is_the_most_likely_one() -> None:
    correct, vectors = bed()
    found = clone(fitted()).fit(correct[:, :400], vectors[:400])
    known, traits = found.model_vectors_, (vectors @ found.projection_ + found.shift_) * found.weights_
    number = found.add_model(correct[3], vectors)
    pull = (found.model_vectors_[number] - known.mean(axis=0)) / known.var(axis=0)
    push = traits.T @ (correct[3] - found.predict_proba(vectors)[number])
    np.testing.assert_allclose(push, pull, atol=0.01 * np.abs(pull).max())
    assert np.abs(pull).max() > 1


def test_gaps_are_not_learned_from() -> None:
    correct, vectors = bed()
    gaps = np.random.default_rng(2).random(correct.shape) < 0.3
    found = [
        ModelEmbedder(dim=8, lr=0.01, epochs=4).fit(np.where(gaps, np.nan, table), vectors).model_vectors_
        for table in (correct, np.where(gaps, 1 - correct, correct))
    ]
    np.testing.assert_array_equal(*found)


def test_one_seed_gives_the_same_bytes_and_another_does_not() -> None:
    correct, vectors = bed()
    one, same, other = (
        ModelEmbedder(dim=8, epochs=2, random_state=seed).fit(correct, vectors).model_vectors_.tobytes()
        for seed in (0, 0, 1)
    )
    assert one == same != other


def test_what_cannot_be_is_refused() -> None:
    correct, vectors = bed()
    with pytest.raises(RecipeError, match="not fitted"):
        ModelEmbedder().predict_proba(vectors)
    with pytest.raises(DataError, match="leaves none"):
        ModelEmbedder(validation=1.0).fit(correct, vectors)
    with pytest.raises(RecipeError, match="4 numbers"):
        fitted().predict_proba(vectors[:, :2])
    with pytest.raises(DataError, match="one of 1, 0, NaN"):
        fitted().add_model(correct[0, :3], vectors)
