"""Several task-describing one-word prompts averaged, against each of them and against the plain one-word prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from _probes import Split, accuracy
from _scan import Pair, sentences, similarity_score, skips_first_token, stsb, table

from plait.encoders.transformer import Transformer
from plait.fusion.average import Average
from plait.layers.single import Layer
from plait.papers import Claim, Outcome
from plait.plan import PassReport, run
from plait.pooling.single import LastPool
from plait.prompting.presets import prompt_set
from plait.roles import HostStep
from plait.step import Chain, unit_rows
from plait.types import Floats, ModelError

HOST = "gemma-3-270m"
ONE = "prompteol"
PROMPTS = prompt_set("metaeol")
DEV_PAIRS, TEST_PAIRS, SICK_PAIRS = 60, 250, 100
TRAIN, HELD_OUT = 300, 200
GAIN = 2.0
"""Points by which the mean of all prompts has to beat the average single one on STS-B."""
SAME = 0.999
"""Cosine from which on two prompts say the same of a text."""
CLOSE = 1e-4
"""How far states with a shared start may lie from those without, over their largest number."""
COMPARED = 12
"""Texts that are read both with the shared start and without."""
TIMED = 60
"""Texts on which the time with and without the shared start is measured."""
LAYERS = 6
"""Uppermost layers that one is chosen from on dev."""

Vectors = Mapping[str, Floats]


def check(data: Path) -> Outcome:
    pairs = {
        "dev": stsb(data, "dev")[:DEV_PAIRS],
        "STS-B": _sample(stsb(data, "test"), TEST_PAIRS),
        "SICK": _sample(_sick(data), SICK_PAIRS),
    }
    tasks = _tasks(data)
    texts = list(dict.fromkeys(text for part in pairs.values() for text in sentences(part)))
    texts += [text for task in tasks.values() for split in task for text in split.texts]
    texts = list(dict.fromkeys(texts))
    depth = skips_first_token(_host(ONE)).depth
    layers = range(depth - LAYERS + 1, depth + 1)
    strands = [strand for name in (ONE, *PROMPTS) for n in layers for strand in _recipe((name,), n).strands()]
    vectors, reports = run(strands, texts)
    row = {text: number for number, text in enumerate(texts)}

    def score(prompts: Sequence[str], layer: int, part: str) -> float:
        values = _recipe(prompts, layer).weave(vectors)[[row[text] for text in sentences(pairs[part])]]
        return similarity_score(values, pairs[part])

    def transfer(prompts: Sequence[str], layer: int) -> dict[str, float]:
        values = _recipe(prompts, layer).weave(vectors)
        found = {}
        for name, parts in tasks.items():
            train, held_out = (values[[row[text] for text in part.texts]] for part in parts)
            found[name] = accuracy(train, parts[0].labels, held_out, parts[1].labels)
        return found

    best = {name: max(layers, key=lambda n, p=prompts: score(p, n, "dev")) for name, prompts in _sets().items()}  # type: ignore[misc]
    singles = {name: score((name,), depth, "STS-B") for name in PROMPTS}
    average = float(np.mean(list(singles.values())))
    curve = {count: _mean_of(count, lambda some: score(some, depth, "STS-B")) for count in (1, 2, 4, 8)}
    accuracies = {name: transfer(prompts, depth) for name, prompts in _sets().items()}
    eight, one = (float(np.mean(list(accuracies[name].values()))) for name in ("mean of 8", ONE))
    alike = _cosines(vectors, depth)
    apart = _shuffled(vectors, depth, row, pairs["STS-B"])
    main = Claim.above("the mean of 8 prompts beats the average single one on STS-B", curve[8], average, GAIN)
    different = Claim.above(
        "two prompts never say the same of a text (1 - largest mean cosine)", 1 - alike, 0, 1 - SAME
    )
    far = _distance(texts[:COMPARED])
    return Outcome(
        [
            main,
            Claim.above("more prompts help: least gain from 1 to 2 to 4 to 8", min(np.diff(list(curve.values()))), 0),
            Claim(
                f"on the mean of {' and '.join(tasks)} the mean of 8 prompts is not worse than {ONE}",
                eight >= one,
                eight,
                one,
                0.0,
            ),
            different,
            Claim(
                "the shared start gives the states of the plain path (largest difference)", far < CLOSE, far, 0.0, CLOSE
            ),
        ],
        [
            main.without("each prompt eight times, on average", _mean_of(1, lambda p: score(p * 8, depth, "STS-B"))),
            main.without("seven of the eight prompts read another text", apart),
            different.without("the first prompt twice", 1 - _cosine(*[_of(PROMPTS[:1], depth, vectors)] * 2)),
        ],
        metric="Spearman × 100",
        data=["sts/stsb", "sts/sick", "classification/subj", "classification/trec"],
        seeds=[0],
        figures={
            **{f"STS-B, {name}, last layer": value for name, value in singles.items()},
            **{f"STS-B, mean of {count}, last layer": value for count, value in curve.items()},
            **{
                f"{part}, {name}, last layer": score(p, depth, part)
                for part in ("STS-B", "SICK")
                for name, p in _sets().items()
            },
            **{f"{name}: layer chosen on dev": layer for name, layer in best.items()},
            **{
                f"{part}, {name}, that layer": score(p, best[name], part)
                for part in ("STS-B", "SICK")
                for name, p in _sets().items()
            },
            **{f"STS-B, {name}, layer of the mean": score((name,), best["mean of 8"], "STS-B") for name in PROMPTS},
            **{
                f"{task}, {name}, last layer": value
                for name, found in accuracies.items()
                for task, value in found.items()
            },
            **_costs(reports, texts),
        },
        note=(
            f"{HOST} (4-bit weights, computed in bfloat16) stands for Llama-2-7B, of which the published pair 70.03, "
            "75.96 is not measured here; on a small host the mean need not beat the one-word prompt on similarity. "
            "The eight task descriptions are worded anew in their published structure. MR, CR and MPQA are left out."
        ),
    )


def _sets() -> dict[str, tuple[str, ...]]:
    return {ONE: (ONE,), "mean of 8": PROMPTS}


def _host(prompt: str, dtype: str = "bfloat16") -> Transformer:
    return Transformer(HOST, dtype=dtype, prompts=prompt)


def _recipe(prompts: Sequence[str], layer: int) -> Average:
    return Average([_chain(prompt, layer) for prompt in prompts])


def _chain(prompt: str, layer: int) -> Chain:
    return _host(prompt) | Layer(layer) | LastPool()


def _of(prompts: Sequence[str], layer: int, vectors: Vectors) -> Floats:
    return _recipe(prompts, layer).weave(vectors)


def _mean_of(count: int, score: Callable[[tuple[str, ...]], float]) -> float:
    """Mean score of disjoint sets of that many prompts; each set takes its prompts from different kinds of task."""
    step = len(PROMPTS) // count
    return float(np.mean([score(PROMPTS[start::step]) for start in range(step)]))


def _cosine(a: Floats, b: Floats) -> float:
    """Mean cosine of the rows."""
    return float((unit_rows(a) * unit_rows(b)).sum(axis=1).mean())


def _cosines(vectors: Vectors, layer: int) -> float:
    """The largest mean cosine of two prompts' vectors of a text."""
    single = [_of((name,), layer, vectors) for name in PROMPTS]
    return max(_cosine(a, b) for a, b in combinations(single, 2))


def _shuffled(vectors: Vectors, layer: int, row: Mapping[str, int], pairs: Sequence[Pair]) -> float:
    """Score of the mean when only the first prompt reads the text itself."""
    rows = [row[text] for text in sentences(pairs)]
    draw = np.random.default_rng(0)
    parts = [_of((name,), layer, vectors)[rows] for name in PROMPTS]
    mixed = [parts[0], *(part[draw.permutation(len(rows))] for part in parts[1:])]
    return similarity_score(np.mean(mixed, axis=0), pairs)


class Whole(HostStep):
    """Changes nothing, so that nothing is shared: every text is read from its first token on."""

    def change(self, encoder: Any) -> AbstractContextManager[None]:
        changes: AbstractContextManager[None] = encoder.intervene({0: lambda states, batch: states})
        return changes


def _distance(texts: Sequence[str]) -> float:
    """The largest difference that the shared start makes to a state, over the largest number, in float32."""
    encoder = _host(PROMPTS[0], "float32")
    tokens = encoder.tokenize(texts)
    if not encoder.shared(tokens):
        raise ModelError(f"{encoder} shares no start, so that there is nothing to compare")
    layers = (encoder.depth // 2, encoder.depth)
    shared = encoder.states(tokens, layers).values
    with Whole().change(encoder):
        plain = encoder.states(tokens, layers).values
    return float((np.abs(shared - plain).max(axis=(1, 2)) / np.abs(plain).max(axis=(1, 2))).max())


def _costs(reports: Mapping[str, PassReport], texts: Sequence[str]) -> dict[str, float]:
    """Processor seconds of the eight passes over that of one, and of some of them without the shared start."""
    eight = sum(report.cpu_seconds for source, report in reports.items() if "metaeol" in source)
    one = next(report.cpu_seconds for source, report in reports.items() if ONE in source)
    some = texts[:TIMED]
    steps = {"shared": [_host(name) for name in PROMPTS[:2]], "whole": [_host(name) | Whole() for name in PROMPTS[:2]]}
    seconds = {}
    for name, encoders in steps.items():
        strands = [strand for encoder in encoders for strand in (encoder | LastPool()).strands()]
        seconds[name] = sum(report.cpu_seconds for report in run(strands, some)[1].values())
    return {
        "processor seconds, eight prompts over one": eight / one,
        f"processor seconds without the shared start, {TIMED} texts": seconds["whole"],
        f"processor seconds with it, {TIMED} texts": seconds["shared"],
    }


def _tasks(data: Path) -> dict[str, tuple[Split, Split]]:
    rows = table(data / "classification" / "subj.tsv")
    drawn = Split([row["text"] for row in rows], [row["label"] for row in rows]).sample(TRAIN + HELD_OUT)
    subj = tuple(Split(drawn.texts[part], drawn.labels[part]) for part in (slice(TRAIN), slice(TRAIN, None)))
    found = {"SUBJ": subj}
    trec = (table(data / "classification" / "trec" / f"{part}.tsv") for part in ("train", "test"))
    splits = (Split([row["text"] for row in rows], [row["coarse"] for row in rows]) for rows in trec)
    found["TREC"] = tuple(split.sample(size) for split, size in zip(splits, (TRAIN, HELD_OUT), strict=True))
    return found  # type: ignore[return-value]


def _sample(pairs: Sequence[Pair], count: int) -> list[Pair]:
    return [pairs[n] for n in np.random.default_rng(0).permutation(len(pairs))[:count]]


def _sick(data: Path) -> list[Pair]:
    rows = table(data / "sts" / "sick" / "trial.tsv")
    return [(row["sentence1"], row["sentence2"], float(row["relatedness"])) for row in rows]
