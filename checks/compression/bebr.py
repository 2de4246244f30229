"""Learned sums of sign vectors against signs, product codes and floats, and codes of two models in one index."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import ortho_group

from plait.compression import nearest_vectors, search_codes
from plait.compression.binary import Binary
from plait.compression.bit_planes import popcount_products, unpack_planes
from plait.compression.product_quantizer import ProductQuantizer
from plait.compression.residual_binary import ResidualBinary
from plait.data import read
from plait.data.tasks import Judgements, Task
from plait.encoders.transformer import Transformer
from plait.evaluation.ranking import Measure
from plait.evaluation.retrieval import reported
from plait.papers import Claim, Outcome
from plait.pooling.mean import MeanPool
from plait.roles import Quantiser
from plait.step import Chain, unit_rows
from plait.transforms.principal import Pca
from plait.types import Floats, Ints

OLD, NEW, LENGTH = "all-MiniLM-L6-v2", "all-mpnet-base-v2", 128
COLLECTIONS = {"med": "all", "cranfield": "all", "scifact": "test"}
TRAINING = ("npl_vaswani", "cisi", "cacm")
"""Collections whose documents, with the sentences of STS-B's train part, the codes learn from; none is tested on."""
ROWS, SHARED = 20_000, 10_000
"""Texts to learn from, and those of them that both models read."""
SEEDS = (0, 1)
DEPTH = 10
KEPT = 0.98
"""Share of the floats' nDCG that 4 bits a number have to keep."""
FAR = 20.0
"""Points by which compatible codes have to beat those of two trainings that know nothing of each other."""
SPEED_ROWS, SPEED_QUERIES = 100_000, 20

Found = Ints
Search = Callable[["Collection"], Found]


@dataclass(frozen=True)
class Collection:
    """Vectors of length 1 of some documents and queries.

    Attributes:
        documents: ``[N, D]``.
        queries: ``[Q, D]``.
        relevant: for each query, document number to grade.
        nearest: ``[Q, 10]`` of the floats.
    """

    documents: Floats
    queries: Floats
    relevant: list[dict[int, int]]
    nearest: Ints


def check(data: Path) -> Outcome:
    texts = _training(data)
    old_texts = texts[: ROWS - SHARED] + texts[-SHARED:]
    old, new = _vectors(OLD, old_texts), _vectors(NEW, texts[-SHARED:])
    tested = [_collection(data, name, part, OLD) for name, part in COLLECTIONS.items()]
    ways = _plain_ways(old)
    learned = {
        (width, loops): [ResidualBinary(width, loops, random_state=seed).fit(old) for seed in SEEDS]
        for width, loops in ((384, 0), (192, 1), (384, 1), (384, 3))
    }
    for (width, loops), fits in learned.items():
        ways[f"{loops + 1} × {width} learned signs"] = [_by_codes(fit) for fit in fits]
    most = learned[384, 3]
    ways["4 × 384, later signs of other documents"] = [_shuffled(fit) for fit in most]
    ways["4 × 384 signs of random networks"] = [_by_codes(_random(old, seed)) for seed in SEEDS]
    points = {name: _points(tested, searches) for name, searches in ways.items()}
    quality = {name: found[0] for name, found in points.items()}

    full, best = quality["floats"], quality["4 × 384 learned signs"]
    keeps = Claim.above("1,536 bits keep 98 % of the floats' nDCG", best, KEPT * full)
    recall = {loops: points[f"{loops + 1} × 384 learned signs"][1] for loops in (0, 1, 3)}
    more = Claim.above("each further sign vector finds more of the floats' ten nearest", recall[3], recall[0])
    rises = recall[0] < recall[1] < recall[3]
    one, sign = quality["1 × 384 learned signs"], quality["signs"]
    claims = [
        keeps,
        Claim("384 learned bits are as good as 384 signs", one >= sign, one, sign, 0),
        Claim(more.text, rises, more.value, more.baseline, 0),
        _exact(most[0], tested[0]),
    ]
    versions, figures = _versions(data, old[-SHARED:], new)
    claims += versions
    return Outcome(
        claims,
        [
            keeps.without("random networks at as many bits", quality["4 × 384 signs of random networks"]),
            more.without("later signs of other documents", points["4 × 384, later signs of other documents"][1]),
        ],
        metric="nDCG@10 × 100, mean of three collections",
        data=[f"retrieval/{name}" for name in (*COLLECTIONS, *TRAINING)] + ["sts/stsb"],
        seeds=list(SEEDS),
        figures={f"{name}, nDCG@10": found[0] for name, found in points.items()}
        | {f"{name}, recall of the floats' ten": found[1] for name, found in points.items()}
        | figures
        | _speed(most[0], tested[-1]),
        note=f"Vectors of {OLD}, of {LENGTH} tokens at most; the codes learn from {ROWS:,} documents of other "
        f"collections and sentences, {len(SEEDS)} times. Signs and learned signs compare codes with codes; product "
        "codes, and signs with rescoring, keep the query as floats. Keys come from a copy that keeps 0.99 of itself a "
        f"step, since a fit has hundreds of steps. The two versions are {OLD} and {NEW} on MED.",
    )  # fmt: skip


def _training(data: Path) -> list[str]:
    """Documents of other collections, then sentences, which both models read."""
    documents = [str(text) for name in TRAINING for text in read(data / "retrieval" / name).documents]
    pairs = read(data / "sts" / "stsb")
    rows = {int(row) for side in ("left", "right") for row in getattr(pairs.parts["train"], side)}
    rng = np.random.default_rng(0)
    sentences = [str(pairs.documents[row]) for row in sorted(rows)]
    chosen = [sentences[n] for n in rng.permutation(len(sentences))[:SHARED]]
    return [documents[n] for n in rng.permutation(len(documents))[: ROWS - len(chosen)]] + chosen


def _vectors(model: str, texts: Sequence[str], role: str = "document") -> Floats:
    recipe = Chain([Transformer(model, dtype="bfloat16", max_length=LENGTH), MeanPool()])
    return unit_rows(recipe.encode(list(texts), role=role).values)


def _collection(data: Path, name: str, part: str, model: str) -> Collection:
    task: Task = read(data / "retrieval" / name)
    judged = task.parts[part]
    assert isinstance(judged, Judgements)
    rows = np.arange(len(task.documents)) if task.corpus is None else task.corpus
    documents = _vectors(model, [str(task.documents[row]) for row in rows.tolist()])
    queries = _vectors(model, [str(task.queries[row]) for row in judged.queries.tolist()], "query")
    nearest = nearest_vectors(queries, documents, DEPTH)[0]
    return Collection(documents, queries, list(judged.relevant), nearest)


def _plain_ways(rows: Floats) -> dict[str, list[Search]]:
    """What needs no network."""
    turned, pca = ortho_group.rvs(rows.shape[1], random_state=0).astype(np.float32), Pca(rows.shape[1]).fit(rows)
    out: dict[str, list[Search]] = {
        "floats": [lambda c: c.nearest],
        "signs": [_by_codes(Binary(rescore=0).fit(rows))],
        "signs, 4 candidates a result by the float query": [_by_codes(Binary(rescore=4).fit(rows))],
        "signs of a random rotation": [_by_codes(Binary(rescore=0).fit(rows), lambda v: v @ turned)],
        "signs of principal components": [_by_codes(Binary(rescore=0).fit(rows), pca.transform)],
    }
    for dims in (8, 4, 2):
        out[f"product codes, {rows.shape[1] // dims} bytes"] = [_by_codes(ProductQuantizer(dims).fit(rows))]
    return out


def _by_codes(quantiser: Quantiser, turn: Callable[[Floats], Floats] = lambda vectors: vectors) -> Search:
    def search(given: Collection) -> Found:
        codes = quantiser.transform(turn(given.documents))
        return search_codes(turn(given.queries), codes, quantiser, DEPTH, cosine=True)[0]

    return search


def _shuffled(quantiser: ResidualBinary) -> Search:
    """The first signs of each document with the later signs of another."""

    def search(given: Collection) -> Found:
        codes = quantiser.transform(given.documents)
        first = codes.shape[1] // (quantiser.loops + 1)
        codes[:, first:] = codes[np.random.default_rng(0).permutation(len(codes)), first:]
        return search_codes(given.queries, codes, quantiser, DEPTH, cosine=True)[0]

    return search


def _random(rows: Floats, seed: int) -> ResidualBinary:
    """The same networks before any training, at random weights, with their bits balanced all the same."""
    quantiser = ResidualBinary(384, 3, epochs=0, random_state=seed).fit(rows)
    module = quantiser.module_
    torch.manual_seed(seed)
    for part in module.modules():
        if isinstance(part, torch.nn.Linear | torch.nn.BatchNorm1d):
            part.reset_parameters()
    for norm in (part for part in module.modules() if isinstance(part, torch.nn.BatchNorm1d)):
        norm.momentum = None  # a plain mean over what it sees
    with torch.no_grad():
        module.train()(torch.from_numpy(rows))
    module.eval()
    return quantiser


def _points(tested: Sequence[Collection], searches: Sequence[Search]) -> tuple[float, float]:
    """nDCG@10 and recall of the floats' ten nearest, × 100, means over collections and seeds."""
    measure = Measure.parse(f"nDCG@{DEPTH}")
    quality, recall = [], []
    for search in searches:
        for given in tested:
            found = search(given)
            quality.append(reported(found, given.relevant, measure).mean())
            same = [len(np.intersect1d(a, b)) for a, b in zip(found, given.nearest, strict=True)]
            recall.append(np.mean(same) / DEPTH)
    return 100 * float(np.mean(quality)), 100 * float(np.mean(recall))


def _exact(quantiser: ResidualBinary, given: Collection) -> Claim:
    """Counting bits gives the very dot products of the sums."""
    codes, width, planes = quantiser.transform(given.documents), quantiser.fitted_width, quantiser.loops + 1
    asked = quantiser.transform(given.queries)
    grids = [unpack_planes(part, width, planes).astype(np.int64) for part in (asked, codes)]
    worst = int(np.abs(popcount_products(asked, codes, width, planes) - grids[0] @ grids[1].T).max())
    return Claim("counting bits gives the dot products of the sums exactly", worst == 0, worst, 0, 0)


def _versions(data: Path, old: Floats, new: Floats) -> tuple[list[Claim], dict[str, float]]:
    """Queries of a new model against the codes of an old one."""
    before, after = (_collection(data, "med", "all", model) for model in (OLD, NEW))
    points: dict[str, list[float]] = {}
    for seed in SEEDS:
        first = ResidualBinary(384, 1, random_state=seed).fit(old)
        alone = ResidualBinary(384, 1, random_state=seed + len(SEEDS)).fit(new)
        fitting = ResidualBinary(384, 1, random_state=seed).fit(new, compatible_with=(first, old))
        pairs = {
            "old queries, old codes": (first, before, first, before),
            "new queries, new codes": (fitting, after, fitting, after),
            "new queries, old codes": (fitting, after, first, before),
            "new queries of a training by itself, old codes": (alone, after, first, before),
        }
        for name, (asks, asked, holds, held) in pairs.items():
            codes = holds.transform(held.documents)
            found = search_codes(asked.queries, codes, asks, DEPTH, cosine=True)[0]
            quality = reported(found, held.relevant, Measure.parse(f"nDCG@{DEPTH}")).mean()
            points.setdefault(name, []).append(100 * float(quality))
    mean = {name: float(np.mean(values)) for name, values in points.items()}
    mixed, independent = mean["new queries, old codes"], mean["new queries of a training by itself, old codes"]
    highest = max(mean["old queries, old codes"], mean["new queries, new codes"])
    claims = [
        Claim.above("new queries find far more in old codes than those of a training by itself", mixed, independent,
                    FAR),
        Claim("a mixed index is no better than the better of the two versions", mixed <= highest, mixed, highest, 0),
    ]  # fmt: skip
    return claims, {f"{name}, MED": value for name, value in mean.items()}


def _speed(quantiser: ResidualBinary, given: Collection) -> dict[str, float]:
    """Queries a second over many codes, one after the other: products of small integers, and counted bits."""
    codes = quantiser.transform(np.resize(given.documents, (SPEED_ROWS, given.documents.shape[1])))
    queries, planes = given.queries[:SPEED_QUERIES], quantiser.loops + 1
    asked, width = quantiser.transform(queries), quantiser.fitted_width

    def rate(run: Callable[[], object]) -> float:
        start = time.perf_counter()
        run()
        return len(queries) / (time.perf_counter() - start)

    return {
        "queries a second, products of small integers": rate(
            lambda: search_codes(queries, codes, quantiser, DEPTH, cosine=True)
        ),
        "queries a second, counted bits, scores alone": rate(lambda: popcount_products(asked, codes, width, planes)),
    }
