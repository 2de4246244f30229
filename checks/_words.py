"""Candidate word vectors of tagged sentences: contextual, static, of characters, trained here, and pure noise."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

from plait._lazy import need
from plait.encoders.static import StaticTable
from plait.encoders.transformer import Transformer
from plait.layers.single import Layer
from plait.plan import run
from plait.pooling.mean import MeanPool
from plait.types import Floats

Sentence = tuple[str, ...]

CONTEXTUAL = ("MiniLM last layer", "MiniLM layer 2")
NOISE = ("noise by position", "noise by word")
WINDOWS = (2, 8)
"""Words to either side that word vectors are trained on: a narrow window learns syntax, a wide one topics."""


def books(data: Path) -> list[Sentence]:
    """Paragraphs of the validation books, in lower-case words and signs."""
    text = gzip.decompress((data / "text" / "classic_books" / "valid_0.txt.gz").read_bytes()).decode()
    return [tuple(re.findall(r"\w+|[^\w\s]", part.lower())) for part in text.split("\n\n") if part.strip()]


def candidates(sentences: Sequence[Sentence], training: Sequence[Sentence]) -> dict[str, Floats]:
    """``[W, D]`` vectors of every word of the sentences, by the name of the candidate.

    Args:
        sentences: what is to be tagged.
        training: text that the word vectors are trained on.
    """
    words = [word for sentence in sentences for word in sentence]
    host, table = Transformer("all-MiniLM-L6-v2"), StaticTable("wordllama")
    chains = [host | Layer(host.depth) | MeanPool(), host | Layer(2) | MeanPool(), table | MeanPool()]
    strands = [next(chain.strands()) for chain in chains]
    vectors, _ = run(strands, list(sentences))
    found = dict(zip((*CONTEXTUAL, "WordLlama"), (vectors[strand.text] for strand in strands), strict=True))
    for window in WINDOWS:
        found[f"word vectors, window {window}"] = _looked_up(words, _trained(training, window))
    hashed = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), n_features=256, lowercase=False)
    found["hashed character n-grams"] = _by_type(words, lambda types: hashed.transform(types).toarray())
    rng = np.random.default_rng(0)
    places = rng.normal(size=(max(map(len, sentences)), 32))
    found[NOISE[0]] = np.concatenate([places[: len(sentence)] for sentence in sentences]).astype(np.float32)
    found[NOISE[1]] = _by_type(words, lambda types: rng.normal(size=(len(types), 64)))
    return found


def _trained(training: Iterable[Sentence], window: int) -> dict[str, Floats]:
    """Skip-gram vectors; one worker, so that two runs give the same."""
    need("gensim", "words")
    from gensim.models import Word2Vec

    texts = [[word.lower() for word in sentence] for sentence in training]
    model = Word2Vec(texts, vector_size=100, window=window, min_count=2, sg=1, epochs=5, workers=1, seed=0)
    return {word: model.wv[word] for word in model.wv.index_to_key}


def _looked_up(words: Sequence[str], table: dict[str, Floats]) -> Floats:
    unknown = np.zeros(len(next(iter(table.values()))), np.float32)
    return np.stack([table.get(word.lower(), unknown) for word in words])


def _by_type(words: Sequence[str], make: Callable[[list[str]], np.ndarray]) -> Floats:
    """Vectors of the different words, spread over all their places."""
    types = list(dict.fromkeys(words))
    place = {word: number for number, word in enumerate(types)}
    return np.asarray(make(types)[[place[word] for word in words]], np.float32)
