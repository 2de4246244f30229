"""`MetaEmbedding`: several word tables made into one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator

from plait.fusion.generalized_cca import GeneralizedCca
from plait.fusion.missing_words import fill_missing
from plait.fusion.word_tables import Dictionaries, Source, WordTable, normalized, of_width, read_source, same_words
from plait.rows import Doubles
from plait.step import unit_rows
from plait.transforms.moments import axes_of
from plait.transforms.procrustes import Procrustes
from plait.types import DataError, Floats, RecipeError

METHODS = ("align_average", "average", "concat", "concat_svd", "gcca")


class MetaEmbedding(BaseEstimator):
    """One word table out of several, over the union of their words.

    "align_average" turns every table into the space of one of them, fills in the words that a table lacks from their
    neighbours, and averages. Equal strings are the same word; tables of different languages need a mark of the
    language on each word and a dictionary. A table may also be texts with their vectors.

    Args:
        method: "align_average"; "average" without the turning; "concat" side by side; "concat_svd" and its strongest
            directions; "gcca" for what the tables agree on.
        target: number of the table whose space the others are turned into.
        normalize: what is done to each table first: "unit_center_unit" (rows to length 1, mean row off, length 1
            again: without the third the lengths would weigh the words), "unit" or None.
        oov: words that a table lacks: "neighbours" makes them from their neighbours in another table, "zero" leaves
            that table out of the average, "skip" keeps only words that all tables have.
        k: neighbours that a made word is averaged from; None searches 2 to ``k_max`` for each word.
        k_max: most neighbours that are tried.
        n_components: numbers of a meta vector (with "concat": of each part); None takes the widest table's. Narrower
            tables are padded with zeros, wider ones reduced to their principal components.

    Attributes:
        vocabulary_: the words, those of the first table first.
        vectors_: ``[V, D]``, rows of length 1.
        maps_: ``[D, D]`` turn of each table into the target's space ("align_average" only).
        filled_: how many words were made from neighbours, for each table.

    Raises:
        DataError: if there are fewer than two tables, one is damaged, or two that are to be aligned share no word.
        RecipeError: for an unknown method, target or way of normalising.

    Source: A Common Semantic Space for Monolingual and Cross-Lingual Meta-Embeddings, arXiv 2001.06381.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> words, table = ["cat", "dog", "bus", "car"], rng.normal(size=(4, 3))
        >>> turned = table @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
        >>> meta = MetaEmbedding().fit([(words, table), (words[:3], turned[:3])])
        >>> meta.vocabulary_, meta.transform(["bus", "car"]).shape
        (['cat', 'dog', 'bus', 'car'], (2, 3))
    """

    def __init__(
        self,
        method: str = "align_average",
        target: int = 0,
        normalize: str | None = "unit_center_unit",
        oov: str = "neighbours",
        k: int | None = None,
        k_max: int = 50,
        n_components: int | None = None,
    ) -> None:
        self.method = method
        self.target = target
        self.normalize = normalize
        self.oov = oov
        self.k = k
        self.k_max = k_max
        self.n_components = n_components

    def fit(self, X: Sequence[WordTable], y: object = None, dictionaries: Dictionaries | None = None) -> Self:
        """Fuse the tables.

        Args:
            X: gensim tables (``index_to_key`` and ``vectors``) or pairs of words and rows.
            y: not used.
            dictionaries: ``{(0, 1): [("en:dog", "fr:chien"), …]}``, pairs of words that mean the same in two tables.
        """
        self._check(len(X))
        pairs = dictionaries or {}
        sources = [normalized(read_source(table, number), self.normalize) for number, table in enumerate(X)]
        width = self.n_components or max(source.vectors.shape[1] for source in sources)
        if self.method != "gcca":
            sources = [of_width(source, width) for source in sources]
        if self.method == "align_average":
            sources = self._aligned(sources, pairs)
        self.vocabulary_ = self._vocabulary(sources)
        filled = self._filled(sources, pairs)
        self.vectors_ = unit_rows(self._combined(filled, width))
        self._row = {word: number for number, word in enumerate(self.vocabulary_)}
        return self

    def transform(self, X: Sequence[str]) -> Floats:
        """``[N, D]`` vectors of words; one that no table has gets zeros."""
        if not hasattr(self, "vectors_"):
            raise RecipeError("MetaEmbedding is not fitted; call fit with two word tables or more first")
        if isinstance(X, str):
            raise DataError(f"words is the text {X[:40]!r}; expected a list of words, such as [word]")
        rows = np.array([self._row.get(word, -1) for word in X], np.int64)
        found: Floats = np.where(rows[:, None] < 0, np.float32(0), self.vectors_[rows])
        return found

    def _check(self, count: int) -> None:
        if self.method not in METHODS:
            raise RecipeError(f"method is {self.method!r}; expected one of {', '.join(METHODS)}")
        if self.oov not in ("neighbours", "zero", "skip"):
            raise RecipeError(f'oov is {self.oov!r}; expected "neighbours", "zero" or "skip"')
        if count < 2:
            raise DataError(f"MetaEmbedding got {count} word tables; expected two or more")
        if not 0 <= self.target < count:
            raise RecipeError(f"target is {self.target}, but there are {count} tables, numbered from 0")
        if self.k_max < 2 or (self.k is not None and self.k < 1):
            raise RecipeError(f"k is {self.k} and k_max {self.k_max}; expected 1 or more (or None), and 2 or more")

    def _aligned(self, sources: Sequence[Source], dictionaries: Dictionaries) -> list[Source]:
        self.maps_: list[Doubles] = []
        aligned = []
        for number, source in enumerate(sources):
            there, here = same_words(sources, number, self.target, dictionaries)
            if not len(there):
                raise DataError(
                    f"word tables {number} and {self.target} share no word; give pairs of words that mean the same "
                    f"as dictionaries={{({number}, {self.target}): [...]}}"
                )
            goal = sources[self.target].vectors
            turn = Procrustes().fit(source.vectors[there], goal[here]).map_
            turn = np.eye(goal.shape[1]) if number == self.target else turn
            self.maps_.append(turn)
            aligned.append(Source(source.words, np.asarray(source.vectors @ turn, np.float32)))
        return aligned

    def _vocabulary(self, sources: Sequence[Source]) -> list[str]:
        words = dict.fromkeys(word for source in sources for word in source.words)
        if self.oov == "skip":
            words = {word: None for word in words if all(word in source.row for source in sources)}
        if not words:
            raise DataError('no word is in all tables; take oov="neighbours" or "zero"')
        return list(words)

    def _filled(self, sources: Sequence[Source], dictionaries: Dictionaries) -> list[Floats]:
        """``[V, D_k]`` of each table over the whole vocabulary."""
        if self.oov == "neighbours":
            tables = fill_missing(sources, self.vocabulary_, dictionaries, self.k, self.k_max)
        else:
            tables = []
            for source in sources:
                rows = np.array([source.row.get(word, -1) for word in self.vocabulary_])
                tables.append(np.where(rows[:, None] < 0, np.float32(0), source.vectors[rows]))
        lacking = [np.array([word not in source.row for word in self.vocabulary_]) for source in sources]
        self.filled_ = [int((gap & table.any(axis=1)).sum()) for gap, table in zip(lacking, tables, strict=True)]
        return tables

    def _combined(self, tables: Sequence[Floats], width: int) -> Floats:
        if self.method == "gcca":
            return GeneralizedCca(min(width, *(table.shape[1] for table in tables))).fit_transform(tables)
        units = [unit_rows(table) for table in tables]
        if self.method in ("average", "align_average"):
            return np.asarray(sum(units[1:], units[0]) / len(units), np.float32)
        joined = np.hstack(units)
        if self.method == "concat":
            return joined
        _, axes = axes_of(np.asarray(joined.T @ joined, np.float64), width)
        return np.asarray(joined @ axes, np.float32)
