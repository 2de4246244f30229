from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import plait
from plait.fusion.funnelling import Funnelling
from plait.fusion.label_posteriors import LabelPosteriors
from plait.fusion.views import WORD, EncoderView, PosteriorView, View, WordClassView, WordVectorView
from plait.step import unit_rows
from plait.types import DataError, RecipeError

SIZES = {"en": 90, "fr": 90, "sw": 15}
TOPICS = 3

Made = tuple[dict[str, list[str]], dict[str, np.ndarray]]


def bed(sizes: dict[str, int] = SIZES, seed: int = 0) -> Made:
    """Documents whose words come from their topics' words; every language has words of its own."""
    rng = np.random.default_rng(seed)
    texts: dict[str, list[str]] = {}
    labels: dict[str, np.ndarray] = {}
    for language, size in sizes.items():
        y = (rng.random((size, TOPICS)) < 0.4).astype(int)
        y[:TOPICS] = np.eye(TOPICS, dtype=int)
        labels[language], texts[language] = y, []
        for row in y:
            topics = [*np.flatnonzero(row), TOPICS, TOPICS]
            words = [f"{language}{rng.choice(topics)}x{rng.integers(12)}" for _ in range(12)]
            texts[language].append(" ".join(words))
    return texts, labels


def test_posteriors_are_those_of_each_languages_own_classifier() -> None:
    texts, labels = bed()
    view = PosteriorView().fit(texts, labels)
    found = view.transform(texts)
    words = TfidfVectorizer(sublinear_tf=True, token_pattern=WORD)
    for language in texts:
        weights = words.fit_transform(texts[language])
        by_hand = LabelPosteriors().fit(weights, labels[language]).predict_proba(weights)
        np.testing.assert_allclose(found[language], unit_rows(by_hand), atol=1e-6)


def test_word_class_views_use_the_component_of_the_training_documents() -> None:
    texts, labels = bed()
    view = WordClassView().fit(texts, labels)
    whole, alone = view.transform(texts), view.transform({"fr": texts["fr"][:1]})
    np.testing.assert_allclose(alone["fr"], whole["fr"][:1], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(whole["en"], axis=1), 1, atol=1e-5)


def test_word_vectors_are_summed_with_the_words_weights() -> None:
    texts, labels = bed()
    rng = np.random.default_rng(0)
    tables = {}
    for language, given in texts.items():
        known = sorted({word for text in given for word in text.split()})[::2]
        tables[language] = (known, rng.normal(size=(len(known), 5)).astype(np.float32))
    found = WordVectorView(tables, remove=0).fit(texts, labels).transform(texts)["en"]
    words, vectors = tables["en"]
    weights = TfidfVectorizer(sublinear_tf=True, vocabulary=words).fit_transform(texts["en"])
    by_hand = weights @ vectors
    np.testing.assert_allclose(found, unit_rows(by_hand - by_hand.mean(axis=0)), atol=1e-5)
    with pytest.raises(DataError, match="no word table for the language 'sw'"):
        WordVectorView({name: tables[name] for name in ("en", "fr")}).fit(texts, labels)


def test_an_encoder_is_asked_as_it_is() -> None:
    recipe = plait.StaticTable("wordllama") | plait.MeanPool()
    texts, labels = {"en": ["a dog", "a cat", "a bus"]}, {"en": np.eye(3, dtype=int)}
    found = EncoderView(recipe).fit(texts, labels).transform(texts)["en"]
    np.testing.assert_allclose(found, unit_rows(recipe.encode(texts["en"]).values), atol=1e-6)


def test_a_fitted_encoder_is_not_forgotten() -> None:
    recipe = (plait.StaticTable("wordllama") | plait.MeanPool() | plait.Center()).fit(["a dog", "a cat", "a bus"])
    texts, labels = {"en": ["a dog", "a cat", "a bus"] * 3}, {"en": np.tile(np.eye(3, dtype=int), (3, 1))}
    assert Funnelling([EncoderView(recipe)]).fit(texts, labels).predict(texts)["en"].tolist() == labels["en"].tolist()


def test_one_view_is_funnelling_by_hand() -> None:
    texts, labels = bed()
    new, _ = bed(seed=1)
    ours = Funnelling([PosteriorView()]).fit(texts, labels).predict(new)
    view = PosteriorView().fit(texts, labels)
    rows, after = (np.concatenate(list(view.transform(given).values())) for given in (texts, new))
    scaler = StandardScaler().fit(rows)
    gold = np.concatenate(list(labels.values()))
    peers = [SVC(gamma="auto").fit(scaler.transform(rows), column) for column in gold.T]
    by_hand = np.stack([peer.predict(scaler.transform(after)) for peer in peers], axis=1)
    assert (np.concatenate(list(ours.values())) == by_hand).mean() > 0.99
    assert list(ours) == list(new)
    assert [len(rows) for rows in ours.values()] == list(SIZES.values())


@pytest.mark.parametrize(("aggregate", "posteriors"), [("mean", "tat"), ("concat", "tat"), ("mean", "kfold")])
def test_a_language_with_few_documents_gains_from_the_others(aggregate: str, posteriors: str) -> None:
    texts, labels = bed()
    new, gold = bed(dict.fromkeys(SIZES, 200), seed=1)
    model = Funnelling(aggregate=aggregate, posteriors=posteriors).fit(texts, labels)
    words = TfidfVectorizer(sublinear_tf=True, token_pattern=WORD)
    alone = LabelPosteriors().fit(words.fit_transform(texts["sw"]), labels["sw"])
    ours = f1_score(gold["sw"], model.predict(new)["sw"], average="macro")
    assert (
        ours > f1_score(gold["sw"], alone.predict(words.transform(new["sw"])), average="macro", zero_division=0) + 0.05
    )
    made = model.predict_proba(new)["en"]
    assert 0 <= made.min() <= made.max() <= 1


class Told(View):
    """Notes which documents it was fitted on, and says for each document it is shown whether it knows it."""

    def _learn(self, language: str, texts: Sequence[str], labels: np.ndarray) -> set[str]:
        return set(texts)

    def _vectors(self, part: set[str], texts: Sequence[str]) -> np.ndarray:
        return np.array([[float(text in part), 1.0] for text in texts], np.float32)


def test_documents_left_out_are_never_seen_by_their_view() -> None:
    texts, labels = bed()
    texts = {name: [f"{text} {n}" for n, text in enumerate(given)] for name, given in texts.items()}
    model = Funnelling([Told()], posteriors="kfold")
    left_out = model._left_out(Told(), texts, labels)
    assert not any(rows[:, 0].any() for rows in left_out.values())
    assert all(rows[:, 1].all() for rows in left_out.values())


def test_a_class_that_a_language_lacks_keeps_its_column() -> None:
    texts, labels = bed()
    labels["fr"][:, 1] = 0
    model = Funnelling().fit(texts, labels)
    assert not model.views_[0].transform(texts)["fr"][:, 1].any()
    assert model.predict(texts)["fr"].shape == (90, TOPICS)


def test_clones_agree() -> None:
    texts, labels = bed()
    one, other = (clone(Funnelling([PosteriorView(), WordClassView()])).fit(texts, labels) for _ in range(2))
    assert one.predict_proba(texts)["sw"].tobytes() == other.predict_proba(texts)["sw"].tobytes()


def test_what_cannot_be_is_refused() -> None:
    texts, labels = bed()
    with pytest.raises(RecipeError, match='"mean" or "concat"'):
        Funnelling(aggregate="sum").fit(texts, labels)
    with pytest.raises(RecipeError, match='"tat" or "kfold"'):
        Funnelling(posteriors="loo").fit(texts, labels)
    with pytest.raises(RecipeError, match="not fitted"):
        Funnelling().predict(texts)
    with pytest.raises(RecipeError, match="not fitted"):
        PosteriorView().transform(texts)
    with pytest.raises(DataError, match="same languages"):
        Funnelling().fit(texts, {"en": labels["en"]})
    with pytest.raises(DataError, match="'fr' has 90 documents"):
        Funnelling().fit(texts, {**labels, "fr": labels["fr"][1:]})
    with pytest.raises(DataError, match=r"\[3, 2, 3\] classes"):
        Funnelling().fit(texts, {**labels, "fr": labels["fr"][:, :2]})
    with pytest.raises(DataError, match="'sw' has 15 documents; 20 folds"):
        Funnelling(posteriors="kfold", folds=20).fit(texts, labels)
    with pytest.raises(DataError, match="'de' was not among"):
        PosteriorView().fit(texts, labels).transform({"de": ["ein Text"]})
