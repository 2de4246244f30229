"""Word tables trained on the books, and what they are measured on."""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.stats import spearmanr
from sklearn.utils.extmath import randomized_svd

from plait._lazy import need
from plait.encoders.static import StaticTable
from plait.pooling.mean import MeanPool
from plait.step import unit_rows
from plait.types import Floats

Words = list[str]
Pairs = list[tuple[str, str, float]]
Table = tuple[Words, Floats]
Look = Callable[[Words], Floats]

WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")


def book_sentences(data: Path, parts: Sequence[int]) -> list[Words]:
    """Paragraphs of some parts of the training books, in lower-case words."""
    found = []
    for part in parts:
        text = gzip.decompress((data / "text" / "classic_books" / f"train_{part}.txt.gz").read_bytes()).decode()
        found += [WORD.findall(block.lower().replace("’", "'")) for block in text.split("\n\n")]
    return [words for words in found if words]


def skip_gram(sentences: Sequence[Words], dim: int, window: int, epochs: int, least: int) -> Table:
    """word2vec; one worker, so that two runs give the same."""
    need("gensim", "words")
    from gensim.models import Word2Vec

    model = Word2Vec(
        sentences, vector_size=dim, window=window, min_count=least, sg=1, epochs=epochs, workers=1, seed=0, sample=1e-4
    )
    return list(model.wv.index_to_key), np.array(model.wv.vectors)


def subword_skip_gram(sentences: Sequence[Words], dim: int, window: int, epochs: int, least: int) -> Table:
    """fastText, as a table of the words that it saw."""
    need("gensim", "words")
    from gensim.models import FastText

    model = FastText(
        sentences, vector_size=dim, window=window, min_count=least, sg=1, epochs=epochs, workers=1, seed=0,
        sample=1e-4, bucket=100_000,
    )  # fmt: skip
    return list(model.wv.index_to_key), np.array(model.wv.vectors)


def factorized_counts(sentences: Sequence[Words], dim: int, window: int, least: int) -> Table:
    """Positive pointwise mutual information, context counts to the power 0.75, and its truncated SVD."""
    counts = Counter(word for sentence in sentences for word in sentence)
    words = [word for word, count in counts.most_common() if count >= least]
    number = {word: n for n, word in enumerate(words)}
    rows = [np.array([number[word] for word in sentence if word in number], np.int32) for sentence in sentences]
    left = [row[:-shift] for shift in range(1, window + 1) for row in rows if len(row) > shift]
    right = [row[shift:] for shift in range(1, window + 1) for row in rows if len(row) > shift]
    one, other = np.concatenate(left), np.concatenate(right)
    together = coo_matrix((np.ones(len(one), np.float32), (one, other)), shape=(len(words),) * 2).tocsr()
    together = (together + together.T).tocoo()
    word, context = np.asarray(together.sum(axis=1)).ravel(), np.asarray(together.sum(axis=0)).ravel() ** 0.75
    share = together.data * context.sum() / (word[together.row] * context[together.col])
    together.data = np.maximum(np.log(share), 0).astype(np.float32)
    matrix = together.tocsr()
    matrix.eliminate_zeros()
    left_vectors, strength, _ = randomized_svd(matrix, dim, n_iter=4, random_state=0)
    return words, np.asarray(left_vectors * np.sqrt(strength), np.float32)


def wordllama(words: Words) -> Table:
    """Mean of a word's token vectors in the ready-made table."""
    return words, np.asarray((StaticTable("wordllama") | MeanPool()).encode(words).values, np.float32)


def similarity_sets(data: Path) -> dict[str, Pairs]:
    """Word pairs with people's scores."""
    folder = data / "words" / "similarity"
    rows = csv.reader(file_lines(folder / "wordsim353-all.tsv"), delimiter="\t")
    found = {"WordSim-353": [(a.lower(), b.lower(), float(score)) for a, b, score in rows]}
    for name, file in {"SimLex-999": "simlex999", "MTurk-771": "mturk-771", "SimVerb-3500": "simverb-3500"}.items():
        table = csv.DictReader(file_lines(folder / f"{file}.csv"))
        found[name] = [(row["word1"].lower(), row["word2"].lower(), float(row["similarity"])) for row in table]
    return found


def file_lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def rank_correlation(table: Table, pairs: Pairs) -> float:
    """Spearman × 100 of the cosine."""
    row = {word: n for n, word in enumerate(table[0])}
    vectors = unit_rows(table[1])
    cosine = [float(vectors[row[a]] @ vectors[row[b]]) for a, b, _ in pairs]
    return 100 * float(spearmanr(cosine, [score for _, _, score in pairs]).statistic)


def treebank(path: Path) -> list[tuple[Words, Words]]:
    """Lower-case words and their part of speech, for every sentence."""
    sentences = []
    for block in gzip.decompress(path.read_bytes()).decode().strip().split("\n\n"):
        rows = [line.split("\t") for line in block.split("\n") if line.partition("\t")[0].isdigit()]
        sentences.append(([row[1].lower().replace("’", "'") for row in rows], [row[3] for row in rows]))
    return sentences


def look_up(table: Table) -> Look:
    """The rows of words; zeros for those that are not there."""
    row = {word: n for n, word in enumerate(table[0])}
    vectors = np.vstack([table[1], np.zeros((1, table[1].shape[1]), np.float32)])
    return lambda words: vectors[[row.get(word, -1) for word in words]]


def windows(sentences: Sequence[tuple[Words, Words]], look: Look) -> tuple[Floats, np.ndarray]:
    """Vectors of a word and of the words to its left and right, and its part of speech."""
    rows = []
    for words, _ in sentences:
        padded = np.pad(look(words), [(1, 1), (0, 0)])
        rows.append(np.hstack([padded[:-2], padded[1:-1], padded[2:]]))
    return np.concatenate(rows), np.array([tag for _, tags in sentences for tag in tags])
