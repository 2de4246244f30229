"""The three rules of WhiteningBERT on STS-B: average the tokens, join a low with a high layer, whiten."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from _scan import Pair, Scan, mean_cosine, sentences, similarity_score, skips_first_token, stsb

from plait.encoders.transformer import Transformer
from plait.papers import Claim, Outcome
from plait.pooling.mean import MeanPool
from plait.pooling.single import LastPool
from plait.transforms.center import Center
from plait.transforms.whitening import Whitening
from plait.types import Floats

HOST, TUNED = "gemma-3-270m", "all-MiniLM-L6-v2"
CHOICE_PAIRS = 400
"""Pairs of the dev part that layers are chosen on, so that none is chosen on the test part."""
TRAIN_PAIRS = 750
"""Pairs of the train part that the inductive whitening is fitted on: 1500 sentences, 2.3 times the width."""
FEW_ROWS = 800
"""Rows to fit on for the truncation rule: of the order of the width, 640."""


def check(data: Path) -> Outcome:
    test = stsb(data, "test")
    dev = stsb(data, "dev")[:CHOICE_PAIRS]
    train = _sample(stsb(data, "train"), TRAIN_PAIRS)
    host = skips_first_token(Transformer(HOST))
    layers = range(host.depth + 1)
    scan = Scan(host, sentences([*test, *dev, *train]), {"mean": MeanPool(), "last": LastPool()}, layers)

    def score(pooling: str, layer: int, pairs: list[Pair]) -> float:
        return similarity_score(scan.of(pooling, layer, sentences(pairs)), pairs)

    best = {pooling: max(layers, key=lambda n: score(pooling, n, dev)) for pooling in ("mean", "last")}
    top = host.depth
    raw = scan.of("mean", top, sentences(test))
    fitted_on_train = Whitening().fit(scan.of("mean", top, sentences(train)))
    few = raw[np.random.default_rng(0).permutation(len(raw))[:FEW_ROWS]]
    white = Whitening().fit(raw).transform(raw)
    flat = similarity_score(raw, test)
    spread = (raw - raw.mean(axis=0)) / raw.std(axis=0)
    pair = max(((1, high) for high in (top - 1, top)), key=lambda p: similarity_score(_mean(scan, p, dev), dev))

    main = Claim.above(
        "whitening lifts the last layer, fitted on the test sentences", similarity_score(white, test), flat, 5
    )
    claims = [
        main,
        Claim.above(
            "whitening lifts the last layer, fitted on other sentences",
            similarity_score(fitted_on_train.transform(raw), test),
            flat,
            2,
        ),
        Claim.above(
            "averaged tokens at their best layer beat the last token at its best",
            score("mean", best["mean"], test),
            score("last", best["last"], test),
        ),
        Claim.above(
            "the first block beside a top one beats the top layer",
            similarity_score(_mean(scan, pair, test), test),
            flat,
        ),
        Claim.above(
            "with few rows to fit on, 256 whitened numbers beat all 640",
            similarity_score(Whitening(256).fit(few).transform(raw), test),
            similarity_score(Whitening().fit(few).transform(raw), test),
        ),
        Claim.above(
            "whitening beats centring",
            similarity_score(white, test),
            similarity_score(Center().fit(raw).transform(raw), test),
        ),
        Claim.above(
            "whitening beats scaling each dimension", similarity_score(white, test), similarity_score(spread, test)
        ),
        Claim(
            "whitened vectors point every way",
            abs(mean_cosine(white)) < 0.05,
            mean_cosine(white),
            mean_cosine(raw),
            0.05,
        ),
    ]
    tuned = _tuned(test, train)
    return Outcome(
        claims,
        [main.without("the same axes, neither centred nor scaled", similarity_score(_rotated(raw), test))],
        metric="Spearman × 100",
        data=["sts/stsb"],
        seeds=[0],
        figures={
            "best layer, averaged tokens": best["mean"],
            "best layer, last token": best["last"],
            "high layer of the pair": pair[1],
            "last token of the last layer": score("last", top, test),
            "tuned host, raw": tuned[0],
            "tuned host, whitened on other sentences": tuned[1],
            "largest covariance off the diagonal after whitening": _off_diagonal(white),
        },
        note=(
            f"{HOST} is a decoder with 4-bit weights in place of the paper's BERT; the first token is not averaged. "
            f"On {TUNED}, which was tuned for similarity, whitening changes {tuned[0]:.1f} to {tuned[1]:.1f}."
        ),
    )


def _mean(scan: Scan, layers: tuple[int, int], pairs: list[Pair]) -> Floats:
    """Plain mean of two layers; pooling is linear, so that it can be taken after it."""
    low, high = (scan.of("mean", layer, sentences(pairs)) for layer in layers)
    return np.asarray((low + high) / 2, np.float32)


def _rotated(vectors: Floats) -> Floats:
    _, axes = np.linalg.eigh(np.cov(vectors.T.astype(np.float64)))
    return np.asarray(vectors @ axes, np.float32)


def _tuned(test: list[Pair], train: list[Pair]) -> tuple[float, float]:
    encoder = Transformer(TUNED)
    scan = Scan(encoder, sentences([*test, *train]), {"mean": MeanPool()}, [encoder.depth])
    raw = scan.of("mean", encoder.depth, sentences(test))
    whitening = Whitening().fit(scan.of("mean", encoder.depth, sentences(train)))
    return similarity_score(raw, test), similarity_score(whitening.transform(raw), test)


def _off_diagonal(vectors: Floats) -> float:
    covariance = np.cov(vectors.T.astype(np.float64))
    return float(np.abs(covariance - np.diag(np.diag(covariance))).max())


def _sample(pairs: list[Pair], count: int) -> list[Pair]:
    return [pairs[number] for number in np.random.default_rng(0).permutation(len(pairs))[:count]]
