"""A table of who gets what right: small text classifiers, each trained on one or a few sets, asked about all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _scan import table
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from plait.encoders.static import StaticTable
from plait.encoders.transformer import Transformer
from plait.pooling.mean import MeanPool
from plait.step import Chain, unit_rows
from plait.types import Floats

QUESTIONS = {
    "mr": "Is this film review positive",
    "cr": "Is the customer content with the product",
    "mpqa": "Is this phrase favourable",
    "subj": "Is this sentence a matter of opinion",
    "trec": "What kind of answer does this question ask for",
    "sick": "Does the first sentence imply the second",
}
"""What is asked about the texts of each set. Answers are numbers: a model that was never told of a set guesses."""
MIXED = {"opinions": ("mr", "cr", "mpqa"), "everything": tuple(QUESTIONS)}


@dataclass(frozen=True, eq=False)
class Bed:
    """Models and questions.

    Attributes:
        correct: ``[M, Q]``.
        names: of the models.
        trained_on: set that each model was trained on, or the name of a mixture.
        sets: ``[Q]`` set of each question.
        vectors: ``[Q, D]`` of the questions, rows of length 1.
    """

    correct: np.ndarray
    names: list[str]
    trained_on: list[str]
    sets: np.ndarray
    vectors: Floats


@dataclass(frozen=True, eq=False)
class Set:
    """Texts and their answers: the first ``train`` are learned from, the others asked."""

    texts: list[str]
    answers: np.ndarray
    train: int


def classifier_bed(data: Path, train: int, asked: int) -> Bed:
    """Train the models on ``train`` texts of each set and ask them ``asked`` others."""
    sets = {name: _read(data, name, train, asked) for name in QUESTIONS}
    learned = [text for one in sets.values() for text in one.texts[:train]]
    answers = np.concatenate([one.answers[:train] for one in sets.values()])
    source = np.repeat(list(sets), train)
    items = [text for one in sets.values() for text in one.texts[train:]]
    gold = np.concatenate([one.answers[train:] for one in sets.values()])
    which = np.repeat(list(sets), [len(one.texts) - train for one in sets.values()])
    features = _features(learned, items)
    right, names, trained_on = [], [], []
    for group, members in {**{name: (name,) for name in sets}, **MIXED}.items():
        rows = np.isin(source, members)
        for kind, model in _models().items():
            before, after = features[kind.split()[0]]
            right.append(model.fit(before[rows], answers[rows]).predict(after) == gold)
            names.append(f"{kind} on {group}")
            trained_on.append(group)
    asking = [f"{QUESTIONS[name]}: {text}" for name, text in zip(which, items, strict=True)]
    return Bed(np.array(right, float), names, trained_on, which, _sentences(asking))


def _read(data: Path, name: str, train: int, asked: int) -> Set:
    """Different texts in random order, as many as wanted."""
    if name == "sick":
        rows = table(data / "sts" / "sick" / "train.tsv")
        found = {f"{row['sentence1']} / {row['sentence2']}": row["entailment"] for row in rows}
    elif name == "trec":
        found = {row["text"]: row["coarse"] for row in table(data / "classification" / "trec" / "train.tsv")}
    else:
        found = {row["text"]: row["label"] for row in table(data / "classification" / f"{name}.tsv")}
    texts = list(found)
    classes = sorted(set(found.values()))
    order = np.random.default_rng(0).permutation(len(texts))[: train + asked]
    return Set([texts[n] for n in order], np.array([classes.index(found[texts[n]]) for n in order]), train)


def _models() -> dict[str, BaseEstimator]:
    """The first word names the features."""
    return {
        "MiniLM logistic regression": LogisticRegression(max_iter=300),
        "MiniLM neighbours": KNeighborsClassifier(15),
        "static logistic regression": LogisticRegression(max_iter=300),
        "static naive Bayes": GaussianNB(),
        "words logistic regression": LogisticRegression(C=10, max_iter=300),
        "words naive Bayes": MultinomialNB(),
        "words tree": DecisionTreeClassifier(max_depth=10, random_state=0),
    }


def _features(learned: Sequence[str], items: Sequence[str]) -> dict[str, tuple[csr_matrix, csr_matrix]]:
    texts, cut = [*learned, *items], len(learned)
    static = _encoded(StaticTable("wordllama") | MeanPool(), texts)
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2).fit(learned)
    dense = {"MiniLM": _sentences(texts), "static": static}
    found = {name: (values[:cut], values[cut:]) for name, values in dense.items()}
    return {**found, "words": (words.transform(learned), words.transform(items))}


def _sentences(texts: Sequence[str]) -> Floats:
    return _encoded(Transformer("all-MiniLM-L6-v2", max_length=64) | MeanPool(), texts)


def _encoded(recipe: Chain, texts: Sequence[str]) -> Floats:
    return unit_rows(np.asarray(recipe.encode(list(texts)).values, np.float32))
