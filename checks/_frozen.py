"""What checks of trained poolings share: a frozen decoder's layers and tokens from one pass, and examples."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _scan import Pair, similarity_score, table
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from plait.analysis.streaming import stream
from plait.encoders.transformer import Transformer
from plait.pooling.mean import MeanPool
from plait.pooling.single import LastPool
from plait.step import unit_rows
from plait.training.examples import Triples
from plait.types import Floats, Ints, States, Tokens, ranges

LENGTH = 40
"""Tokens of a text that are read."""


@dataclass(frozen=True)
class Frozen:
    """Unique texts as a frozen host sees them.

    Attributes:
        row: of each text.
        tokens: of all texts.
        last: ``[N, L * D]`` state of each text's last token, layers 1 to the last side by side.
        states: ``[T, D]`` states of the last layer.
        layers: L.
    """

    row: Mapping[str, int]
    tokens: Tokens
    last: Floats
    states: Floats
    layers: int

    @classmethod
    def of(cls, host: Transformer, texts: Iterable[str]) -> Frozen:
        """One pass over the texts."""
        unique = list(dict.fromkeys(texts))
        tokens = host.tokenize(unique)
        layers = tuple(range(1, host.depth + 1))
        last = np.zeros((len(unique), len(layers), host.width), np.float32)
        states = np.zeros((len(tokens.ids), host.width), np.float32)
        place = {tuple(tokens.ids[a:b].tolist()): n for n, (a, b) in enumerate(_spans(tokens))}
        for batch in stream(host, tokens, layers):
            rows = [place[tuple(batch.tokens.ids[a:b].tolist())] for a, b in _spans(batch.tokens)]
            for number, layer in enumerate(layers):
                last[rows, number] = LastPool().pool(batch.layer(layer), batch.tokens)
            entries = ranges(tokens.offsets[rows], tokens.offsets[np.array(rows) + 1])
            states[entries] = batch.layer(host.depth)
        # texts that are cut to the same tokens are one text to the host
        same = np.array([place[tuple(tokens.ids[a:b].tolist())] for a, b in _spans(tokens)])
        row = {text: int(same[number]) for number, text in enumerate(unique)}
        return cls(row, tokens, last.reshape(len(unique), -1), states, len(layers))

    @property
    def top(self) -> Floats:
        """``[N, D]`` state of the last token in the last layer."""
        return self.last[:, -self.last.shape[1] // self.layers :]

    @property
    def mean(self) -> Floats:
        """``[N, D]`` mean of the last layer."""
        return MeanPool().pool(self.states, self.tokens)

    @property
    def packed(self) -> States:
        """The last layer's token states."""
        return States(self.states[None], (self.layers,), self.tokens)

    def rows(self, texts: Sequence[str]) -> Ints:
        """Rows of these texts."""
        return np.array([self.row[text] for text in texts], np.int64)


def _spans(tokens: Tokens) -> list[tuple[int, int]]:
    return list(zip(tokens.offsets[:-1].tolist(), tokens.offsets[1:].tolist(), strict=True))


def snli_triples(data: Path, most: int) -> list[tuple[str, str, str]]:
    """Premises with a hypothesis that follows and one that contradicts."""
    found: dict[str, dict[str, str]] = {}
    for part in ("dev", "test"):
        for row in table(data / "nli" / "snli" / f"{part}.tsv.gz"):
            found.setdefault(row["premise"], {}).setdefault(row["label"], row["hypothesis"])
    whole = [
        (p, h["entailment"], h["contradiction"]) for p, h in found.items() if {"entailment", "contradiction"} <= set(h)
    ]
    return [whole[n] for n in np.random.default_rng(0).permutation(len(whole))[:most]]


def titled(data: Path, name: str, most: int) -> list[tuple[str, str]]:
    """Titles of a collection with the beginning of their texts."""
    lines = gzip.decompress((data / "retrieval" / name / "corpus.jsonl.gz").read_bytes()).decode().splitlines()
    rows = [json.loads(line) for line in lines]
    pairs = [(row["title"], row["text"]) for row in rows if row["title"].strip() and row["text"].strip()]
    return [pairs[n] for n in np.random.default_rng(0).permutation(len(pairs))[:most]]


def triples_of(frozen: Frozen, nli: Sequence[tuple[str, str, str]], pairs: Sequence[tuple[str, str]]) -> Triples:
    """All examples as rows; a pair without a contradiction gets the text of another pair as its negative."""
    others = [b for _, b in pairs[1:]] + [b for _, b in pairs[:1]]
    anchors = [a for a, _, _ in nli] + [a for a, _ in pairs]
    positives = [b for _, b, _ in nli] + [b for _, b in pairs]
    negatives = [c for _, _, c in nli] + others
    return Triples(frozen.rows(anchors), frozen.rows(positives), frozen.rows(negatives)[:, None])


def shuffled(examples: Triples, seed: int) -> Triples:
    """Anchors with the positives of other anchors."""
    order = np.random.default_rng(seed).permutation(len(examples))
    return Triples(examples.anchors, examples.positives[order], examples.negatives[order])


@dataclass(frozen=True)
class Exam:
    """What vectors of a frozen host are put to: similarity, ranking, classes.

    Attributes:
        pairs: sets of scored pairs, by name.
        ranked: queries, documents and the relevant places of each query, by name.
        classes: train texts and labels, test texts and labels, by name.
    """

    pairs: Mapping[str, Sequence[Pair]]
    ranked: Mapping[str, tuple[list[str], list[str], list[dict[int, int]]]]
    classes: Mapping[str, tuple[list[str], list[str], list[str], list[str]]]

    def texts(self) -> list[str]:
        """All texts in it."""
        out = [text for pairs in self.pairs.values() for a, b, _ in pairs for text in (a, b)]
        out += [text for queries, documents, _ in self.ranked.values() for text in (*queries, *documents)]
        return out + [text for a, _, b, _ in self.classes.values() for text in (*a, *b)]

    def scores(self, frozen: Frozen, vectors: Floats) -> dict[str, float]:
        """Spearman, nDCG@10 and accuracy, × 100."""
        from plait.evaluation.ranking import Grades, Measure, top_k

        out = {}
        for name, pairs in self.pairs.items():
            sides = [a for a, _, _ in pairs] + [b for _, b, _ in pairs]
            out[name] = similarity_score(vectors[frozen.rows(sides)], list(pairs))
        for name, (queries, documents, relevant) in self.ranked.items():
            asked, found = unit_rows(vectors[frozen.rows(queries)]), unit_rows(vectors[frozen.rows(documents)])
            measured = Grades(relevant, len(documents)).measure(top_k(asked @ found.T, 10), Measure.parse("nDCG@10"))
            out[name] = 100 * float(measured.mean())
        for name, (train, labels, test, gold) in self.classes.items():
            scaler = StandardScaler().fit(vectors[frozen.rows(train)])
            model = LogisticRegression(C=0.1, max_iter=300).fit(scaler.transform(vectors[frozen.rows(train)]), labels)
            out[name] = 100 * float(model.score(scaler.transform(vectors[frozen.rows(test)]), gold))
        return out


def exam(data: Path, genres: bool, pairs: int, train: int, test: int) -> Exam:
    """STS-B (by genre, or whole), SICK, MED and a part of SciFact, TREC, MR and SUBJ."""
    rows = table(data / "sts" / "stsb" / "test.tsv")
    stsb: dict[str, list[Pair]] = {}
    for row in rows:
        name = f"STS-B {row['genre']}" if genres else "STS-B"
        stsb.setdefault(name, []).append((row["sentence1"], row["sentence2"], float(row["score"])))
    sick = table(data / "sts" / "sick" / "trial.tsv")
    stsb["SICK"] = [(row["sentence1"], row["sentence2"], float(row["relatedness"])) for row in sick]
    rng = np.random.default_rng(0)
    chosen = {name: [found[n] for n in rng.permutation(len(found))[:pairs]] for name, found in stsb.items()}
    return Exam(
        chosen, {"MED": _collection(data, "med")}, {n: _classes(data, n, train, test) for n in ("trec", "mr", "subj")}
    )


def _collection(data: Path, name: str) -> tuple[list[str], list[str], list[dict[int, int]]]:
    folder = data / "retrieval" / name
    lines = gzip.decompress((folder / "corpus.jsonl.gz").read_bytes()).decode().splitlines()
    documents = {row["_id"]: f"{row['title']} {row['text']}".strip() for row in map(json.loads, lines)}
    place = {name: number for number, name in enumerate(documents)}
    queries = {row["_id"]: row["text"] for row in map(json.loads, (folder / "queries.jsonl").read_text().splitlines())}
    relevant: dict[str, dict[int, int]] = {}
    for row in table(folder / "qrels.tsv"):
        if int(row["score"]) > 0:
            relevant.setdefault(row["query_id"], {})[place[row["doc_id"]]] = int(row["score"])
    return [queries[q] for q in relevant], list(documents.values()), list(relevant.values())


def _classes(data: Path, name: str, train: int, test: int) -> tuple[list[str], list[str], list[str], list[str]]:
    folder = data / "classification"
    if name == "trec":
        parts = [table(folder / "trec" / f"{part}.tsv") for part in ("train", "test")]
        label = "coarse"
    else:
        rows = table(folder / f"{name}.tsv")
        mixed = [rows[n] for n in np.random.default_rng(1).permutation(len(rows))]
        parts, label = [mixed[:train], mixed[train:]], "label"
    first, second = parts[0][:train], parts[1][:test]
    return (
        [r["text"] for r in first],
        [r[label] for r in first],
        [r["text"] for r in second],
        [r[label] for r in second],
    )
