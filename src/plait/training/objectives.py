"""What a module is taught: to bring together what belongs together, or to tell classes apart."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.data.tasks import Judgements, Labels, Part
from plait.training.contrast import InfoNCE
from plait.training.examples import Triples, triples
from plait.types import DataError, Ints, RecipeError

Examples: TypeAlias = "Part | Triples | Sequence[str]"
"""Labelled examples over the rows of some vectors: a part of a task, triples, or one class a row."""

Encode = Callable[[Ints], Tensor]
"""``(batch, dim)`` outputs of the module for some rows."""


class Objective(ABC):
    """Batches of examples and their loss; a tenth of the examples is held out to stop early.

    Attributes:
        head: what learns beside the module and is thrown away afterwards.
    """

    head: nn.Module

    @abstractmethod
    def batches(self, size: int, seed: int) -> Iterator[object]:
        """The examples of an epoch."""

    @abstractmethod
    def loss(self, batch: object, encode: Encode) -> Tensor:
        """Mean loss of a batch."""

    @abstractmethod
    def score(self, encode: Encode) -> float:
        """How well the held-out examples do; higher is better."""


class Contrast(Objective):
    """InfoNCE over triples.

    Args:
        examples: what belongs together.
        temperature: of the loss.
        seed: of the part that is held out.
        cosine: as in `InfoNCE`.
    """

    def __init__(self, examples: Triples, temperature: float = 0.05, seed: int = 0, cosine: bool = True) -> None:
        self.examples, self.held = examples.split(seed=seed)
        self.head = self._loss = InfoNCE(temperature, cosine=cosine)

    def batches(self, size: int, seed: int) -> Iterator[Triples]:
        """The triples of an epoch."""
        return self.examples.batches(size, seed)

    def loss(self, batch: object, encode: Encode) -> Tensor:
        assert isinstance(batch, Triples)
        rows, places = np.unique(
            np.concatenate([batch.anchors, batch.positives, batch.negatives.ravel()]), return_inverse=True
        )
        vectors, count = encode(rows)[torch.from_numpy(places)], len(batch)
        hard = vectors[2 * count :].reshape(count, -1, vectors.shape[-1]) if batch.negatives.size else None
        same = None if batch.same is None else torch.from_numpy(batch.same).to(vectors.device)
        value: Tensor = self._loss(vectors[:count], vectors[count : 2 * count], hard, same)
        return value

    def score(self, encode: Encode) -> float:
        losses = [self.loss(batch, encode).item() for batch in self.held.batches(256, 0)]
        return -sum(losses) / len(losses)


class Classes(Objective):
    """Cross-entropy of a linear head over the classes of single rows; binary for rows with several labels.

    Args:
        part: rows and labels.
        width: of the module's output.
        seed: of the head and of the part that is held out.
    """

    def __init__(self, part: Labels, width: int, seed: int = 0) -> None:
        self.rows = part.rows
        if part.multi:
            names = sorted({name for labels in part.labels for name in labels})
            self.target = torch.tensor([[float(name in labels) for name in names] for labels in part.labels])
        else:
            found, places = np.unique(np.array(part.labels), return_inverse=True)
            names, self.target = found.tolist(), torch.from_numpy(places)
        if len(names) < 2 - part.multi:
            raise DataError(f"{len(names)} class among {len(part)} examples; there is nothing to tell apart")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.head = nn.Linear(width, len(names))
        order = np.random.default_rng(seed).permutation(len(part))
        held = max(2, len(part) // 10)
        self.taught, self.held = order[held:], order[:held]

    def batches(self, size: int, seed: int) -> Iterator[Ints]:
        """Positions of the examples of an epoch."""
        order = np.random.default_rng(seed).permutation(self.taught)
        for start in range(0, len(order), size):
            yield order[start : start + size]

    def loss(self, batch: object, encode: Encode) -> Tensor:
        assert isinstance(batch, np.ndarray)
        logits, target = self.head(encode(self.rows[batch])), self.target[torch.from_numpy(batch)]
        target = target.to(logits.device)
        return (
            F.cross_entropy(logits, target) if target.ndim == 1 else F.binary_cross_entropy_with_logits(logits, target)
        )

    def score(self, encode: Encode) -> float:
        return -self.loss(self.held, encode).item()


def objective(examples: Examples | None, rows: int, width: int, temperature: float, seed: int) -> Objective:
    """What the examples ask for.

    Args:
        examples: labelled rows.
        rows: how many rows there are.
        width: of the module's output.
        temperature: of the contrastive loss.
        seed: of every draw.

    Raises:
        RecipeError: if there are no examples, or judgements that do not say where their queries are.
        DataError: if the labels are not one a row.
    """
    if examples is None:
        raise RecipeError(
            "a step that is trained got no examples: give recipe.fit(texts, labels) one class a text, or a part of it"
        )
    if isinstance(examples, Judgements):
        raise RecipeError(
            "judgements number their own queries: give plait.training.triples(part, offset=len(documents))"
        )
    if isinstance(examples, Triples):
        return Contrast(examples, temperature, seed)
    if isinstance(examples, Labels):
        return Classes(examples, width, seed)
    if not isinstance(examples, Sequence):
        return Contrast(triples(examples, seed=seed), temperature, seed)
    if len(examples) != rows:
        raise DataError(f"{len(examples)} labels for {rows} rows; give each row one")
    return Classes(Labels(np.arange(rows), tuple(map(str, examples))), width, seed)
