"""What checks that tune a host share: texts read once, batches of examples, and the contrastive run on them."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from _scan import table
from torch import Tensor

from plait.encoders.tuning import Reading, TunedHost
from plait.evaluation.ranking import Grades, Measure, top_k
from plait.step import unit_rows
from plait.training import InfoNCE, Schedule, train
from plait.types import Floats


class Example(NamedTuple):
    """Two texts that belong together; others of the same group are right answers, too."""

    left: str
    right: str
    group: str
    negative: str = ""


class Shelf:
    """Texts as tuned hosts of one kind read them: each is tokenised, and run through the frozen blocks, once.

    Args:
        host: any of the tuned hosts.
        texts: equal ones are read once.
        role: whose prompt stands around them.
    """

    def __init__(self, host: TunedHost, texts: Iterable[str], role: str = "document") -> None:
        unique = list(dict.fromkeys(texts))
        self._row = {text: number for number, text in enumerate(unique)}
        self._reading = host.read(unique, role)

    def __call__(self, texts: Sequence[str]) -> Reading:
        return self._reading.take(np.array([self._row[text] for text in texts], np.int64))


def contrast(
    call: Callable[[Reading], Tensor], batch: Sequence[Example], left: Shelf, right: Shelf, temperature: float
) -> Tensor:
    """InfoNCE of a batch, with what ``call`` makes of its texts."""
    groups = np.array([example.group for example in batch])
    same = torch.from_numpy(np.equal.outer(groups, groups))
    negatives = None
    if all(example.negative for example in batch):
        negatives = call(right([example.negative for example in batch]))[:, None]
    queries = call(left([example.left for example in batch]))
    positives = call(right([example.right for example in batch]))
    return InfoNCE(temperature)(queries, positives, negatives, same=same)


def shuffled_batches(examples: Sequence[Example], size: int, steps: int, seed: int) -> list[list[Example]]:
    """That many whole batches, through the examples in ever new orders."""
    rng, order = np.random.default_rng(seed), list[int]()
    while len(order) < size * steps:
        order += rng.permutation(len(examples)).tolist()
    return [[examples[n] for n in order[step * size : (step + 1) * size]] for step in range(steps)]


def tune(
    host: TunedHost,
    batches: Sequence[Sequence[Example]],
    left: Shelf,
    right: Shelf,
    lr: float,
    temperature: float = 0.05,
    seed: int = 0,
) -> TunedHost:
    """Train the host on the batches, once each."""
    train(
        host,
        lambda epoch: batches,
        lambda batch: contrast(host, batch, left, right, temperature),
        schedule=Schedule(epochs=1, lr=lr, seed=seed),
    )
    return host


def rematched(examples: Sequence[Example], seed: int) -> list[Example]:
    """Each left side with the right side of another example."""
    shift = 1 + int(np.random.default_rng(seed).integers(len(examples) - 1))
    moved = [*examples[shift:], *examples[:shift]]
    return [Example(a.left, b.right, a.group, a.negative) for a, b in zip(examples, moved, strict=True)]


def snli(data: Path, parts: Sequence[str], label: str = "entailment") -> list[tuple[str, str]]:
    """Premises with their hypotheses of that label."""
    rows = [row for part in parts for row in table(data / "nli" / "snli" / f"{part}.tsv.gz")]
    return [(row["premise"], row["hypothesis"]) for row in rows if row["label"] == label]


class Retrieval(NamedTuple):
    """Queries, the documents to search, and which are relevant."""

    queries: list[str]
    documents: list[str]
    relevant: list[dict[int, int]]

    def ndcg(self, queries: Floats, documents: Floats) -> float:
        """NDCG@10 × 100 of the cosine."""
        ranking = top_k(unit_rows(queries) @ unit_rows(documents).T, 10)
        return 100 * float(Grades(self.relevant, len(self.documents)).measure(ranking, Measure.parse("nDCG@10")).mean())


class SciFact:
    """Claims and abstracts; the judgements of the training part are pairs to learn from."""

    def __init__(self, data: Path) -> None:
        folder = data / "retrieval" / "scifact"
        lines = gzip.decompress((folder / "corpus.jsonl.gz").read_bytes()).decode().splitlines()
        rows = [json.loads(line) for line in lines]
        self.documents = {row["_id"]: f"{row['title']} {row['text']}" for row in rows}
        asked = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
        self._queries = {row["_id"]: row["text"] for row in asked}
        self._judged = {part: _judged(folder / "qrels" / f"{part}.tsv") for part in ("train", "test")}

    def examples(self) -> list[Example]:
        """Training claims with the abstracts that speak of them."""
        return [Example(self._queries[q], self.documents[d], d) for q, d in self._judged["train"]]

    def test(self, others: int) -> Retrieval:
        """Test claims; to search are the abstracts that are judged, and some others."""
        judged = self._judged["test"]
        relevant = list(dict.fromkeys(d for _, d in judged))
        rest = [d for d in self.documents if d not in set(relevant)]
        chosen = [*relevant, *(rest[n] for n in np.random.default_rng(0).permutation(len(rest))[:others])]
        place = {d: number for number, d in enumerate(chosen)}
        queries = list(dict.fromkeys(q for q, _ in judged))
        found = [{place[d]: 1 for other, d in judged if other == q} for q in queries]
        return Retrieval([self._queries[q] for q in queries], [self.documents[d] for d in chosen], found)


def _judged(path: Path) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["query_id"], row["doc_id"]) for row in csv.DictReader(file, delimiter="\t") if row["score"] != "0"]
