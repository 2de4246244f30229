"""Prompts, layers, poolings and whitening of an untuned decoder on four tasks, beside tuned and static embedders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from _scan import Scan, sentences, similarity_score, skips_first_token, stsb

from plait.data import read, sample_task, select
from plait.data.tasks import Task
from plait.encoders.transformer import Transformer
from plait.evaluation import GridResult, TaskSpec, grid
from plait.layers.single import Layer
from plait.papers import Claim, Outcome
from plait.pooling.mean import MeanPool, WeightedMeanPool
from plait.pooling.single import LastPool
from plait.roles import Pooling
from plait.selection import advise, known_recipes
from plait.step import Composite
from plait.transforms.whitening import Whitening

HOST, TUNED, STATIC = "gemma-3-270m", "all-MiniLM-L6-v2", "wordllama"
PROMPTS = ("", "classical", "echo", "prompteol", "pretended-cot", "knowledge-enhancement")
LAYERS = (6, 12, 16, 18)
POOLINGS: dict[str, Callable[[], Pooling]] = {"mean": MeanPool, "last": LastPool, "weighted": WeightedMeanPool}
SPREADS = ("", "whitened")
PAIRS, TRAIN_PAIRS = 300, 100
"""STS-B pairs that are scored, and pairs whose texts whitening learns from."""
TRAIN, HELD_OUT = 200, 150
QUERIES, DOCUMENTS, WORDS = 20, 150, 45
"""Of the retrieval task; words that each document is cut to are about 64 tokens."""
GAIN = 5.0
"""Points of Spearman × 100 that a prompt has to add over the text as it is."""
SIGNAL = 20.0
"""Points by which a one-word prompt has to be better in the upper part than a third of the way up."""
RIVAL = 1.0
"""Points that an intermediate layer may lie below the last and still rival it."""
STS = "STS-B"

Cell = tuple[str, int, str, str]
"""Prompt, layer, pooling, and whether whitening follows."""


def check(data: Path) -> Outcome:
    tasks = _tasks()
    host = skips_first_token(_host(""))
    recipes = {
        (p, n, pool, w): _recipe(p, n, pool, w) for p in PROMPTS for n in LAYERS for pool in POOLINGS for w in SPREADS
    }
    names = {_name(cell): cell for cell in recipes}
    found = grid({name: recipes[cell] for name, cell in names.items()}, tasks)
    others = grid({TUNED: known_recipes()["mean"].on(TUNED), STATIC: known_recipes()["static"].on(STATIC)}, tasks)
    score = {cell: 100 * found.value(name, STS) for name, cell in names.items()}
    top = host.depth
    raw = {pool: score["", top, pool, ""] for pool in POOLINGS}
    one_word = Claim.above(
        "at the last layer, a one-word prompt beats the last token of the text as it is",
        score["prompteol", top, "last", ""],
        raw["last"],
        GAIN,
    )
    twice = Claim.above(
        "at the last layer, reading the text twice and averaging beats averaging it as it is",
        score["echo", top, "mean", ""],
        raw["mean"],
        GAIN,
    )
    upper = max(score["prompteol", n, "last", ""] for n in LAYERS if 2 * n >= top)
    early = Claim.above(
        "a one-word prompt says little of similarity a third of the way up",
        upper,
        score["prompteol", LAYERS[0], "last", ""],
        SIGNAL,
    )
    warned = {cell: bool(advise(recipe)) for cell, recipe in recipes.items()}
    means = {flag: float(np.mean([score[cell] for cell in recipes if warned[cell] == flag])) for flag in (True, False)}
    lot = np.random.default_rng(0).permutation(list(warned.values()))
    by_lot = [
        float(np.mean([s for s, w in zip(score.values(), lot, strict=True) if w == flag])) for flag in (False, True)
    ]
    advice = Claim.above(
        "recipes that advise() has nothing against are better on average", means[False], means[True], GAIN
    )
    pooled = {task.name: _best_pooling(found, names, task.name) for task in tasks}
    levels = {n: float(np.mean([s for cell, s in score.items() if cell[1] == n and not cell[3]])) for n in LAYERS}
    return Outcome(
        [
            one_word,
            twice,
            Claim.above(
                f"{TUNED}, tuned and a twelfth as large, beats every training-free setting of the decoder",
                100 * others.value(TUNED, STS),
                max(score.values()),
            ),
            Claim.above(
                "no pooling is best on all tasks (poolings that are best on one)", len(set(pooled.values())), 1
            ),
            Claim.above(
                "a layer below the last rivals it (mean over prompts and poolings, without whitening)",
                levels[LAYERS[-2]],
                levels[top],
                -RIVAL,
            ),
            early,
            advice,
        ],
        [
            one_word.without("each pair's right side is that of the next pair", _shuffled(data, "prompteol")),
            twice.without("the same words in front, the text once", score["classical", top, "mean", ""]),
            advice.without("warnings dealt out by lot", by_lot[0] - by_lot[1] + means[True]),
        ],
        metric="Spearman × 100",
        data=["sts/stsb", "classification/trec", "classification/subj", "retrieval/cranfield"],
        seeds=[0],
        figures={
            **{f"{STS}, {_name(cell)}": value for cell, value in score.items()},
            **{f"{task.name}, best of {HOST}": 100 * max(found.value(n, task.name) for n in names) for task in tasks},
            **{f"{task.name}, {n}": 100 * others.value(n, task.name) for task in tasks for n in (TUNED, STATIC)},
            **_means(found, names, tasks),
            **{
                f"milliseconds a text, {p or 'no prompt'}": found.milliseconds[_name((p, top, "mean", ""))]
                for p in PROMPTS
            },
            **{f"milliseconds a text, {n}": others.milliseconds[n] for n in (TUNED, STATIC)},
            "bytes a vector": 4 * host.width,
            f"bytes a vector, {TUNED}": 1536,
            "forward passes": found.passes,
        },
        note=(
            f"{HOST} (4-bit weights, computed in bfloat16) stands for the survey's decoders; the survey has no figures "
            "of its own. Best pooling by task: " + ", ".join(f"{task} {pool}" for task, pool in pooled.items()) + ". "
            "Sparse vectors are not compared, since no sparse encoder is installed; the set of documents is small, so "
            "that retrieval figures say little by themselves. Whitening learns from each task's training part."
        ),
    )


def _host(prompt: str) -> Transformer:
    return Transformer(HOST, dtype="bfloat16", prompts=prompt or None)


def _recipe(prompt: str, layer: int, pool: str, spread: str) -> Composite:
    pooled = _host(prompt) | Layer(layer) | POOLINGS[pool]()
    return pooled | Whitening(shrinkage=0.5) if spread else pooled


def _name(cell: Cell) -> str:
    prompt, layer, pool, spread = cell
    return ", ".join(filter(None, [prompt or "no prompt", f"layer {layer}", pool, spread]))


def _tasks() -> list[TaskSpec]:
    similar = sample_task(read("data:sts/stsb"), {"train": TRAIN_PAIRS, "dev": 1, "test": PAIRS})
    questions = sample_task(
        read("data:classification/trec", columns={"label": "coarse"}), {"train": TRAIN, "test": HELD_OUT}
    )
    drawn = sample_task(read("data:classification/subj.tsv"), {"all": TRAIN + HELD_OUT})
    mixed = np.random.default_rng(0).permutation(TRAIN + HELD_OUT)  # the file is sorted by class
    parts = {"train": mixed[:TRAIN], "test": mixed[TRAIN:]}
    views = replace(drawn, parts={name: select(drawn.parts["all"], rows) for name, rows in parts.items()})
    found = sample_task(read("data:retrieval/cranfield"), {"all": QUERIES, "documents": DOCUMENTS})
    short = tuple(" ".join(str(text).split()[:WORDS]) for text in found.documents)
    search = replace(found, documents=short, parts={"test": found.parts["all"]})
    named: dict[str, Task] = {STS: similar, "TREC": questions, "SUBJ": views, "Cranfield": search}
    return [
        TaskSpec(replace(task, name=name), head="ridge" if task.kind == "classification" else None)
        for name, task in named.items()
    ]


def _best_pooling(found: GridResult, names: Mapping[str, Cell], task: str) -> str:
    """The pooling of the best setting at each task, whatever its prompt and layer."""
    return names[found.best(task)][2]


def _means(found: GridResult, names: Mapping[str, Cell], tasks: list[TaskSpec]) -> dict[str, float]:
    """Mean over all settings with one value of an axis, by task."""
    out: dict[str, float] = {}
    for task in tasks:
        for axis in range(4):
            for value in dict.fromkeys(cell[axis] for cell in names.values()):
                scores = [found.value(name, task.name) for name, cell in names.items() if cell[axis] == value]
                label = str(value) or ("no prompt" if axis == 0 else "not whitened")
                out[f"{task.name}, mean of all with {'layer ' if axis == 1 else ''}{label}"] = 100 * float(
                    np.mean(scores)
                )
    return out


def _shuffled(data: Path, prompt: str) -> float:
    """The one-word prompt on pairs that do not belong together."""
    pairs = stsb(data, "test")[:PAIRS]
    moved = [(a, b, gold) for (a, _, gold), (_, b, _) in zip(pairs, [*pairs[1:], pairs[0]], strict=True)]
    encoder = _host(prompt)
    scan = Scan(encoder, sentences(moved), {"last": LastPool()}, [encoder.depth])
    return similarity_score(scan.of("last", encoder.depth, sentences(moved)), moved)
