"""Latent-attention pooling on a frozen decoder, and what in-batch negatives and the order of two stages do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from _frozen import LENGTH, Frozen, exam, shuffled, snli_triples, titled, triples_of

from plait.encoders.transformer import Transformer
from plait.papers import Claim, Outcome
from plait.pooling.attention import AttentionPool
from plait.training import InfoNCE, Schedule, train
from plait.training.examples import Triples
from plait.transforms.linear_map import LinearMap
from plait.types import Floats

HOST = "gemma-3-270m"
NLI, TITLES = 1000, 300
PAIRS, TRAIN, TEST = 300, 500, 300
LATENTS, HEADS, HEAD_DIM, EPOCHS = 32, 2, 64, 3
HIDDEN = 4032
"""Width at which a small network on the mean has as many weights as the latent attention."""
SEEDS = (0, 1, 2)
STAGE_STEPS, BATCH = 40, 64


def check(data: Path) -> Outcome:
    test = exam(data, genres=False, pairs=500, train=TRAIN, test=TEST)
    nli, titles = snli_triples(data, NLI), titled(data, "scifact", TITLES) + titled(data, "cranfield", TITLES)
    host = Transformer(HOST, max_length=LENGTH, dtype="bfloat16")
    frozen = Frozen.of(host, [t for row in nli for t in row] + [t for row in titles for t in row] + test.texts())
    examples = triples_of(frozen, nli, titles)
    ranked = [*test.pairs, *test.ranked]

    def mean(vectors: Floats, names: list[str]) -> float:
        scores = test.scores(frozen, vectors)
        return float(np.mean([scores[name] for name in names]))

    designs: dict[str, Callable[[int], Floats]] = {
        "latent attention": lambda seed: _latent(frozen, examples, seed),
        "mean and a network of equal size": lambda seed: _network(frozen.mean, examples, seed),
        "last token and a network of equal size": lambda seed: _network(frozen.top, examples, seed),
        "latent attention, positives shuffled": lambda seed: _latent(frozen, shuffled(examples, seed), seed),
    }
    found = {name: float(np.mean([mean(design(seed), ranked) for seed in SEEDS])) for name, design in designs.items()}
    latent, on_mean, on_last, noise = found.values()
    over_mean = Claim.above("latent attention beats the mean with as many trained weights", latent, on_mean)
    over_last = Claim.above("the mean beats the last token, with as many trained weights", on_mean, on_last)
    questions = test.classes["trec"]
    rows, labels = frozen.rows(questions[0]), np.array(questions[1])
    contrast: dict[bool | str, list[Floats]] = {
        in_batch: [_classes(frozen, _class_triples(rows, labels, seed), in_batch, seed) for seed in SEEDS]
        for in_batch in (False, True)
    }
    contrast["any"] = [_classes(frozen, _class_triples(rows, labels, seed, apart=False), False, seed) for seed in SEEDS]
    trec = {key: float(np.mean([mean(vectors, ["trec"]) for vectors in runs])) for key, runs in contrast.items()}
    negatives = Claim.above("on classes, no in-batch negatives beat in-batch negatives (TREC)", trec[False], trec[True])
    stages = {order: [_stages(frozen, nli, titles, order, seed) for seed in SEEDS] for order in (True, False)}
    two = {order: float(np.mean([mean(vectors, ranked) for vectors in runs])) for order, runs in stages.items()}
    order = Claim.above("ranking first, then the mix, beats the reversed order", two[True], two[False])
    return Outcome(
        [over_mean, over_last, negatives, order],
        [
            over_mean.without("positives shuffled over the anchors", noise),
            negatives.without("hard negatives of any class, not of another", trec["any"]),
        ],
        metric="× 100, mean of STS-B, SICK and MED",
        data=["nli/snli", "retrieval/scifact", "retrieval/cranfield", "sts/stsb", "sts/sick", "retrieval/med",
              "classification/trec"],
        seeds=SEEDS,
        figures={
            **found,
            "untrained mean": mean(frozen.mean, ranked),
            "untrained last token": mean(frozen.top, ranked),
            "TREC, in-batch negatives": trec[True],
            "TREC, hard negatives alone": trec[False],
            "ranking, then mix": two[True],
            "mix, then ranking": two[False],
        },
        note="The host is frozen and causal; what it would gain from a bidirectional mask is put to a small decoder in "
        "the check of pooling-and-attention. Stages train a linear map on the mean: 40 steps of titles with in-batch "
        "negatives, 40 steps of NLI and question classes with hard negatives alone.",
    )  # fmt: skip


def _latent(frozen: Frozen, examples: Triples, seed: int) -> Floats:
    step = AttentionPool("token_query", LATENTS, HEADS, HEAD_DIM, epochs=EPOCHS, random_state=seed)
    return step.fit(frozen.packed, examples).pool(frozen.states, frozen.tokens)


def _network(vectors: Floats, examples: Triples, seed: int) -> Floats:
    return LinearMap(hidden=HIDDEN, epochs=EPOCHS, random_state=seed).fit(vectors, examples).transform(vectors)


def _class_triples(rows: np.ndarray, labels: np.ndarray, seed: int, apart: bool = True) -> Triples:
    """Each text with another of its class, and one of another class (or, not ``apart``, any text) as its negative."""
    rng = np.random.default_rng(seed)
    kept = [n for n in range(len(rows)) if (labels == labels[n]).sum() > 1]
    near = [rng.choice(np.flatnonzero((labels == labels[n]) & (np.arange(len(rows)) != n))) for n in kept]
    far = [rng.choice(np.flatnonzero(labels != labels[n]) if apart else len(rows)) for n in kept]
    return Triples(rows[kept], rows[near], rows[far][:, None])


def _classes(frozen: Frozen, examples: Triples, in_batch: bool, seed: int) -> Floats:
    return _mapped(frozen.mean, [(examples, in_batch)], seed)


def _stages(
    frozen: Frozen, nli: list[tuple[str, str, str]], titles: list[tuple[str, str]], first: bool, seed: int
) -> Floats:
    ranking = (triples_of(frozen, [], titles), True)
    mix = (triples_of(frozen, nli, []), False)
    return _mapped(frozen.mean, [ranking, mix] if first else [mix, ranking], seed)


def _mapped(vectors: Floats, stages: list[tuple[Triples, bool]], seed: int) -> Floats:
    """Vectors through a linear map that is trained stage after stage, each with or without in-batch negatives."""
    import torch

    data = torch.from_numpy(np.ascontiguousarray((vectors - vectors.mean(axis=0)) / vectors.std()))
    torch.manual_seed(seed)
    layer = torch.nn.Linear(data.shape[1], data.shape[1])
    with torch.no_grad():
        layer.weight.copy_(torch.eye(data.shape[1]))
        layer.bias.zero_()
    for number, (examples, in_batch) in enumerate(stages):
        loss = InfoNCE(0.05, in_batch=in_batch)

        def batches(epoch: int, examples: Triples = examples, number: int = number) -> list[Triples]:
            found = list(examples.batches(BATCH, 1000 * seed + 10 * epoch + number))
            return (found * (1 + STAGE_STEPS // len(found)))[:STAGE_STEPS]

        def step(batch: Triples, loss: InfoNCE = loss) -> torch.Tensor:
            sides = [layer(data[torch.from_numpy(side)]) for side in (batch.anchors, batch.positives)]
            value: torch.Tensor = loss(*sides, layer(data[torch.from_numpy(batch.negatives)]))
            return value

        train(layer, batches, step, schedule=Schedule(1, lr=1e-3, seed=seed))
    with torch.no_grad():
        return np.asarray(layer(data).numpy())
