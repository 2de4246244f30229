"""Labels that a probe reads off sentence vectors, taken from a treebank, and the linear probe itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from plait.data.tasks import Labels
from plait.evaluation import probing_tasks
from plait.types import Floats

PROBES = {"length": "SentLen", "tense": "Tense", "subject number": "SubjNum"}


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
    made = zip(PROBES, probing_tasks(path, probes=list(PROBES.values())), strict=True)
    found: dict[str, Split] = {}
    for name, task in made:
        labels = task.parts["all"]
        assert isinstance(labels, Labels)
        texts = [str(task.documents[row]) for row in labels.rows.tolist()]
        found[name] = Split(texts, [str(label) for label in labels.labels])
    return found


def accuracy(train: Floats, labels: Sequence[str], held_out: Floats, gold: Sequence[str]) -> float:
    """Accuracy × 100 of a logistic regression on standardised vectors; its strength is fixed, never tuned."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    return 100 * float(probe.fit(train, labels).score(held_out, gold))


def majority(labels: Sequence[str], gold: Sequence[str]) -> float:
    """Accuracy × 100 of always saying the most frequent label of the training part."""
    names, counts = np.unique(labels, return_counts=True)
    return 100 * float(np.mean(np.asarray(gold) == names[counts.argmax()]))
