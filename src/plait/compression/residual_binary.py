"""A few bits a number, learned: sums of sign vectors whose cosines keep those of the float vectors."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from plait.compression.bit_planes import pack_planes, unpack_planes
from plait.compression.brute_force import best_rows
from plait.compression.hamming import nearest
from plait.compression.residual_module import ResidualBinariser
from plait.compression.scoring import Dots
from plait.plan import Progress
from plait.roles import Quantiser
from plait.rows import blocks, checked, checked_sample
from plait.training.contrast import InfoNCE
from plait.training.examples import Triples
from plait.training.learned import Learned
from plait.training.loop import Schedule, train
from plait.types import DataError, Floats, Ints, RecipeError

MOMENTUM = 0.99
"""What the network that makes the keys keeps of itself at each step; a fit has hundreds of steps, not the hundreds of
thousands for which 0.999 is usual."""

NOISE = 0.3
"""Length of the noise on one of the two views of a vector, whose own length is 1."""

HARDEST = 8
"""One in so many of the queue's entries counts: those most similar to the query."""


class ResidualBinary(Learned, Quantiser):
    """Residual binarisation: ``(loops + 1) * width`` bits that a small network is trained to give.

    A vector becomes a sum of sign vectors with weights 1, 1/2, 1/4 …, each made from what the ones before left over.
    Codes are compared with codes, by the cosine of the sums: a query is coded too. The network learns from vectors
    alone, to tell each from the others when a little noise is added; pairs of a query and its document make it better
    at just that.

    Args:
        width: signs in each of the sign vectors; None takes the width of the vectors.
        loops: sign vectors beyond the first; 3 gives 4 bits a number, an eighth of float32's size.
        epochs: passes over the vectors, at most.
        lr: peak step of AdamW; the network starts as a good scalar quantiser, which larger steps make it forget.
        batch_size: vectors in a step.
        temperature: of the contrastive loss.
        queue: codes of earlier steps that serve as negatives.
        random_state: of weights, order and noise.

    Attributes:
        shape_: ``(D,)``.
        module_: the trained `ResidualBinariser`.

    Raises:
        RecipeError: if it is not fitted, the width differs from the fitted one, or codes of an older version to be
            compatible with have another shape.
        DataError: if there are not two rows to fit on, or rows hold NaN or infinity.

    Source: Binary Embedding-based Retrieval at Tencent, arXiv 2302.08714.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(64, 8))
        >>> quantiser = ResidualBinary(width=16, loops=1, epochs=2).fit(X)
        >>> quantiser.transform(X).shape, quantiser.nbytes(8)
        ((64, 4), 4)
    """

    module_: ResidualBinariser

    def __init__(
        self,
        width: int | None = None,
        loops: int = 3,
        epochs: int = 10,
        lr: float = 3e-4,
        batch_size: int = 256,
        temperature: float = 0.07,
        queue: int = 8192,
        random_state: int = 0,
    ) -> None:
        self.width = width
        self.loops = loops
        self.epochs = epochs
        self.lr = lr
        self.batch_size = batch_size
        self.temperature = temperature
        self.queue = queue
        self.random_state = random_state

    def build(self, shape: tuple[int, ...]) -> ResidualBinariser:
        return ResidualBinariser(shape[0], self.width or shape[0], self.loops)

    def fit(
        self,
        X: ArrayLike,
        y: object = None,
        layers: int = 1,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
        compatible_with: tuple[ResidualBinary, ArrayLike] | None = None,
    ) -> Self:
        """Train the network.

        Args:
            X: ``[N, D]`` vectors.
            y: `Triples` whose anchors and positives are pairs of rows; anything else, such as classes, says too little
                of which vectors are neighbours and is not looked at.
            layers: not looked at.
            progress: called after each epoch.
            checkpoint: not looked at: a training takes a minute or so.
            compatible_with: an older fitted quantiser and the ``[N, D_old]`` vectors of the same texts by the model it
                was made for. New codes are then comparable with the old ones: a query of the new model searches an
                index of the old one's codes.
        """
        rows = np.ascontiguousarray(checked_sample(X, self), np.float32)
        if len(rows) < 2:
            raise DataError(f"{self} learns to tell vectors apart and got {len(rows)}; give at least two rows")
        pairs = (y.anchors, y.positives) if isinstance(y, Triples) else (np.arange(len(rows)),) * 2
        self._make((rows.shape[1],))
        data = torch.from_numpy(rows)
        anchors, positives = map(torch.from_numpy, pairs)
        lesson = _Lesson(self, data, anchors, positives, self._old_codes(compatible_with, len(rows)))
        if self.epochs:
            schedule = Schedule(epochs=self.epochs, lr=self.lr, seed=self.random_state)
            train(self.module_, lesson.batches, lesson.loss, schedule=schedule, progress=progress)
        self.module_.eval().requires_grad_(False)
        self.module_.fit_reader(torch.from_numpy(self._sums(rows)), data)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.uint8]:
        self.fitted()
        return pack_planes(np.rint(self._sums(checked(X, self, self.shape_[0])) * 2**self.loops), self.loops + 1)

    def inverse_transform(self, codes: ArrayLike) -> Floats:
        sums = self._grid(np.asarray(codes)) / np.float32(2**self.loops)
        out: Floats = self.module_.reader(torch.from_numpy(sums)).numpy()
        return out

    def nbytes(self, width: int) -> int:
        return (self.loops + 1) * (((self.width or width) + 7) // 8)

    @property
    def fitted_width(self) -> int:
        self.fitted()
        return int(self.shape_[0])

    def search(self, queries: Floats, codes: NDArray[np.generic], k: int, cosine: bool) -> tuple[Ints, Floats]:
        asked = self.transform(queries)
        if self.loops == 0:
            numbers, distance = nearest(asked, codes.view(np.uint8), k)
            return numbers, np.asarray(1 - 2 * distance / self._signs, np.float32)
        return best_rows(Dots(self._grid(asked), self._grid, cosine=True), codes, k)

    def similarity(self, a_codes: NDArray[np.generic], b_codes: NDArray[np.generic]) -> Floats:
        a, b = (self._grid(codes).astype(np.float64) for codes in (a_codes, b_codes))
        return np.asarray((a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1)), np.float32)

    @property
    def _signs(self) -> int:
        return int(self.width or self.shape_[0])

    def _grid(self, codes: NDArray[np.generic]) -> Floats:
        """``[N, m]`` whole numbers that the codes stand for: the sums of signs, times ``2 ** loops``."""
        size = self.nbytes(self.fitted_width)
        if codes.ndim != 2 or codes.dtype != np.uint8 or codes.shape[1] != size:
            raise DataError(f"{self} decodes uint8 codes of shape [N, {size}]; got {codes.shape} of {codes.dtype}")
        return unpack_planes(codes.view(np.uint8), self._signs, self.loops + 1)

    def _sums(self, rows: NDArray[np.floating]) -> Floats:
        out = np.empty((len(rows), self._signs), np.float32)
        with torch.no_grad():
            for block in blocks(len(rows)):
                out[block] = self.module_(torch.from_numpy(np.array(rows[block], np.float32))).numpy()
        return out

    def _old_codes(self, given: tuple[ResidualBinary, ArrayLike] | None, rows: int) -> Tensor | None:
        if given is None:
            return None
        old, vectors = given
        sums = old._sums(checked(vectors, old, old.fitted_width))
        if len(sums) != rows or sums.shape[1] != self._signs or old.loops != self.loops:
            raise RecipeError(
                f"{self} with {self._signs} signs of {rows} rows cannot be compatible with {old} and {sums.shape}; "
                "give both the same width and loops, and the old vectors of the same texts"
            )
        return torch.from_numpy(sums)


@dataclass
class _Lesson:
    """Batches of pairs, and their loss against a queue of keys from a slowly moving copy of the network."""

    step: ResidualBinary
    data: Tensor
    anchors: Tensor
    positives: Tensor
    old: Tensor | None

    def __post_init__(self) -> None:
        self.module = self.step.module_
        self.slow = copy.deepcopy(self.module).requires_grad_(False).train()
        self.contrast = InfoNCE(self.step.temperature, hardest=max(1, self.step.queue // HARDEST))
        self.contrast.requires_grad_(False)
        self.keys = torch.zeros(0, self.step._signs)
        self.owners = torch.zeros(0, dtype=torch.long)

    def batches(self, epoch: int) -> Iterator[Tensor]:
        """Positions of pairs; a batch of one has no other to be told from."""
        seed = self.step.random_state * 7919 + epoch
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(self.anchors)))
        return (batch for batch in order.split(self.step.batch_size) if len(batch) > 1)

    def loss(self, pairs: Tensor) -> Tensor:
        """Mean loss of a batch; its keys then join the queue."""
        anchors, positives = self.data[self.anchors[pairs]], self.positives[pairs]
        with torch.no_grad():
            for slow, quick in zip(self.slow.parameters(), self.module.parameters(), strict=True):
                slow.lerp_(quick, 1 - MOMENTUM)
            keys = self.slow(self.data[positives])
        size = torch.linalg.vector_norm(anchors, dim=1, keepdim=True) * NOISE / anchors.shape[1] ** 0.5
        codes = self.module(anchors + size * torch.randn_like(anchors))
        same = positives[:, None] == positives
        right = positives[:, None] == self.owners
        loss: Tensor = self.contrast(codes, keys, same=same, shared=(self.keys, right))
        if self.old is not None:
            loss = loss + self.contrast(codes, self.old[positives], same=same, shared=(self.old[self.owners], right))
        self.keys = torch.cat([keys, self.keys])[: self.step.queue]
        self.owners = torch.cat([positives, self.owners])[: self.step.queue]
        return loss
