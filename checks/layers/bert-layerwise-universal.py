"""Layers and poolings of an untuned host, scored on similarity, downstream tasks, probes and answer ranking."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _probes import Split, accuracy, majority, treebank
from _ranker import Question, Ranker, bm25, questions, reciprocal_rank
from _scan import Scan, sentences, similarity_score, skips_first_token, stsb, table
from sklearn.decomposition import PCA

from plait.encoders.transformer import Transformer
from plait.papers import Ablation, Claim, Outcome
from plait.pooling.mean import MeanPool
from plait.pooling.single import LastPool
from plait.step import unit_rows
from plait.types import Floats

HOST, TUNED = "gemma-3-270m", "all-MiniLM-L6-v2"
DEV_PAIRS = 300
"""Pairs of the dev part that layers are chosen on, so that none is chosen on the test part."""
TRAIN, HELD_OUT = 600, 300
"""Texts of each task; a probe chooses its layer on as many dev texts as it is tested on."""
SEEDS = (0, 1, 2)
PUBLISHED_TUNED, TOLERANCE = 82.0, 0.5
"""The tuned host on STS-B test as its authors give it, Spearman × 100."""

Parts = tuple[Split, Split, Split]


def check(data: Path) -> Outcome:
    tasks, probes = _tasks(data), _probes(data)
    texts = [text for parts in [*tasks.values(), *probes.values()] for part in parts for text in part.texts]
    dev, test = stsb(data, "dev")[:DEV_PAIRS], stsb(data, "test")
    host = skips_first_token(Transformer(HOST))
    scan = Scan(host, sentences([*dev, *test]) + texts, {"mean": MeanPool(), "last": LastPool()}, range(host.depth + 1))
    layers = range(host.depth + 1)
    similarity = {
        (pooling, layer): [similarity_score(scan.of(pooling, layer, sentences(part)), part) for part in (dev, test)]
        for pooling in ("mean", "last")
        for layer in layers
    }
    best = {pooling: max(layers, key=lambda n, p=pooling: similarity[p, n][0]) for pooling in ("mean", "last")}  # type: ignore[misc]
    mean, last = similarity["mean", best["mean"]][1], similarity["last", best["last"]][1]
    pooling = Claim.above("averaged tokens at their best layer beat the last token at its best", mean, last, 3)
    only_top = [similarity[p, host.depth][1] for p in ("mean", "last")]
    tuned_claims = _tuned(test, data, max(similarity["mean", layer][1] for layer in layers))
    probing, chance, figures = _probing(scan, probes, host.depth)
    joined, joined_figures = _joined(scan, tasks, host.depth)
    return Outcome(
        [pooling, *tuned_claims[0], *probing, joined],
        [
            Ablation("the last layer alone is scanned", not only_top[0] - only_top[1] > 3, only_top[0] - only_top[1]),
            chance,
            tuned_claims[1],
        ],
        metric="Spearman × 100",
        data=["sts/stsb", *(f"classification/{name}" for name in tasks), "ud/en_lines", "retrieval/trecqa"],
        seeds=list(SEEDS),
        figures={
            "best layer, averaged tokens": best["mean"],
            "best layer, last token": best["last"],
            **figures,
            **joined_figures,
        },
        note=(
            f"{HOST} (a decoder with 4-bit weights) stands for the untuned BERT, and its last token for CLS; "
            f"{TUNED} for the host tuned on inference data. Ranking of non-factoid answers is not covered. "
            f"A probe is tested on {HELD_OUT} sentences, so that differences below about four points are noise."
        ),
    )


def _tasks(data: Path) -> dict[str, Parts]:
    """Downstream tasks; the dev part stays empty because nothing is chosen on it."""
    folder = data / "classification"
    found: dict[str, Parts] = {}
    for name in ("mr", "subj"):
        rows = table(folder / f"{name}.tsv")
        drawn = Split([row["text"] for row in rows], [row["label"] for row in rows]).sample(TRAIN + HELD_OUT)
        train, held_out = Split(drawn[0][:TRAIN], drawn[1][:TRAIN]), Split(drawn[0][TRAIN:], drawn[1][TRAIN:])
        found[name] = train, Split([], []), held_out
    trec = {part: table(folder / "trec" / f"{part}.tsv") for part in ("train", "test")}
    splits = {
        part: Split([row["text"] for row in rows], [row["coarse"] for row in rows]) for part, rows in trec.items()
    }
    found["trec"] = splits["train"].sample(TRAIN), Split([], []), splits["test"].sample(HELD_OUT)
    return found


def _probes(data: Path) -> dict[str, Parts]:
    parts = [treebank(data / "ud" / "en_lines" / f"{part}.conllu.gz") for part in ("train", "dev", "test")]
    sizes = (TRAIN, HELD_OUT, HELD_OUT)
    return {
        name: tuple(part[name].sample(size) for part, size in zip(parts, sizes, strict=True))  # type: ignore[misc]
        for name in parts[0]
    }


def _probing(scan: Scan, probes: dict[str, Parts], depth: int) -> tuple[list[Claim], Ablation, dict[str, float]]:
    """Where length, tense and number are read best; the layer is chosen on dev, the figure is from test."""
    scores: dict[str, np.ndarray] = {}
    for name, (train, dev, test) in probes.items():
        rows = []
        for layer in range(depth + 1):
            given = [scan.of("mean", layer, part.texts) for part in (train, dev, test)]
            rows.append([accuracy(given[0], train.labels, given[n], part.labels) for n, part in ((1, dev), (2, test))])
        scores[name] = np.array(rows)
    half = depth // 2 + 1
    length = scores["length"]
    low, high = length[:half, 0].argmax(), half + length[half:, 0].argmax()
    claims = [Claim.above("sentence length is read best in the lower half", length[low, 1], length[high, 1])]
    for name in ("tense", "subject number"):
        chosen = scores[name][:-1, 0].argmax()
        claims.append(
            Claim.above(f"{name} is read better below the last layer", scores[name][chosen, 1], scores[name][-1, 1])
        )
    train, _, test = probes["length"]
    shuffled = [str(label) for label in np.random.default_rng(0).permutation(train.labels)]
    given = [scan.of("mean", int(low), part.texts) for part in (train, test)]
    at_random = accuracy(given[0], shuffled, given[1], test.labels)
    floor = majority(train.labels, test.labels)
    figures = {f"{name}, most frequent label": majority(p[0].labels, p[2].labels) for name, p in probes.items()}
    figures |= {f"{name}, best layer": float(scores[name][:, 0].argmax()) for name in probes}
    return claims, Ablation("length probe on shuffled labels", at_random < floor + 5, at_random), figures


def _joined(scan: Scan, tasks: dict[str, Parts], depth: int) -> tuple[Claim, dict[str, float]]:
    """The first and the last block side by side, against the last alone, on the mean of the downstream tasks."""
    found: dict[str, list[float]] = {"last": [], "joined": [], "joined, cut to the same width": []}
    for train, _, test in tasks.values():
        last = [scan.of("mean", depth, part.texts) for part in (train, test)]
        joined = [
            np.hstack([unit_rows(scan.of("mean", 1, p.texts)), unit_rows(scan.of("mean", depth, p.texts))])
            for p in (train, test)
        ]
        width = min(last[0].shape[1], len(train.texts) - 1)
        cut = PCA(width, svd_solver="full").fit(joined[0])
        pairs: dict[str, Sequence[Floats]] = {
            "last": last,
            "joined": joined,
            "joined, cut to the same width": [np.asarray(cut.transform(part), np.float32) for part in joined],
        }
        for name, (given, held_out) in pairs.items():
            found[name].append(accuracy(given, train.labels, held_out, test.labels))
    means = {name: float(np.mean(values)) for name, values in found.items()}
    claim = Claim(
        "first and last layer joined are no worse downstream",
        means["joined"] >= means["last"],
        means["joined"],
        means["last"],
        0,
    )
    return claim, {f"downstream, {name}": value for name, value in means.items()}


def _tuned(test: list[tuple[str, str, float]], data: Path, untuned: float) -> tuple[list[Claim], Ablation]:
    """The tuned host on similarity, and a ranker on its vectors against BM25."""
    encoder = Transformer(TUNED)
    parts = {part: table(data / "retrieval" / "trecqa" / f"{part}.tsv.gz") for part in ("train", "test")}
    asked = {part: questions(rows) for part, rows in parts.items()}
    texts = [text for group in asked.values() for question in group for text in (question.text, *question.sentences)]
    scan = Scan(encoder, sentences(test) + texts, {"mean": MeanPool()}, [encoder.depth])

    def given(group: Sequence[Question]) -> list[tuple[Floats, Floats]]:
        depth = encoder.depth
        return [
            (unit_rows(scan.of("mean", depth, [q.text]))[0], unit_rows(scan.of("mean", depth, q.sentences)))
            for q in group
        ]

    train, held_out = given(asked["train"]), given(asked["test"])
    rank = {
        shuffled: float(
            np.mean(
                [
                    reciprocal_rank(Ranker(s, shuffled).fit(train, asked["train"]).scores(held_out), asked["test"])
                    for s in SEEDS
                ]
            )
        )
        for shuffled in (False, True)
    }
    words = reciprocal_rank(bm25(asked["test"], [row["sentence"] for row in parts["train"]]), asked["test"])
    score = similarity_score(scan.of("mean", encoder.depth, sentences(test)), test)
    ranking = Claim.above("a ranker on the tuned host's vectors beats BM25 (reciprocal rank × 100)", rank[False], words)
    exact = abs(score - PUBLISHED_TUNED) <= TOLERANCE
    return [
        Claim.above("the tuned host's last layer beats every layer of the untuned one", score, untuned),
        Claim("the tuned host scores as published", exact, score, PUBLISHED_TUNED, TOLERANCE),
        ranking,
    ], ranking.without("a ranker trained on shuffled labels", rank[True])
