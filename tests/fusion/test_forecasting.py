import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier

import plait
from plait.fusion.forecasting import Forecaster, ItemResponse, KNNForecaster, MeanAccuracy, routing
from plait.types import DataError, RecipeError

GAP = np.nan


def bed(models: int = 4, questions: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(questions, 5)).astype(np.float32)
    return (rng.normal(size=(models, 5)) @ vectors.T > 0).astype(float), vectors


def test_neighbours_vote_as_in_scikit_learn() -> None:
    correct, vectors = bed()
    new = bed(seed=1)[1]
    ours = KNNForecaster(7).fit(correct, vectors).predict_proba(new)
    for row, probability in zip(correct, ours, strict=True):
        peer = KNeighborsClassifier(7, metric="cosine").fit(vectors, row.astype(int))
        np.testing.assert_allclose(probability, peer.predict_proba(new)[:, 1])


def test_neighbours_that_were_not_asked_have_no_vote() -> None:
    vectors = np.eye(4)[[0, 0, 0, 1, 1]]
    found = KNNForecaster(3).fit([[1, GAP, 0, 0, 1], [GAP, GAP, GAP, 1, 1]], vectors).predict_proba(vectors[:1])
    assert found.tolist() == [[0.5], [1.0]]


def test_the_mean_is_of_what_was_asked() -> None:
    assert MeanAccuracy().fit([[1, GAP, 0, 0]], np.eye(4)).accuracy_.tolist() == [pytest.approx(1 / 3)]


def test_item_response_has_no_slope_left() -> None:
    correct, vectors = bed()
    correct[0, :30] = GAP
    found = ItemResponse(precision=0.5).fit(correct, vectors)
    miss = np.where(np.isnan(correct), 0, np.nan_to_num(correct) - found.completed_)
    np.testing.assert_allclose(miss.sum(axis=1), 0.5 * found.ability_, atol=1e-3)
    np.testing.assert_allclose(-miss.sum(axis=0), 0.5 * found.difficulty_, atol=1e-3)


def test_item_response_finds_the_abilities_that_answers_were_drawn_from() -> None:
    rng = np.random.default_rng(0)
    ability, difficulty = np.linspace(-2, 2, 9), rng.normal(size=2000)
    correct = rng.random((9, 2000)) < expit(ability[:, None] - difficulty)
    found = ItemResponse().fit(correct, np.empty((2000, 1)))
    np.testing.assert_allclose(found.ability_, ability, atol=0.3)
    np.testing.assert_allclose(found.predict_proba(np.empty((3, 1)))[:, 0], correct.mean(axis=1), atol=0.05)


def test_item_response_fills_gaps_by_ability_and_difficulty() -> None:
    rng = np.random.default_rng(0)
    true = expit(rng.normal(size=(30, 1)) * 2 - rng.normal(size=(1, 40)) * 2)
    correct = (rng.random(true.shape) < true).astype(float)
    gaps = rng.random(true.shape) < 0.3
    found = ItemResponse().fit(np.where(gaps, GAP, correct), np.empty((40, 1)))
    level = logit(np.clip(found.completed_, 1e-6, 1 - 1e-6))
    assert np.corrcoef(level[gaps], logit(true)[gaps])[0, 1] > 0.85


def test_a_question_goes_to_the_model_most_likely_right() -> None:
    correct, vectors = bed()
    found = KNNForecaster(5).fit(correct, vectors)
    probability = found.predict_proba(vectors)
    chosen = found.route(vectors)
    assert (probability[chosen, np.arange(60)] == probability.max(axis=0)).all()
    assert (found.predict(vectors) == (probability > 0.5)).all()


def test_routing_is_judged_against_what_the_same_shares_would_bring() -> None:
    correct = np.array([[1, 1, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]])
    judged = routing(correct, [0, 0, 0, 1])
    assert (judged.routed, judged.best, judged.oracle) == (1, 0.75, 1)
    assert judged.random == pytest.approx(5 / 12)
    assert judged.expected == pytest.approx((3 * 0.75 + 0.25) / 4)
    for bad in ([0, 0, 0], [[0, 0, 0, 1]]):
        with pytest.raises(DataError, match=r"\[M, Q\]"):
            routing(correct, bad)


@pytest.mark.parametrize("kind", [MeanAccuracy(), KNNForecaster(3), ItemResponse()])
def test_damaged_tables_are_refused(kind: Forecaster) -> None:
    correct, vectors = bed()
    kind = clone(kind)
    with pytest.raises(RecipeError, match="not fitted"):
        kind.predict_proba(vectors)
    with pytest.raises(DataError, match="models, questions"):
        kind.fit(correct[:, 1:], vectors)
    with pytest.raises(DataError, match="other numbers"):
        kind.fit(correct * 2, vectors)
    with pytest.raises(DataError, match="model 0 of 4 was asked nothing"):
        kind.fit(np.where(np.arange(4)[:, None] == 0, GAP, correct), vectors)


def test_questions_may_be_texts() -> None:
    recipe = plait.StaticTable("wordllama") | plait.MeanPool()
    texts = ["a dog", "a puppy", "stock prices", "the market"]
    found = KNNForecaster(1, recipe).fit([[1, 1, 0, 0]], texts)
    assert found.predict(["a cat", "bank shares"]).tolist() == [[True, False]]
    with pytest.raises(DataError, match="question_encoder"):
        KNNForecaster(1).fit([[1, 1, 0, 0]], texts)
    with pytest.raises(RecipeError, match="5 neighbours"):
        KNNForecaster(5, recipe).fit([[1, 1, 0, 0]], texts)
