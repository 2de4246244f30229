"""Labels that a probe reads off sentence vectors, taken from a treebank, and the linear probe itself."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from plait.types import Floats

LENGTH_BINS = (0, 8, 12, 16, 21, 28)
"""Lower edges of the classes of sentence length, in words: about a sixth of the treebank each."""


class Split(NamedTuple):
    """Texts and their labels."""

    texts: list[str]
    labels: list[str]

    def sample(self, count: int, seed: int = 0) -> Split:
        """That many examples, drawn without replacement."""
        chosen = np.random.default_rng(seed).permutation(len(self.texts))[:count]
        return Split([self.texts[n] for n in chosen], [self.labels[n] for n in chosen])


def treebank(path: Path) -> dict[str, Split]:
    """Sentence length, tense of the root verb and number of its subject, from a CoNLL-U file."""
    found: dict[str, Split] = {name: Split([], []) for name in ("length", "tense", "subject number")}
    for block in gzip.decompress(path.read_bytes()).decode().strip().split("\n\n"):
        lines = block.split("\n")
        text = next(line[9:] for line in lines if line.startswith("# text = "))
        words = [line.split("\t") for line in lines if line[:1].isdigit()]
        words = [word for word in words if word[0].isdigit()]
        root = next(word for word in words if word[7] == "root")
        subject = next((word for word in words if word[6] == root[0] and word[7] == "nsubj"), None)
        labels = {
            "length": str(int(np.searchsorted(LENGTH_BINS, len(words), side="right"))),
            "tense": _feature(root, "Tense") if root[3] == "VERB" else None,
            "subject number": _feature(subject, "Number") if subject else None,
        }
        for name, label in labels.items():
            if label:
                found[name].texts.append(text)
                found[name].labels.append(label)
    return found


def _feature(word: Sequence[str], name: str) -> str | None:
    features = dict(part.split("=", 1) for part in word[5].split("|") if "=" in part)
    return features.get(name)


def accuracy(train: Floats, labels: Sequence[str], held_out: Floats, gold: Sequence[str]) -> float:
    """Accuracy × 100 of a logistic regression on standardised vectors; its strength is fixed, never tuned."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    return 100 * float(probe.fit(train, labels).score(held_out, gold))


def majority(labels: Sequence[str], gold: Sequence[str]) -> float:
    """Accuracy × 100 of always saying the most frequent label of the training part."""
    names, counts = np.unique(labels, return_counts=True)
    return 100 * float(np.mean(np.asarray(gold) == names[counts.argmax()]))
