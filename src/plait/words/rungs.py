"""The ladder: one representative of each family of embeddings, built on the same words of the same text."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from plait._lazy import need
from plait.roles import Encoder
from plait.types import Codes, DataError, Floats, Items, Vectors
from plait.words.counts import cooccurrences, ppmi
from plait.words.embedders import Embedder, TextModel, WordTable
from plait.words.vocabulary import Vocabulary, words_of

TOPICS, TOPIC_DOCUMENTS = 50, 8_000
"""Topics of LDA, and documents that it learns from at most: its steps are slow."""
WINDOW, NEGATIVES, EPOCHS = 5, 5, 5
INFERENCE = 20
"""Passes in which paragraph vectors find the vector of a new text."""


class TextEncoder(Protocol):
    """A recipe, or anything with its ``encode``."""

    def encode(self, items: Items, /) -> Vectors | Codes:
        """One row a text."""
        ...


@dataclass(frozen=True, eq=False)
class Rung:
    """One representative, and what it cost.

    Attributes:
        embedder: what was built.
        seconds: that building took.
    """

    embedder: Embedder
    seconds: float

    @property
    def nbytes(self) -> int:
        """Bytes of what was learned."""
        return self.embedder.nbytes


@dataclass(frozen=True, eq=False)
class _Text:
    """What all rungs are built from; documents hold words of the vocabulary only."""

    corpus: Sequence[Sequence[str]]
    vocabulary: Vocabulary
    dim: int
    seed: int
    built: dict[str, WordTable]

    @property
    def gensim(self) -> dict[str, Any]:
        """Parameters that all tables of gensim share; one worker, so that two runs give the same."""
        return {"vector_size": self.dim, "window": WINDOW, "negative": NEGATIVES, "min_count": 1, "epochs": EPOCHS} | {
            "workers": 1,
            "seed": self.seed,
        }


def ladder(
    corpus: Sequence[Sequence[str]],
    rungs: Sequence[str] | None = None,
    dim: int = 100,
    seed: int = 0,
    encoders: Mapping[str, TextEncoder] | None = None,
    vocabulary: Vocabulary | None = None,
) -> dict[str, Rung]:
    """Build the rungs, from counted words to contextual encoders.

    Args:
        corpus: documents as words, see `plait.words.vocabulary.words_of`.
        rungs: names out of `RUNGS`; None builds all.
        dim: numbers in each dense vector that is learned here; topics are always 50.
        seed: of what is drawn.
        encoders: recipes that were learned elsewhere, by the name of their rung; they come last.
        vocabulary: the words of all rungs; None takes those of the corpus that come five times or more, 20,000 at most.

    Returns:
        The rungs by name, in the order in which they were asked for.

    Raises:
        DataError: for an unknown name, or a corpus without enough words.
        MissingExtra: if a rung needs gensim, which is not installed.

    Source: From Word Vectors to Multimodal Embeddings: Techniques, Applications, and Future Directions For Large
    Language Models, arXiv 2411.05036.

    Example:
        >>> corpus = [["owls", "fly", "at", "night"], ["bats", "fly", "at", "night"], ["bats", "sleep"]] * 5
        >>> built = ladder(corpus, ["tf-idf", "ppmi-svd"], dim=2)
        >>> rows = built["ppmi-svd"].embedder.words(["owls", "bats"])
        >>> rows.shape
        (2, 2)
    """
    names = list(RUNGS) if rungs is None else list(rungs)
    unknown = [name for name in names if name not in RUNGS]
    if unknown:
        raise DataError(f"there is no rung {unknown[0]!r}; expected some of {', '.join(RUNGS)}")
    kept = Vocabulary.of(corpus) if vocabulary is None else vocabulary
    known = [tuple(word for word in words if word in kept.row) for words in corpus]
    text = _Text([words for words in known if words], kept, dim, seed, {})
    found = {}
    for name in names:
        start = time.perf_counter()
        found[name] = Rung(RUNGS[name](text), time.perf_counter() - start)
    return found | {name: Rung(_encoded(encoder), 0.0) for name, encoder in (encoders or {}).items()}


def _encoded(encoder: TextEncoder) -> TextModel:
    def transform(texts: Sequence[str]) -> Floats:
        made = encoder.encode(list(texts))
        if not isinstance(made, Vectors):
            raise DataError(f"{encoder} gives codes; a rung of the ladder needs vectors")
        return made.values

    steps = getattr(encoder, "steps", ())
    return TextModel(transform, sum(step.nbytes for step in steps if isinstance(step, Encoder)))


def _bag_of_words(text: _Text) -> TextModel:
    return TextModel(lambda texts: text.vocabulary.bags(map(words_of, texts)).sign(), 0)


def _tf_idf(text: _Text) -> TextModel:
    idf = text.vocabulary.idf

    def transform(texts: Sequence[str]) -> Any:
        return text.vocabulary.bags(map(words_of, texts)).multiply(idf).tocsr()

    return TextModel(transform, int(idf.nbytes))


def _lsa(text: _Text) -> TextModel:
    """Truncated SVD of TF-IDF."""
    from sklearn.decomposition import TruncatedSVD

    weighted = _tf_idf(text)
    svd = TruncatedSVD(text.dim, random_state=text.seed).fit(
        text.vocabulary.bags(text.corpus).multiply(text.vocabulary.idf).tocsr()
    )
    nbytes = int(svd.components_.nbytes) + weighted.nbytes
    return TextModel(lambda texts: svd.transform(weighted.transform(texts)).astype(np.float32), nbytes)


def _topics(text: _Text) -> TextModel:
    """Latent Dirichlet allocation: a text is its share of each topic."""
    from sklearn.decomposition import LatentDirichletAllocation

    bags = text.vocabulary.bags(text.corpus[:: max(1, len(text.corpus) // TOPIC_DOCUMENTS)])
    model = LatentDirichletAllocation(
        TOPICS, learning_method="online", batch_size=512, max_doc_update_iter=20, max_iter=2, random_state=text.seed
    ).fit(bags)

    def transform(texts: Sequence[str]) -> Floats:
        shares: Floats = model.transform(text.vocabulary.bags(map(words_of, texts))).astype(np.float32)
        return shares

    return TextModel(transform, int(model.components_.nbytes))


def _ppmi(text: _Text) -> WordTable:
    return WordTable(text.vocabulary, ppmi(cooccurrences(text.corpus, text.vocabulary, WINDOW)))


def _ppmi_svd(text: _Text) -> WordTable:
    """Left singular vectors, weighted by the square root of the singular values."""
    from sklearn.utils.extmath import randomized_svd

    left, values, _ = randomized_svd(_ppmi(text).table, text.dim, random_state=text.seed)
    return WordTable(text.vocabulary, (left * np.sqrt(values)).astype(np.float32))


def _glove(text: _Text) -> WordTable:
    from plait.words.weighted_least_squares import glove

    counts = cooccurrences(text.corpus, text.vocabulary, WINDOW, harmonic=True)
    return WordTable(text.vocabulary, glove(counts, text.dim, seed=text.seed))


def _word2vec(text: _Text, skip_gram: bool) -> WordTable:
    need("gensim", "words")
    from gensim.models import Word2Vec

    model = Word2Vec(text.corpus, sg=int(skip_gram), **text.gensim)
    return WordTable(text.vocabulary, _rows(model.wv, text.vocabulary))


def _skip_gram(text: _Text) -> WordTable:
    """Skip-gram vectors; the rungs that aggregate them take the same ones."""
    if "skip-gram" not in text.built:
        text.built["skip-gram"] = _word2vec(text, skip_gram=True)
    return text.built["skip-gram"]


def _fast_text(text: _Text) -> WordTable:
    need("gensim", "words")
    from gensim.models import FastText

    model = FastText(text.corpus, sg=1, min_n=3, max_n=6, bucket=100_000, **text.gensim)
    grams = int(model.wv.vectors_ngrams.nbytes)
    rows = _rows(model.wv, text.vocabulary)
    return WordTable(text.vocabulary, rows, outside=lambda word: model.wv[word], outside_nbytes=grams)


def _paragraphs(text: _Text, memory: bool) -> TextModel:
    """Paragraph vectors: distributed memory (PV-DM) or a distributed bag of words (PV-DBOW)."""
    need("gensim", "words")
    from gensim.models.doc2vec import Doc2Vec, TaggedDocument

    documents = [TaggedDocument(words, [number]) for number, words in enumerate(text.corpus)]
    model = Doc2Vec(documents, dm=int(memory), **text.gensim)
    nbytes = int(model.wv.vectors.nbytes + model.syn1neg.nbytes)

    def infer(words: Sequence[str]) -> Floats:
        model.random.seed(text.seed)  # else a text's vector would depend on what was asked before
        vector: Floats = model.infer_vector(words, epochs=INFERENCE)
        return vector

    return TextModel(lambda texts: np.stack([infer(words_of(one)) for one in texts]), nbytes)


def _rows(vectors: Any, vocabulary: Vocabulary) -> Floats:
    """Rows of a table of gensim in the order of the vocabulary; zeros for a word that the text lacks."""
    zeros = np.zeros(vectors.vector_size, np.float32)
    return np.stack([vectors[word] if word in vectors.key_to_index else zeros for word in vocabulary.words])


RUNGS: dict[str, Callable[[_Text], Embedder]] = {
    "bag of words": _bag_of_words,
    "tf-idf": _tf_idf,
    "ppmi": _ppmi,
    "ppmi-svd": _ppmi_svd,
    "lsa": _lsa,
    "topics": _topics,
    "skip-gram": _skip_gram,
    "cbow": lambda text: _word2vec(text, skip_gram=False),
    "glove": _glove,
    "fasttext": _fast_text,
    "skip-gram, idf": lambda text: _skip_gram(text).with_idf(),
    "skip-gram, sif": lambda text: _skip_gram(text).with_sif(text.corpus),
    "pv-dm": lambda text: _paragraphs(text, memory=True),
    "pv-dbow": lambda text: _paragraphs(text, memory=False),
}
"""The rungs that are learned from the corpus, in the order in which the field found them."""
