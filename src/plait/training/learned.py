"""What steps with a torch module share: training on examples over banked vectors, and arrays to save."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from plait.plan import Progress
from plait.roles import Transform
from plait.rows import blocks, checked, checked_sample
from plait.step import Step
from plait.training.loop import History, Schedule, train
from plait.training.objectives import Encode, Examples, objective
from plait.types import Floats, RecipeError


class Learned(Step):
    """A step whose numbers come from a small torch module that is trained on examples.

    Subclasses have the constructor parameters ``epochs``, ``lr``, ``batch_size``, ``temperature`` and ``random_state``.
    """

    learns: ClassVar[bool] = True
    rates: ClassVar[Mapping[str, float]] = {}
    """Steps of the optimiser by the beginning of a parameter's name, where they differ from ``lr``."""

    epochs: int
    lr: float
    batch_size: int
    temperature: float
    random_state: int

    @abstractmethod
    def build(self, shape: tuple[int, ...]) -> nn.Module:
        """The untrained module for inputs of this shape (rows and tokens left out)."""

    def train(
        self,
        shape: tuple[int, ...],
        encode: Encode,
        examples: Examples | None,
        rows: int,
        progress: Progress | None,
        checkpoint: Path | None,
    ) -> History:
        """Train ``self.module_`` (made here) so that ``encode``, which runs it, does well on the examples."""
        self._make(shape)
        with torch.no_grad():
            width = encode(np.arange(1)).shape[-1]
        task = objective(examples, rows, width, self.temperature, self.random_state)
        both = nn.ModuleDict({"module": self.module_, "head": task.head})
        seed = self.random_state * 7919  # epochs must not repeat the order of another seed's epochs
        history = train(
            both,
            lambda epoch: task.batches(self.batch_size, seed + epoch),
            lambda batch: task.loss(batch, encode),
            dev=lambda: task.score(encode),
            schedule=Schedule(epochs=self.epochs, lr=self.lr, seed=self.random_state),
            rates={f"module.{name}": rate for name, rate in self.rates.items()},
            checkpoint=checkpoint,
            progress=progress,
        )
        self.module_.requires_grad_(False)
        return history

    def state(self) -> dict[str, np.ndarray]:
        if not hasattr(self, "module_"):
            return {}
        arrays = {name: tensor.detach().numpy() for name, tensor in self.module_.state_dict().items()}
        return {"shape_": np.array(self.shape_, np.int64), **dict(sorted(arrays.items()))}

    def set_state(self, state: Mapping[str, np.ndarray]) -> Self:
        if state:
            self._make(tuple(np.atleast_1d(state["shape_"]).tolist()))
            arrays = {name: torch.from_numpy(np.array(a)) for name, a in state.items() if name != "shape_"}
            self.module_.load_state_dict(arrays)
            self.module_.requires_grad_(False)
        return self

    def fitted(self) -> nn.Module:
        """The trained module.

        Raises:
            RecipeError: if there is none.
        """
        if not hasattr(self, "module_"):
            raise RecipeError(f"{self} is not fitted: recipe.fit(texts, examples) trains it")
        return self.module_

    def _make(self, shape: tuple[int, ...]) -> None:
        self.shape_ = shape
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            self.module_ = self.build(shape).eval()


class LearnedTransform(Learned, Transform):
    """Vectors to vectors by a trained module."""

    def fit(
        self,
        X: Floats,
        y: Examples | None = None,
        layers: int = 1,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> Self:
        """Train on rows and labelled examples of them.

        Args:
            X: ``[N, L * D]`` vectors; those of L layers side by side.
            y: examples over the rows: a part of a task, `Triples`, or one class a row.
            layers: L.
            progress: called after each epoch.
            checkpoint: file that a killed training goes on from.
        """
        data = torch.from_numpy(np.ascontiguousarray(checked_sample(X, self), np.float32))
        shape = (layers, X.shape[1] // layers)

        def encode(rows: np.ndarray) -> Tensor:
            out: Tensor = self.module_(data[torch.from_numpy(rows)].unflatten(1, shape))
            return out

        self.train(shape, encode, y, len(X), progress, checkpoint)
        return self

    def transform(self, X: Floats) -> Floats:
        module = self.fitted()
        rows = checked(X, self, int(np.prod(self.shape_)))
        with torch.no_grad():
            parts = [
                module(torch.from_numpy(np.array(rows[block], np.float32)).unflatten(1, self.shape_)).numpy()
                for block in blocks(max(1, len(rows)))
            ]
        return np.concatenate(parts)
