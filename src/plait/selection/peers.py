"""Who is timed beside plait: the libraries that are installed, on the same weights and the same texts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from tokenizers import Tokenizer

from plait import __version__, plan
from plait.encoders.static import StaticTable
from plait.encoders.weights import Weights, find_weights
from plait.evaluation.ranking import top_k
from plait.evaluation.speed import Contender
from plait.roles import Encoder
from plait.selection.space import default_recipe, encoder
from plait.step import unit_rows
from plait.types import Floats

LEAST, MOST = 16, 2048
"""Texts of a timing: as many as plait encodes in `SECONDS`, within these."""
SECONDS = 1.0
VECTORS, QUERIES, WIDTH, FOUND = 50_000, 64, 256, 10


def encoders(name: str) -> tuple[list[Contender], list[str]]:
    """Contenders that encode with one model, plait first, and a line about each peer that is not installed."""
    step = encoder(name)
    mine = _plait(step)
    texts = _enough(mine, _texts(MOST))
    runs = [(f"plait {__version__}", mine), *_faster(step), *_peers(step)]
    peer = "model2vec" if isinstance(step, StaticTable) else "sentence-transformers"
    missing = (
        [] if any(who.startswith(peer) for who, _ in runs) else [f"{peer} is not installed: {name} is timed without it"]
    )
    return [
        Contender(f"encode {name}", who, len(texts), "texts", lambda run=run: run(texts), worst_cosine)  # type: ignore[misc]
        for who, run in runs
    ], missing


def searchers() -> tuple[list[Contender], list[str]]:
    """Contenders for an exact search of random vectors, plait first."""
    rng = np.random.default_rng(0)
    vectors = unit_rows(rng.standard_normal((VECTORS, WIDTH), dtype=np.float32))
    queries = unit_rows(rng.standard_normal((QUERIES, WIDTH), dtype=np.float32))
    what = f"search {VECTORS:,} × {WIDTH}"

    def numpy_search() -> NDArray[np.generic]:
        found: NDArray[np.generic] = top_k(queries @ vectors.T, FOUND)
        return found

    found = [Contender(what, f"plait {__version__}", QUERIES, "queries", numpy_search, overlap)]
    if not find_spec("faiss"):
        return found, ["faiss is not installed: search is timed without it"]
    import faiss

    index = faiss.IndexFlatIP(WIDTH)
    index.add(vectors)
    who = f"faiss {_version('faiss-cpu', 'faiss-gpu')}"
    return [*found, Contender(what, who, QUERIES, "queries", lambda: index.search(queries, FOUND)[1], overlap)], []


def starters() -> dict[str, list[str]]:
    """Imports and commands whose start is timed."""
    commands = {"python": ["-c", "pass"], "import plait": ["-c", "import plait"]}
    commands["plait --help"] = ["-m", "plait", "--help"]
    for module in ("model2vec", "lancedb", "sentence_transformers"):
        if find_spec(module):
            commands[f"import {module}"] = ["-c", f"import {module}"]
    return commands


def worst_cosine(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    """Smallest cosine between rows of the two, which should be the same vectors."""
    return float((unit_rows(np.asarray(a, np.float32)) * unit_rows(np.asarray(b, np.float32))).sum(axis=1).min())


def overlap(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    """Share of results that both found."""
    return float(np.mean([len(set(x) & set(y)) / len(x) for x, y in zip(a.tolist(), b.tolist(), strict=True)]))


def _enough(run: Callable[[Sequence[str]], Floats], texts: Sequence[str]) -> Sequence[str]:
    """The first texts, as many as `SECONDS` allow."""
    run(texts[:LEAST])
    start = time.process_time()
    run(texts[:LEAST])
    spent = max(time.process_time() - start, 1e-9)
    return texts[: max(LEAST, min(MOST, round(LEAST * SECONDS / spent)))]


def _texts(number: int) -> list[str]:
    """Passages of mixed lengths, 10 to 125 words, as a real collection has them."""
    from plait.data.reading import read

    words = [str(document).split() for document in read("demo:scifact").documents]
    lengths = (10 + 37 * row % 116 for row in range(number))
    texts = (" ".join(words[row % len(words)][row // len(words) :][:length]) for row, length in enumerate(lengths))
    return list(texts)


def _plait(step: Encoder) -> Callable[[Sequence[str]], Floats]:
    recipe = default_recipe(step)
    strands = list(recipe.strands())

    def run(texts: Sequence[str]) -> Floats:
        vectors, _ = plan.run(strands, texts)
        return recipe.weave(vectors)

    return run


def _faster(step: Encoder) -> list[tuple[str, Callable[[Sequence[str]], Floats]]]:
    """The same model in bfloat16, where the processor has it."""
    from plait.encoders.hosts import has_bfloat16
    from plait.encoders.transformer import Transformer

    if not isinstance(step, Transformer) or step.dtype != "float32" or not has_bfloat16(step.host.device.type):
        return []
    return [(f"plait {__version__}, bfloat16", _plait(clone(step).set_params(dtype="bfloat16")))]


def _peers(step: Encoder) -> list[tuple[str, Callable[[Sequence[str]], Floats]]]:
    weights = find_weights(step.model)
    if isinstance(step, StaticTable) and find_spec("model2vec"):
        from model2vec import StaticModel

        model: Any = StaticModel(step.table.vectors, _tokenizer(weights), normalize=False)
        return [(f"model2vec {version('model2vec')}", lambda texts: model.encode(list(texts), max_length=None))]
    known = weights.folder is not None and weights.folder.is_dir()
    if not isinstance(step, StaticTable) and known and find_spec("sentence_transformers"):
        from sentence_transformers import SentenceTransformer

        host: Any = SentenceTransformer(str(weights.folder), device="cpu")
        who = f"sentence-transformers {version('sentence-transformers')}"
        return [(who, lambda texts: host.encode(list(texts), batch_size=32, show_progress_bar=False))]
    return []


def _tokenizer(weights: Weights) -> Tokenizer:
    file = weights.tokenizer
    if file is None:
        assert weights.file is not None
        file = weights.file.parent / "tokenizer.json"
    return Tokenizer.from_file(str(file))


def _version(*distributions: str) -> str:
    for name in distributions:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "?"
