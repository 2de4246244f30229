"""Biases alone of a multilingual decoder, tuned on English pairs: what other languages and code gain from it."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from _scan import sentences, similarity_score, stsb
from _tuning import Example, SciFact, Shelf, contrast, rematched, shuffled_batches, snli

from plait.encoders.transformer import Transformer
from plait.encoders.tuning import TunedHost
from plait.evaluation.ranking import Grades, Measure, top_k
from plait.papers import Ablation, Claim, Outcome
from plait.pooling.mean import MeanPool
from plait.pooling.single import LastPool
from plait.step import unit_rows
from plait.training import Schedule, bitfit, lora, train
from plait.types import Floats

HOST, DTYPE, FROZEN, MAX_LENGTH = "gemma-3-270m", "bfloat16", 14, 48
"""4 of 18 blocks learn: their biases, which are added."""
MARKERS = {"query": "<unused0>{text}<unused1>", "document": "<unused2>{text}<unused3>"}
"""Tokens that pre-training never used stand for the published [BOQ], [EOQ], [BOD] and [EOD]."""
SIZES = {"symmetric": 1280, "asymmetric": 320}
BATCH, TEMPERATURE = 32, 0.05
LR = {"biases": 1e-2, "low rank": 1e-3}
RANK = 8
PAIRS, TRANSLATIONS, FUNCTIONS = 500, 200, 200
LANGUAGES = ("deu", "rus")
SEED = 0
STRONG, NEAR = 5.0, 3.0
"""Points by which English similarity has to rise; and by which biases may lie below low-rank changes."""
TASKS = ("similarity", "translations", "code")


def check(data: Path) -> Outcome:
    bed = Bed(data)
    pairs = {kind: bed.examples[kind] for kind in SIZES}
    hosts = {
        "untuned": opened(),
        "biases": opened(),
        "re-matched pairs": opened(),
        "low rank": opened(),
        "all weights": opened(),
    }
    learned = {name: bitfit(hosts[name]) for name in ("biases", "re-matched pairs")} | {
        "low rank": lora(hosts["low rank"], RANK, seed=SEED)
    }
    before = {name: fixed(hosts[name]) for name in ("biases", "all weights")}
    bed.tune(hosts["biases"], pairs, LR["biases"])
    bed.tune(hosts["re-matched pairs"], {kind: rematched(found, SEED) for kind, found in pairs.items()}, LR["biases"])
    bed.tune(hosts["low rank"], pairs, LR["low rank"])
    bed.tune(hosts["all weights"], {kind: found[:BATCH] for kind, found in pairs.items()}, LR["low rank"])
    moved = {name: changed(hosts[name], known) for name, known in before.items()}
    scores = {name: bed.scores(host, bed.query, bed.document) for name, host in hosts.items() if name != "all weights"}
    scores["untuned, averaged tokens"] = bed.plain()
    untuned = {task: max(scores["untuned"][task], scores["untuned, averaged tokens"][task]) for task in TASKS}
    texts = {
        "similarity": "English similarity rises strongly",
        "translations": "translations are found better, although only English was trained on",
        "code": "code is found better, although only English was trained on",
    }
    claims = [
        Claim.above(text, scores["biases"][task], untuned[task], STRONG if task == "similarity" else 0)
        for task, text in texts.items()
    ]
    near = scores["biases"]["similarity"] >= scores["low rank"]["similarity"] - NEAR
    share = [learned[name].trained for name in ("biases", "low rank")]
    return Outcome(
        [
            *claims,
            Claim(
                "biases lie within a few points of low-rank changes on similarity",
                near,
                scores["biases"]["similarity"],
                scores["low rank"]["similarity"],
                -NEAR,
            ),
            Claim("they are less than half as many numbers", share[0] < share[1] / 2, share[0], share[1], 0),
            Claim("weights that are no biases stay bit for bit", not moved["biases"], len(moved["biases"]), 0, 0),
        ],
        [
            *(
                claim.without(f"each text with the partner of another, {task}", scores["re-matched pairs"][task])
                for claim, task in zip(claims, TASKS, strict=True)
            ),
            Ablation(
                "all weights tuned, and called bias tuning", bool(moved["all weights"]), len(moved["all weights"])
            ),
        ],
        metric="Spearman × 100",
        data=["sts/stsb", "nli/snli", "retrieval/scifact", "bitext/tatoeba", "code/cosqa"],
        seeds=[SEED],
        figures={f"{name}, {task}": value for name, found in scores.items() for task, value in found.items()}
        | {f"{name}, share of all numbers": found.share for name, found in learned.items()},
        note=(
            f"The biases of the top {18 - FROZEN} of 18 blocks learn, from {SIZES['symmetric']} inference pairs and "
            f"{SIZES['asymmetric']} claims with their abstracts, read to {MAX_LENGTH} tokens; the embeddings of the "
            "marker tokens stay as they are, since they lie below the frozen blocks. The untuned host counts with the "
            "better of its end marker and its averaged tokens. One seed, as the host's size asks for."
        ),
    )


class Code(NamedTuple):
    """Questions, the functions to search, and which of them answers each question."""

    queries: list[str]
    functions: list[str]
    relevant: list[dict[int, int]]


class Bed:
    """Examples to learn from, what is tested, and every text as the frozen blocks leave it, by role."""

    def __init__(self, data: Path) -> None:
        pool = {
            "symmetric": [Example(*pair, pair[0]) for pair in snli(data, ("dev",))],
            "asymmetric": SciFact(data).examples(),
        }
        rng = np.random.default_rng(SEED)
        self.examples = {
            kind: [pool[kind][n] for n in rng.permutation(len(pool[kind]))[:size]] for kind, size in SIZES.items()
        }
        test = stsb(data, "test")
        self.pairs = [test[n] for n in rng.permutation(len(test))[:PAIRS]]
        self.bitext = {language: _bitext(data, language) for language in LANGUAGES}
        self.code = _code(data)
        self.tested = sentences(self.pairs) + self.code.queries
        self.tested += [text for sides in self.bitext.values() for side in sides for text in side]
        asked = [text for example in self.examples["symmetric"] for text in (example.left, example.right)]
        asked += [example.left for example in self.examples["asymmetric"]] + self.tested
        found = [example.right for example in self.examples["asymmetric"]] + self.code.functions
        reader = opened()
        self.query, self.document = Shelf(reader, asked, "query"), Shelf(reader, found, "document")

    def tune(self, host: TunedHost, examples: Mapping[str, Sequence[Example]], lr: float) -> None:
        """One epoch of batches of one kind each, in random order."""
        batches = [
            (kind, batch)
            for kind, found in examples.items()
            for batch in shuffled_batches(found, BATCH, len(found) // BATCH, SEED)
        ]
        order = np.random.default_rng(SEED).permutation(len(batches))
        right = {"symmetric": self.query, "asymmetric": self.document}

        def loss(batch: tuple[str, Sequence[Example]]) -> torch.Tensor:
            return contrast(host, batch[1], self.query, right[batch[0]], TEMPERATURE)

        train(host, lambda epoch: [batches[n] for n in order], loss, schedule=Schedule(epochs=1, lr=lr, seed=SEED))

    def plain(self) -> dict[str, float]:
        """Scores of the untuned host's averaged tokens, without markers, which an average would only be blurred by."""
        host = TunedHost(Transformer(HOST, MAX_LENGTH, dtype=DTYPE), MeanPool(), FROZEN)
        shelf = Shelf(host, self.tested + self.code.functions)
        return self.scores(host, shelf, shelf)

    def scores(self, host: TunedHost, query: Shelf, document: Shelf) -> dict[str, float]:
        """Spearman on pairs, share of translations found first, reciprocal rank of functions; each × 100."""
        right = [_found(*(host.vectors(query(side)) for side in sides)) for sides in self.bitext.values()]
        ranking = top_k(
            unit_rows(host.vectors(query(self.code.queries)))
            @ unit_rows(host.vectors(document(self.code.functions))).T,
            len(self.code.functions),
        )
        grades = Grades(self.code.relevant, len(self.code.functions))
        measure = Measure.parse(f"MRR@{len(self.code.functions)}")
        return {
            "similarity": similarity_score(host.vectors(query(sentences(self.pairs))), self.pairs),
            "translations": float(np.mean(right)),
            "code": 100 * float(grades.measure(ranking, measure).mean()),
        } | {f"translations, {language}": share for language, share in zip(self.bitext, right, strict=True)}


def opened() -> TunedHost:
    return TunedHost(Transformer(HOST, MAX_LENGTH, MARKERS, DTYPE), LastPool(), FROZEN).eval()


def fixed(host: TunedHost) -> dict[str, str]:
    """Checksum of every parameter that is no bias."""
    return {
        name: hashlib.sha256(parameter.detach().float().numpy().tobytes()).hexdigest()
        for name, parameter in host.named_parameters()
        if not name.endswith("bias")
    }


def changed(host: TunedHost, known: Mapping[str, str]) -> list[str]:
    """Parameters whose checksum is no longer the known one."""
    now = fixed(host)
    return [name for name, checksum in known.items() if now[name] != checksum]


def _found(left: Floats, right: Floats) -> float:
    """Share × 100 of the left texts whose nearest right text is their own."""
    nearest = (unit_rows(left) @ unit_rows(right).T).argmax(axis=1)
    return 100 * float(np.mean(nearest == np.arange(len(left))))


def _bitext(data: Path, language: str) -> tuple[list[str], list[str]]:
    start = data / "bitext" / "tatoeba" / f"tatoeba.{language}-eng"
    sides = [start.with_name(f"{start.name}.{side}").read_text().splitlines() for side in (language, "eng")]
    return sides[0][:TRANSLATIONS], sides[1][:TRANSLATIONS]


def _code(data: Path) -> Code:
    folder = data / "code" / "cosqa"
    asked = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()][:FUNCTIONS]
    lines = gzip.decompress((folder / "codebase.jsonl.gz").read_bytes()).decode().splitlines()
    code = {row["id"]: row["code"] for row in map(json.loads, lines)}
    wanted = list(dict.fromkeys(row["relevant"] for row in asked))
    place = {key: number for number, key in enumerate(wanted)}
    relevant = [{place[row["relevant"]]: 1} for row in asked]
    return Code([row["query"] for row in asked], [code[key] for key in wanted], relevant)
