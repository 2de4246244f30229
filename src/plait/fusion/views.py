"""Views of labelled documents in several languages: each makes vectors that are comparable across the languages."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.feature_extraction.text import TfidfVectorizer

from plait.fusion.label_posteriors import LabelPosteriors
from plait.fusion.word_tables import WordTable, read_source
from plait.step import Step, unit_rows
from plait.transforms.principal import AllButTheTop
from plait.transforms.word_class import WordClassEmbedding
from plait.types import DataError, Floats, RecipeError

Documents: TypeAlias = Mapping[str, Sequence[str]]
"""Documents by language."""
Labels: TypeAlias = Mapping[str, ArrayLike]
"""``[N, C]`` of 0 and 1 by language; column c is the same class in all."""

WORD = r"[^\s.,;:!?()\"“”«»\[\]]+"
r"""scikit-learn's ``\w\w+`` would break words at the vowel signs of many scripts."""


class View(BaseEstimator):
    """One way to make vectors of documents, fitted for each language.

    Attributes:
        posterior: whether the vectors are probabilities of the classes already.
    """

    posterior: ClassVar[bool] = False

    def fit(self, X: Documents, y: Labels) -> Self:
        """Learn from documents and their labels, by language."""
        self.parts_ = {language: self._learn(language, X[language], np.asarray(y[language])) for language in X}
        return self

    def transform(self, X: Documents) -> dict[str, Floats]:
        """``[N, D]`` vectors of length 1, by language."""
        known = getattr(self, "parts_", None)
        if known is None:
            raise RecipeError(f"{type(self).__name__} is not fitted; call fit with documents and labels first")
        strange = [language for language in X if language not in known]
        if strange:
            raise DataError(f"the language {strange[0]!r} was not among those learned from ({', '.join(known)})")
        return {language: unit_rows(self._vectors(known[language], texts)) for language, texts in X.items()}

    @abstractmethod
    def _learn(self, language: str, texts: Sequence[str], labels: np.ndarray) -> Any:
        """What `_vectors` needs of a language."""

    @abstractmethod
    def _vectors(self, part: Any, texts: Sequence[str]) -> Floats:
        """``[N, D]``."""


class PosteriorView(View):
    """Calibrated probabilities of the classes, from a linear classifier on each language's weighted words.

    Args:
        vectorizer: texts to word weights; None takes TF-IDF with sublinear counts.
        posteriors: the classifier; None takes `LabelPosteriors` as it is.

    Source: Funnelling: A New Ensemble Method for Heterogeneous Transfer Learning, arXiv 1901.11459.
    """

    posterior = True

    def __init__(self, vectorizer: Any = None, posteriors: LabelPosteriors | None = None) -> None:
        self.vectorizer = vectorizer
        self.posteriors = posteriors

    def _learn(self, language: str, texts: Sequence[str], labels: np.ndarray) -> Any:
        words = _vectorizer(self.vectorizer)
        weights = words.fit_transform(texts)
        return words, clone(self.posteriors or LabelPosteriors()).fit(weights, labels)

    def _vectors(self, part: Any, texts: Sequence[str]) -> Floats:
        words, classifier = part
        found: Floats = classifier.predict_proba(words.transform(texts))
        return found


class WordClassView(View):
    """Documents as sums of `WordClassEmbedding`: one number a class, whatever the language.

    Args:
        vectorizer: texts to word weights; None takes TF-IDF with sublinear counts.
        remove: principal components to take off, learned from the training documents: what all documents share.

    Source: Generalized Funnelling: Ensemble Learning and Heterogeneous Document Embeddings for Cross-Lingual Text
    Classification, arXiv 2110.14764.
    """

    def __init__(self, vectorizer: Any = None, remove: int = 1) -> None:
        self.vectorizer = vectorizer
        self.remove = remove

    def _learn(self, language: str, texts: Sequence[str], labels: np.ndarray) -> Any:
        words = _vectorizer(self.vectorizer)
        weights = words.fit_transform(texts)
        table = WordClassEmbedding().fit(weights, labels)
        return words, table, AllButTheTop(self.remove).fit(table.transform(weights))

    def _vectors(self, part: Any, texts: Sequence[str]) -> Floats:
        words, table, common = part
        found: Floats = common.transform(table.transform(words.transform(texts)))
        return found


class WordVectorView(View):
    """Documents as weighted sums of word vectors that share a space across the languages.

    Args:
        tables: word tables by language, already aligned; `MetaEmbedding` and `Procrustes` make such.
        vectorizer: texts to word weights; None takes TF-IDF with sublinear counts. Only words of the table count.
        remove: principal components to take off, learned from the training documents.
    """

    def __init__(self, tables: Mapping[str, WordTable], vectorizer: Any = None, remove: int = 1) -> None:
        self.tables = tables
        self.vectorizer = vectorizer
        self.remove = remove

    def _learn(self, language: str, texts: Sequence[str], labels: np.ndarray) -> Any:
        if language not in self.tables:
            raise DataError(f"there is no word table for the language {language!r}; there are {', '.join(self.tables)}")
        source = read_source(self.tables[language], list(self.tables).index(language))
        words = _vectorizer(self.vectorizer).set_params(vocabulary=source.row)
        weights = words.fit_transform(texts)
        return words, source.vectors, AllButTheTop(self.remove).fit(weights @ source.vectors)

    def _vectors(self, part: Any, texts: Sequence[str]) -> Floats:
        words, table, common = part
        found: Floats = common.transform(words.transform(texts) @ table)
        return found


class EncoderView(View):
    """Documents through a recipe that reads all the languages.

    Args:
        encoder: texts to vectors; it is not trained here.
    """

    def __init__(self, encoder: Step) -> None:
        self.encoder = encoder

    def _learn(self, language: str, texts: Sequence[str], labels: np.ndarray) -> Any:
        return self.encoder

    def _vectors(self, part: Any, texts: Sequence[str]) -> Floats:
        found: Floats = part.encode(list(texts)).values
        return found


def _vectorizer(given: Any) -> Any:
    return clone(given) if given is not None else TfidfVectorizer(sublinear_tf=True, token_pattern=WORD)
