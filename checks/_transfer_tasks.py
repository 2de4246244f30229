"""A source task to train small networks on, and other tasks that their features are read off for: digits and texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from _images import digits
from _scan import table
from numpy.typing import NDArray
from scipy.ndimage import rotate
from torch import Tensor, nn

Ints = NDArray[np.int64]
Arrays = NDArray[np.float32] | Ints

LONGEST, LEAST = 40, 2
"""Words of a text that are read, and how often a word must stand in the source texts to be known."""
DEGREES = 20


class Part(NamedTuple):
    """Inputs of a network and their classes."""

    inputs: Tensor
    labels: Ints

    def take(self, rows: Ints) -> Part:
        return Part(self.inputs[torch.from_numpy(rows)], self.labels[rows])


class Parts(NamedTuple):
    """What a probe is fitted on, what its strength is chosen on, and what it is scored on."""

    train: Part
    dev: Part
    test: Part


class Family(NamedTuple):
    """A source task, its targets, and the network for them.

    Attributes:
        source: task that networks are trained on.
        targets: other tasks, and shifted data.
        network: a network with features of a width.
        width: features of one network.
        epochs: to train for.
    """

    source: Parts
    targets: Mapping[str, Parts]
    network: Callable[[int], nn.Module]
    width: int
    epochs: int


class Network(nn.Module):
    """A body that gives features, and a linear head on the source's classes."""

    def __init__(self, body: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(width, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        scores: Tensor = self.head(self.body(inputs))
        return scores


class TextBody(nn.Module):
    """Words to the strongest answers of convolutions over three of them."""

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(words, 64, padding_idx=0)
        self.filters = nn.Conv1d(64, width, 3, padding=1)
        self.dropout = nn.Dropout(0.3)

    def forward(self, ids: Tensor) -> Tensor:
        answers = self.filters(self.dropout(self.table(ids)).transpose(1, 2)).relu()
        features: Tensor = (answers * (ids > 0)[:, None]).amax(dim=2)
        return features


def image_body(width: int) -> nn.Module:
    """Two convolutions and a layer of ``width`` features for 14 x 14 pictures."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 9, width), nn.ReLU(),
    )  # fmt: skip


def image_family(data: Path) -> Family:
    """Source: the digits 0 to 4. Targets: 5 to 9, and 0 to 4 turned or with light and dark exchanged."""
    pictures, labels = digits(data)
    small = pictures.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))
    order = np.random.default_rng(0).permutation(len(small))
    low, high = order[labels[order] < 5], order[labels[order] >= 5]
    train, unseen = low[:2000], low[2000:]
    turned = rotate(small, DEGREES, axes=(1, 2), reshape=False, order=1)
    held_out = (unseen[:1000], unseen[1000:1500], unseen[1500:])
    targets = {
        "digits 5 to 9": _parts(small, labels, (high[:1000], high[1000:1500], high[1500:3000])),
        "turned": _parts(turned, labels, held_out),
        "light and dark exchanged": _parts(1 - small, labels, held_out),
    }
    source = _parts(small, labels, (train, unseen[:500], unseen[500:]))
    return Family(source, targets, lambda width: Network(image_body(width), width, 5), width=32, epochs=8)


def text_family(data: Path) -> Family:
    """Source: sentiment of SST-2. Targets: question types, subjectivity, and reviews of another collection."""
    folder = data / "classification"
    sst = {part: table(folder / "sst2" / f"{part}.tsv") for part in ("train", "dev", "test")}
    counts = Counter(word for row in sst["train"] for word in _words(row["text"]))
    known = {word: n + 2 for n, word in enumerate(sorted(w for w, c in counts.items() if c >= LEAST))}
    source = Parts(*(_texts([(r["text"], r["label"]) for r in sst[part]], known) for part in ("train", "dev", "test")))
    trec = [(r["text"], r["coarse"]) for part in ("train", "test") for r in table(folder / "trec" / f"{part}.tsv")]
    targets = {"TREC": _cut(_texts(trec, known), test=500, mixed=False)}
    for name in ("subj", "mr"):
        rows = [(r["text"], r["label"]) for r in table(folder / f"{name}.tsv")]
        targets[name.upper()] = _cut(_texts(rows, known), test=1500)
    return Family(source, targets, lambda n: Network(TextBody(len(known) + 2, n), n, 2), width=64, epochs=3)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text.lower())[:LONGEST]


def _texts(rows: Sequence[tuple[str, str]], known: Mapping[str, int]) -> Part:
    ids = np.zeros((len(rows), LONGEST), np.int64)
    for number, (text, _) in enumerate(rows):
        found = [known.get(word, 1) for word in _words(text)]
        ids[number, : len(found)] = found
    _, labels = np.unique([label for _, label in rows], return_inverse=True)
    return Part(torch.from_numpy(ids), labels.astype(np.int64))


def _parts(pictures: Arrays, labels: Ints, rows: Sequence[Ints]) -> Parts:
    given = torch.from_numpy(np.asarray(pictures, np.float32)[:, None])
    return Parts(*(Part(given, labels).take(part) for part in rows))


def _cut(part: Part, test: int, mixed: bool = True) -> Parts:
    """1,000 examples to train on, 500 to choose on, and ``test``; the last ones, when not mixed, are the test part."""
    order = np.arange(len(part.labels))
    rng = np.random.default_rng(0)
    if mixed:
        order = rng.permutation(order)
    rest = rng.permutation(order[:-test])
    return Parts(part.take(rest[:1000]), part.take(rest[1000:1500]), part.take(order[-test:]))
