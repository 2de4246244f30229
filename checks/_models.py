"""Models that several checks compare: recipes that share their passes, and encoders that are made on the spot."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from plait._lazy import need
from plait.encoders.static import StaticTable
from plait.encoders.transformer import Transformer
from plait.layers.single import Layer
from plait.plan import run
from plait.pooling.maximum import MaxPool
from plait.pooling.mean import MeanPool
from plait.pooling.power_mean import PowerMeanPool
from plait.pooling.single import ClsPool
from plait.step import Composite
from plait.transforms.principal import Pca
from plait.transforms.whitening import Whitening
from plait.types import Floats

WIDTH = 256


class Known:
    """Vectors of texts that were encoded before, looked up.

    Args:
        texts: different texts.
        vectors: ``[N, D]``.
    """

    def __init__(self, texts: Sequence[str], vectors: Floats) -> None:
        self.row, self.vectors = {text: number for number, text in enumerate(texts)}, vectors

    def encode(self, texts: list[str]) -> Floats:
        """``[N, D]`` vectors of some of the texts."""
        return self.vectors[[self.row[text] for text in texts]]


def encoded(recipes: Mapping[str, Composite], texts: Sequence[str]) -> dict[str, Known]:
    """Every recipe's vectors of the texts, with one pass for each encoder; nothing in the recipes may learn."""
    unique = list(dict.fromkeys(texts))
    vectors, _ = run([strand for recipe in recipes.values() for strand in recipe.strands()], unique)
    return {name: Known(unique, recipe.weave(vectors)) for name, recipe in recipes.items()}


class TfidfSvd:
    """Weighted word counts, reduced; learned on the texts that are asked for, which needs no label.

    Args:
        width: numbers in a vector.
    """

    def __init__(self, width: int = WIDTH) -> None:
        self.width = width

    def encode(self, texts: list[str]) -> Floats:
        """``[N, width]`` vectors."""
        counts = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(texts)
        return np.asarray(TruncatedSVD(self.width, random_state=0).fit_transform(counts), np.float32)


class TrainedWords:
    """Means of word vectors that are trained here, by skip-gram.

    Args:
        files: plain text, gzip; what the vectors are trained on.
        width: numbers in a vector.
    """

    def __init__(self, files: Sequence[Path], width: int = WIDTH) -> None:
        need("gensim", "words")
        from gensim.models import Word2Vec

        lines = [words(line) for path in files for line in gzip.decompress(path.read_bytes()).decode().split("\n\n")]
        model = Word2Vec(lines, vector_size=width, window=5, min_count=3, sg=1, epochs=3, workers=1, seed=0)
        self.vectors = model.wv

    def encode(self, texts: list[str]) -> Floats:
        """``[N, width]`` vectors; zeros for a text without a known word."""
        out = np.zeros((len(texts), self.vectors.vector_size), np.float32)
        for row, text in enumerate(texts):
            known = [word for word in words(text) if word in self.vectors]
            if known:
                out[row] = np.mean(self.vectors[known], axis=0)
        return out


class RandomLstm:
    """Largest states of a bidirectional LSTM that was never trained, over the vectors of a static table.

    Args:
        table: gives the tokens' vectors.
        hidden: units in each direction.
    """

    def __init__(self, table: StaticTable, hidden: int = WIDTH // 2) -> None:
        import torch

        self.table = table
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.net = torch.nn.LSTM(table.width, hidden, batch_first=True, bidirectional=True).eval()

    def encode(self, texts: list[str]) -> Floats:
        """``[N, 2 hidden]`` vectors."""
        import torch

        tokens = self.table.tokenize(texts)
        out = np.zeros((len(texts), 2 * self.net.hidden_size), np.float32)
        order = np.argsort(tokens.lengths, kind="stable")
        order = order[tokens.lengths[order] > 0]
        with torch.inference_mode():
            for start in range(0, len(order), 64):
                rows = order[start : start + 64]
                ids = [tokens.ids[tokens.offsets[row] : tokens.offsets[row + 1]] for row in rows]
                vectors = [torch.from_numpy(self.table.table.vectors[one]) for one in ids]
                packed = torch.nn.utils.rnn.pack_sequence(vectors, enforce_sorted=False)
                states, lengths = torch.nn.utils.rnn.pad_packed_sequence(self.net(packed)[0], batch_first=True)
                inside = torch.arange(states.shape[1])[None] < lengths[:, None]
                out[rows] = states.masked_fill(~inside[..., None], -torch.inf).amax(dim=1).numpy()
        return out


class Constant:
    """The same vector for every text: what a head that learns from it says is the most frequent label."""

    def encode(self, texts: list[str]) -> Floats:
        """``[N, 1]`` ones."""
        return np.ones((len(texts), 1), np.float32)


def words(text: str) -> list[str]:
    """Lower-case words and signs."""
    return re.findall(r"\w+|[^\w\s]", text.lower())


def zoo(texts: Sequence[str], learn: Sequence[str], max_length: int | None = None) -> dict[str, Known]:
    """Vectors of the texts from some twenty cheap models: layers, poolings, static tables, transformed and spoilt ones.

    Args:
        texts: what is encoded, once.
        learn: those of the texts that transforms learn from.
        max_length: tokens of a text that the host reads; None is its own limit.
    """
    host, static = Transformer("all-MiniLM-L6-v2", max_length=max_length), StaticTable("wordllama")
    top = host.depth
    recipes: dict[str, Composite] = {f"MiniLM {n}": host | Layer(n) | MeanPool() for n in range(top + 1)}
    recipes |= {
        "MiniLM first token": host | Layer(top) | ClsPool(),
        "MiniLM maxima": host | Layer(top) | MaxPool(),
        "MiniLM 3, maxima": host | Layer(3) | MaxPool(),
        "WordLlama": static | MeanPool(),
        "WordLlama power means": static | PowerMeanPool(),
        "WordLlama maxima": static | MaxPool(),
    }
    models = encoded(recipes, texts)
    best, middle, known = models[f"MiniLM {top}"], models["MiniLM 3"], list(models["WordLlama"].row)
    learned = best.encode(list(learn))
    noise = np.random.default_rng(0).normal(size=best.vectors.shape).astype(np.float32)
    noise *= np.linalg.norm(best.vectors, axis=1, keepdims=True) / np.sqrt(noise.shape[1])
    made = {
        "MiniLM cut to 32": best.vectors[:, :32],
        "MiniLM, 16 principal": Pca(16).fit(learned).transform(best.vectors),
        "MiniLM whitened": Whitening().fit(learned).transform(best.vectors),
        "MiniLM 3 whitened": Whitening().fit(middle.encode(list(learn))).transform(middle.vectors),
        "MiniLM with noise": best.vectors + noise,
        "MiniLM with three times the noise": best.vectors + 3 * noise,
        "WordLlama cut to 32": models["WordLlama"].vectors[:, :32],
        "TF-IDF, reduced": TfidfSvd().encode(known),
        "random LSTM": RandomLstm(static).encode(known),
    }
    return models | {name: Known(known, np.asarray(vectors, np.float32)) for name, vectors in made.items()}
