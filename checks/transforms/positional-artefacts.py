"""Dimensions that dwarf all others: whether they are there, come from positions, and are better silenced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _probes import Split, accuracy
from _scan import Pair, Scan, sentences, similarity_score, skips_first_token, stsb, table
from scipy.stats import spearmanr

from plait.analysis import OutlierDimensions, anisotropy, outlier_dimensions, position_probe
from plait.analysis.streaming import stream
from plait.data import read
from plait.encoders.transformer import Transformer
from plait.papers import Ablation, Claim, Outcome
from plait.pooling.mean import MeanPool
from plait.transforms.clip_outliers import ClipOutliers
from plait.types import Floats

BERT, DEEPER, ROTARY = "all-MiniLM-L6-v2", "all-mpnet-base-v2", "gemma-3-270m"
SENTENCES, FEW = 5000, 300
"""Sentences that outliers are looked for in, of the small host and of the large ones."""
SAMPLE = 300
"""Sentences whose token states are kept for cosines."""
DEV_PAIRS = 400
FEW_DEV, FEW_TEST = 150, 300
"""Pairs for the deeper host, whose figures decide nothing."""
MOST = 5
"""Dimensions clipped at most; how many is chosen on dev, layer by layer."""
TOP = 10
"""A dimension that comes from positions should be among so many that have or tell most of them."""


@dataclass(frozen=True, eq=False)
class Clipped:
    """One host, layer by layer.

    Attributes:
        raw, clipped, random: ``[L]`` mean cosine of random token pairs as they are, with up to three outlying
            dimensions at zero, and with as many random ones.
        gains: ``[L]`` what clipping, its number of dimensions chosen on dev, adds to Spearman × 100 on STS-B test.
        fixed: ``[L]`` the same with up to three dimensions, not chosen.
        scores: ``[L]`` Spearman × 100 on STS-B test, nothing clipped.
    """

    outliers: OutlierDimensions
    raw: np.ndarray
    clipped: np.ndarray
    random: np.ndarray
    gains: np.ndarray
    fixed: np.ndarray
    scores: np.ndarray

    @property
    def drop(self) -> np.ndarray:
        """``[L]`` share × 100 of the mean cosine that clipping takes away."""
        return np.asarray(100 * (self.raw - self.clipped) / self.raw)


def check(data: Path) -> Outcome:
    task = read(data / "ud" / "en_lines")
    words = [document for document in task.documents if isinstance(document, tuple)][:SENTENCES]
    texts = [" ".join(item) for item in words]
    dev, test = _sample(stsb(data, "dev"), DEV_PAIRS), stsb(data, "test")
    bert, rotary = Transformer(BERT), skips_first_token(Transformer(ROTARY))
    small = _clip(bert, texts, dev, test)
    deeper = _clip(Transformer(DEEPER), texts[:FEW], dev[:FEW_DEV], _sample(test, FEW_TEST))
    contrast = _clip(rotary, texts[:FEW], dev, test)
    inner = slice(1, bert.depth)
    places = position_probe(bert, texts[:1500])
    origin = _origin(bert, small.outliers)
    told = places.rank(1, small.outliers.of(1)[0])
    main = Claim.above(
        f"{BERT}: clipping makes random token pairs less alike, % of their cosine", small.drop[inner].mean(), 0, 10
    )
    without = 100 * (small.raw - small.random)[inner] / small.raw[inner]
    best = contrast.gains[1 : rotary.depth]
    claims = [
        main,
        Claim.above(
            f"{BERT}: a dimension is an outlier at three consecutive layers or more",
            max(small.outliers.run(dim) for dim in range(bert.width)),
            2,
        ),
        Claim.above(f"{BERT}: clipping lifts STS-B at an inner layer", small.gains[inner].max(), 0, 5),
        Claim.above(f"{ROTARY}, never tuned for similarity: clipping lifts STS-B at an inner layer", best.max(), 0, 5),
        Claim.above(f"{ROTARY}: clipping costs no layer more than 3 points", contrast.fixed.min(), 0, -3),
        Claim.above(f"{BERT}: clipping costs no layer more than 3 points", small.fixed.min(), 0, -3),
        Claim.above(
            f"{BERT}: the deeper the layer, the less it tells of position; rank correlation, sign turned",
            -float(spearmanr(places.layers, places.accuracy).statistic),
            0,
            0.8,
        ),
        Claim(f"{BERT}: of layer 1, the farthest outlier is in the ten that tell position", told < TOP, told, TOP, 0),
        Claim(
            f"{BERT}: of layer 0, the farthest outlier is in the ten largest of the position table",
            origin["rank in the position table"] < TOP,
            origin["rank in the position table"],
            TOP,
            0,
        ),
        *_probes(data, bert, small.outliers),
        _moves(bert, texts[:SAMPLE]),
    ]
    return Outcome(
        claims,
        [
            Ablation(
                "as many random dimensions at zero: less than a fifth of the fall",
                bool(abs(without.mean()) < small.drop[inner].mean() / 5),
                without.mean(),
            )
        ],
        metric="% of the mean cosine of token pairs",
        data=["ud/en_lines", "sts/stsb", "classification/trec", "classification/subj.tsv"],
        seeds=[0],
        figures={
            **_figures(BERT, small),
            **_figures(DEEPER, deeper),
            **_figures(ROTARY, contrast),
            **{f"{BERT}: {name}": rank for name, rank in origin.items()},
            **{f"{BERT}: position accuracy, layer {n}": a for n, a in zip(places.layers, places.accuracy, strict=True)},
            f"{BERT}: largest |z| at layer 3 without [CLS] and [SEP]": abs(
                outlier_dimensions(bert, words[:SAMPLE], [3]).z
            ).max(),
            f"{BERT}: largest |z| at layer 3": abs(small.outliers.z[3]).max(),
        },
        note=(
            f"{BERT} and {DEEPER} stand for BERT: both were tuned for similarity, and their last layers have learned "
            f"to live with such dimensions. {ROTARY} has rotary positions and is the contrast: no outlier comes "
            "from a position table. Not measured: word-in-context pairs, which need WordNet's example sentences (not "
            "in the data), and one model trained with and without positions. A masked model of two layers, 128 wide, "
            "still guessed by frequency (6.4 nats) after 400 steps, either way, and its largest |z| told nothing (3.0 "
            "with positions, 3.1 without, three seeds)."
        ),
    )


def _clip(host: Transformer, texts: Sequence[str], dev: list[Pair], test: list[Pair]) -> Clipped:
    layers = tuple(range(host.depth + 1))
    outliers = outlier_dimensions(host, texts)
    batches = stream(host, host.tokenize(texts[:SAMPLE]), layers)
    states = np.concatenate([s.values[:, s.tokens.index] for s in batches], axis=1)
    scan = Scan(host, sentences([*dev, *test]), {"mean": MeanPool()}, layers)
    rng = np.random.default_rng(0)
    rows = [_layer(states[n], outliers.of(n), rng) for n in layers]
    raw, clipped, random = np.array(rows).T
    scores, gains, fixed = [], [], []
    for n in layers:
        order = np.argsort(-np.abs(outliers.z[n]), kind="stable")[:MOST]
        known, asked = (scan.of("mean", n, sentences(pairs)) for pairs in (dev, test))
        count = max(range(MOST + 1), key=lambda k: similarity_score(_zero(known, order[:k]), dev))
        scores.append(similarity_score(asked, test))
        gains.append(similarity_score(_zero(asked, order[:count]), test) - scores[-1])
        fixed.append(similarity_score(_zero(asked, outliers.of(n)[:3]), test) - scores[-1])
    return Clipped(outliers, raw, clipped, random, np.array(gains), np.array(fixed), np.array(scores))


def _layer(states: Floats, dims: Sequence[int], rng: np.random.Generator) -> tuple[float, float, float]:
    """Mean cosine as it is, with up to three outlying dimensions at zero, and with as many random ones."""
    chosen = list(dims)[:3]
    others = rng.choice(np.setdiff1d(np.arange(states.shape[1]), chosen), len(chosen), replace=False)
    return anisotropy(states), anisotropy(_zero(states, chosen)), anisotropy(_zero(states, others))


def _zero(vectors: Floats, dims: Sequence[int] | np.ndarray) -> Floats:
    return ClipOutliers([int(dim) for dim in dims]).fit(vectors).transform(vectors)


def _moves(host: Transformer, texts: Sequence[str]) -> Claim:
    """Detection follows the columns, wherever they stand."""
    states = host.states(host.tokenize(texts[:40]), (3,)).layer(3)
    order = np.random.default_rng(0).permutation(states.shape[1])
    before, after = ClipOutliers().fit(states).dims_, ClipOutliers().fit(states[:, order]).dims_
    share = np.isin(before, order[after]).mean() if len(before) else 0.0
    return Claim.above("exchanging columns moves the dimensions that are found with them", share, 0.99)


def _probes(data: Path, host: Transformer, outliers: OutlierDimensions) -> list[Claim]:
    """A classifier on top does not miss what was clipped."""
    layer = host.depth // 2
    dims = outliers.of(layer)[:3]
    trec = [_trec(data, part) for part in ("train", "test")]
    rows = table(data / "classification" / "subj.tsv")
    subj = Split([row["text"] for row in rows], [row["label"] for row in rows]).sample(2000)
    halves = [Split(subj.texts[:1000], subj.labels[:1000]), Split(subj.texts[1000:], subj.labels[1000:])]
    claims = []
    for name, (train, test) in {"TREC": (trec[0].sample(1000), trec[1]), "SUBJ": halves}.items():
        scan = Scan(host, [*train.texts, *test.texts], {"mean": MeanPool()}, [layer])
        known, asked = scan.of("mean", layer, train.texts), scan.of("mean", layer, test.texts)
        plain = accuracy(known, train.labels, asked, test.labels)
        less = accuracy(_zero(known, dims), train.labels, _zero(asked, dims), test.labels)
        claims.append(
            Claim(
                f"{BERT}: clipping changes {name}, read by a linear probe, by less than a point",
                abs(less - plain) < 1,
                less,
                plain,
                1,
            )
        )
    return claims


def _trec(data: Path, part: str) -> Split:
    rows = table(data / "classification" / "trec" / f"{part}.tsv")
    return Split([row["text"] for row in rows], [row["coarse"] for row in rows])


def _origin(host: Transformer, outliers: OutlierDimensions) -> dict[str, float]:
    """Place of layer 0's farthest outlier in what makes that layer; 0 is the first."""
    embeddings = host.host.model.embeddings
    gain = embeddings.LayerNorm.weight.detach().numpy()
    sources = {
        "position table": embeddings.position_embeddings.weight.detach().numpy().mean(axis=0),
        "word table": embeddings.word_embeddings.weight.detach().numpy().mean(axis=0),
        "norm's gain, from its mean": gain - gain.mean(),
        "norm's bias": embeddings.LayerNorm.bias.detach().numpy(),
    }
    dim = outliers.of(0)[0]
    return {f"rank in the {name}": float((abs(row) > abs(row[dim])).sum()) for name, row in sources.items()}


def _sample(pairs: list[Pair], count: int) -> list[Pair]:
    return [pairs[number] for number in np.random.default_rng(0).permutation(len(pairs))[:count]]


def _figures(name: str, found: Clipped) -> dict[str, float]:
    rows = {
        "cosine": found.raw,
        "cosine, clipped": found.clipped,
        "STS-B": found.scores,
        "STS-B gain": found.gains,
        "STS-B gain, not chosen": found.fixed,
    }
    figures = {f"{name}: {row}, layer {n}": v for row, values in rows.items() for n, v in enumerate(values)}
    figures[f"{name}: dimensions that are outliers at three consecutive layers"] = len(found.outliers.persistent())
    figures |= {f"{name}: largest |z|, layer {n}": abs(z).max() for n, z in enumerate(found.outliers.z)}
    return figures
