"""Learned sparse vectors: what each word of a text weighs, where it stands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.sparse import csr_array

from plait.bank import write_atomic
from plait.encoders.transformer import Transformer
from plait.plan import Progress
from plait.retrieval.late_interaction import TokenBatch, TokenEncoder
from plait.retrieval.rank_fusion import Ranking
from plait.roles import Encoder
from plait.step import Chain
from plait.types import DataError, Floats, Ints, RecipeError

if TYPE_CHECKING:
    from plait.retrieval.sparse_training import LexicalPairs

SETTINGS, ARRAYS = "lexical_weights.json", "lexical_weights.safetensors"
BLOCK = 8_000_000
"""Scores that are in memory at once."""


class LexicalWeights:
    """Sparse vectors over an encoder's vocabulary, from a small head that is learned on its states.

    A token weighs ``relu(h · w + b)``, h its state; a text's weight for an id is the largest over its tokens. Ids that
    stand for no word weigh nothing, nor does a prompt. As h knows the context, a word may weigh little in one text and
    much in another. Two texts score the sum, over the ids they share, of the product of the weights: no bound, and
    another scale for each head.

    Args:
        recipe: a `Transformer`, with a layer step behind it if it is not the last layer that is read.
        epochs: passes over the pairs, at most; 0 leaves the head as it was drawn.
        lr: peak step. Ten times the default leaps over the best head at this temperature.
        batch_size: pairs; the other answers of a batch are what each query is contrasted with.
        temperature: divides the score. 0.02 is the published value; it brings the scores to the order of 1.
        random_state: of the head's first weights, the order of the pairs and those held out to stop early.

    Attributes:
        weight_: ``[D]``.
        bias_: a number.

    Raises:
        RecipeError: if the recipe holds something else.

    Source: BGE M3-Embedding: Multi-Lingual, Multi-Functionality, Multi-Granularity Text Embeddings Through
    Self-Knowledge Distillation, arXiv 2402.03216.

    Example:
        >>> lexical = LexicalWeights(plait.Transformer("all-MiniLM-L6-v2"), epochs=2)
        >>> queries = ["what flies", "who makes music", "what falls", "who barks"]
        >>> answers = ["a plane flies", "a man makes music", "rain falls", "a dog barks"]
        >>> vectors = lexical.fit(queries, answers).transform(["a plane", "music", ""])
        >>> vectors.shape, vectors[[2]].nnz
        ((3, 30522), 0)
    """

    def __init__(
        self,
        recipe: Encoder | Chain,
        epochs: int = 20,
        lr: float = 1e-3,
        batch_size: int = 32,
        temperature: float = 0.02,
        random_state: int = 0,
    ) -> None:
        self.recipe, self.epochs, self.lr = recipe, epochs, lr
        self.batch_size, self.temperature, self.random_state = batch_size, temperature, random_state
        self.encoder = TokenEncoder(recipe)
        if not isinstance(self.encoder.encoder, Transformer):
            raise RecipeError(
                f"{recipe} gives a word the same state in every text; take a Transformer, or Bm25 for weights that "
                "count words"
            )

    def fit(
        self,
        queries: Sequence[str],
        answers: Sequence[str],
        negatives: Sequence[Sequence[str]] = (),
        progress: Progress | None = None,
    ) -> Self:
        """Learn from pairs; the encoder stays as it is and reads each text once.

        Args:
            queries: P texts.
            answers: P texts. Pairs that share a query or an answer are never contrasted with each other.
            negatives: for each query equally many texts that do not answer it, though they look as if they did.
            progress: called while texts are read and while the head learns.

        Raises:
            DataError: if there are fewer than four pairs, or the three do not fit together.
        """
        from plait.retrieval.sparse_training import LexicalPairs

        return self.learn(LexicalPairs.read(self.encoder, queries, answers, negatives, progress), progress)

    def learn(self, pairs: LexicalPairs, progress: Progress | None = None) -> Self:
        """As `fit`, on pairs that were read before."""
        from plait.retrieval.sparse_training import train_head

        self.weight_, self.bias_, self.history_ = train_head(self, pairs, progress)
        return self

    def transform(self, texts: Sequence[str], role: str = "document", progress: Progress | None = None) -> csr_array:
        """``[N, V]`` sparse vectors of N texts.

        Args:
            texts: N texts.
            role: "query" or "document".
            progress: called with a label, tokens read, tokens in all.

        Raises:
            RecipeError: if nothing was learned yet.
        """
        batches = self.encoder.batches(texts, role, progress)
        return stacked(((batch.rows, self.of(batch)) for batch in batches), len(texts), self.vocabulary)

    def of(self, batch: TokenBatch) -> csr_array:
        """``[N, V]`` sparse vectors of the texts of a batch.

        Raises:
            RecipeError: if nothing was learned yet.
        """
        if not hasattr(self, "weight_"):
            raise RecipeError("this head has learned nothing yet: fit it on pairs of queries and answers, or load one")
        counted = np.flatnonzero(batch.own & ~np.isin(batch.tokens.ids, self._special))
        weights = batch.states[counted] @ self.weight_ + np.float32(self.bias_)
        kept = weights > 0
        return largest(batch.texts[counted[kept]], batch.tokens.ids[counted[kept]], weights[kept],
                       (len(batch.rows), self.vocabulary))  # fmt: skip

    @cached_property
    def vocabulary(self) -> int:
        """V, ids of the encoder's vocabulary."""
        return self._host.vocabulary

    @cached_property
    def _special(self) -> Ints:
        return np.array(sorted(self._host.special_ids), np.int64)

    @property
    def _host(self) -> Transformer:
        assert isinstance(self.encoder.encoder, Transformer)
        return self.encoder.encoder

    def save(self, folder: str | Path) -> None:
        """Write the head to a folder: its numbers, and the text of the recipe it reads."""
        from safetensors.numpy import save

        self.of(next(iter(self.encoder.batches(["a"]))))  # refuses a head that has learned nothing
        names = ("epochs", "lr", "batch_size", "temperature", "random_state")
        options = {name: getattr(self, name) for name in names}
        facts = {"recipe": str(self.recipe), "encoder": self._host.fingerprint, "options": options}
        Path(folder).mkdir(parents=True, exist_ok=True)
        arrays = {"weight": self.weight_, "bias": np.array([self.bias_], np.float32)}
        write_atomic(Path(folder) / ARRAYS, save(arrays))
        write_atomic(Path(folder) / SETTINGS, (json.dumps(facts, indent=1) + "\n").encode())

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Open what `save` wrote.

        Raises:
            DataError: if the folder holds no head, it is damaged, or the encoder has other weights now.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        from plait.recipe import parse

        try:
            facts = json.loads((Path(folder) / SETTINGS).read_text(encoding="utf-8"))
            arrays = load_file(Path(folder) / ARRAYS)
            made = cls(parse(facts["recipe"]), **facts["options"])
            made.weight_, made.bias_ = arrays["weight"], float(arrays["bias"][0])
            encoder = facts["encoder"]
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise DataError(f"{folder} holds no lexical weights, or damaged ones ({error}); fit them again") from error
        if encoder != made._host.fingerprint or made.weight_.shape != (made._host.width,):
            raise DataError(f"{folder} was fitted on other weights than {facts['recipe']} has now; fit it again")
        return made


class SparseIndex:
    """Search among sparse vectors by the dot product.

    Args:
        vectors: ``[N, V]``.

    Raises:
        DataError: if they are no matrix, or hold what is not finite.

    Example:
        >>> index = SparseIndex(csr_array(np.array([[0, 2, 0], [1, 1, 0], [0, 0, 3]], np.float32)))
        >>> index.search(csr_array(np.array([[0, 1, 0]], np.float32)), k=3).numbers.tolist()
        [[0, 1, -1]]
    """

    def __init__(self, vectors: csr_array) -> None:
        self.vectors = csr_array(vectors)
        if self.vectors.ndim != 2 or not np.isfinite(self.vectors.data).all():
            raise DataError(f"got {self.vectors!r}; expected a sparse [N, V] matrix of finite numbers")
        self._columns = csr_array(self.vectors.T)

    def __len__(self) -> int:
        return int(self.vectors.shape[0])

    def search(self, queries: csr_array, k: int = 10, among: Ints | None = None) -> Ranking:
        """The k best for each query; only those that score above 0: what shares no id with it is never found.

        Args:
            queries: ``[Q, V]``.
            k: how many.
            among: numbers to look at; None looks at all.

        Raises:
            RecipeError: if ``k`` is below 1, or the queries are of another vocabulary.
        """
        if k < 1:
            raise RecipeError(f"k is {k}; expected how many results to return, 1 or more")
        if queries.shape[1] != self.vectors.shape[1]:
            raise RecipeError(f"queries of {queries.shape[1]} ids, an index of {self.vectors.shape[1]}: take one head")
        looked = np.ones(len(self), np.bool_)
        if among is not None:
            looked = np.isin(np.arange(len(self)), among)
        return Ranking.of(list(self._lines(csr_array(queries), looked, k)), k)

    def _lines(self, queries: csr_array, looked: np.ndarray, k: int) -> Iterator[tuple[Ints, Floats]]:
        at_once = max(1, BLOCK // max(1, len(self)))
        for start in range(0, queries.shape[0], at_once):
            scores = csr_array(queries[start : start + at_once] @ self._columns)
            for a, b in zip(scores.indptr[:-1].tolist(), scores.indptr[1:].tolist(), strict=True):
                found, mine = scores.indices[a:b].astype(np.int64), scores.data[a:b].astype(np.float32)
                kept = (mine > 0) & looked[found]
                yield _best(found[kept], mine[kept], k)


def _best(found: Ints, scores: Floats, k: int) -> tuple[Ints, Floats]:
    """Enough of a line that the k best are in it, ties included."""
    if len(found) <= k:
        return found, scores
    kept = scores >= np.partition(scores, -k)[-k]
    return found[kept], scores[kept]


def largest(rows: Ints, ids: np.ndarray, weights: Floats, shape: tuple[int, int]) -> csr_array:
    """A sparse matrix with the largest weight of each row and id.

    >>> largest(np.array([0, 0, 1]), np.array([2, 2, 0]), np.array([1, 3, 2], np.float32), (2, 4)).toarray().tolist()
    [[0.0, 0.0, 3.0, 0.0], [2.0, 0.0, 0.0, 0.0]]
    """
    keys = rows.astype(np.int64) * shape[1] + ids
    order = np.argsort(keys, kind="stable")
    unique, starts = np.unique(keys[order], return_index=True)
    data = np.maximum.reduceat(weights[order], starts) if len(starts) else np.zeros(0, np.float32)
    places, columns = np.divmod(unique, shape[1])
    bounds = np.concatenate([[0], np.cumsum(np.bincount(places, minlength=shape[0]))])
    return csr_array((data.astype(np.float32), columns, bounds), shape=shape)


def stacked(parts: Iterable[tuple[Ints, csr_array]], size: int, width: int) -> csr_array:
    """One ``[size, width]`` matrix of rows that come in parts, each with the numbers of its rows; others are empty."""
    from scipy.sparse import vstack

    given: list[Any] = [csr_array((0, width), dtype=np.float32)]
    numbers = [np.zeros(0, np.int64)]
    for rows, matrix in parts:
        numbers.append(rows)
        given.append(matrix)
    found = np.concatenate(numbers)
    place = np.full(size, len(found), np.int64)  # one more row, that is empty
    place[found] = np.arange(len(found))
    whole = csr_array(vstack([*given, csr_array((1, width), dtype=np.float32)], format="csr"))
    return csr_array(whole[place])
