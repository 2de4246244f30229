"""What fine-tuning changed in a model, as a vector to reckon with: sums, lengths, angles, layer by layer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plait.fusion.checkpoints import Checkpoint, check_alike, write_like
from plait.types import Floats, ModelError

SAME_BASE = 0.5
"""Least cosine between the matrices of a base and those of a model tuned from it; unrelated models lie near 0."""

_BLOCK = re.compile(r"(?:^|\.)(\d+)\.")


class TaskVector:
    """The difference between a model and its base, or a weighted sum of such differences.

    Nothing is held in memory: a sum is worked out tensor by tensor when it is asked for.

    Args:
        base: folder of the base.
        model: folder of a model tuned from it.

    Raises:
        ModelError: if the two do not belong together, or one is damaged.

    Source: Editing Models with Task Arithmetic, arXiv 2212.04089.

    Example:
        >>> TaskVector("all-MiniLM-L6-v2", "all-MiniLM-L6-v2").norm
        0.0
    """

    def __init__(self, base: str | Path, model: str | Path) -> None:
        self.base = Checkpoint(base)
        tuned = Checkpoint(model)
        check_alike(self.base, [tuned])
        self.parts: Mapping[str, tuple[Checkpoint, float]] = {str(tuned.folder.resolve()): (tuned, 1.0)}

    def __add__(self, other: TaskVector) -> TaskVector:
        self._same_base(other)
        parts = dict(self.parts)
        for key, (model, factor) in other.parts.items():
            parts[key] = (model, factor + (parts[key][1] if key in parts else 0.0))
        return self._with(parts)

    def __mul__(self, factor: float) -> TaskVector:
        return self._with({key: (model, factor * own) for key, (model, own) in self.parts.items()})

    __rmul__ = __mul__

    def __sub__(self, other: TaskVector) -> TaskVector:
        return self + -1 * other

    def tensor(self, name: str) -> Floats:
        """The change of one tensor."""
        base = self.base.read(name)
        return np.asarray(sum(factor * (model.read(name) - base) for model, factor in self.parts.values()), np.float32)

    def dot(self, other: TaskVector) -> float:
        """Inner product over all tensors."""
        self._same_base(other)
        return sum(_dot(self.tensor(name), other.tensor(name)) for name in self.base.floating)

    @property
    def norm(self) -> float:
        """Euclidean length over all tensors."""
        return float(np.sqrt(sum(_dot(values, values) for values in map(self.tensor, self.base.floating))))

    def apply(self, out: str | Path) -> Path:
        """Write the base with the change added, as a folder like the base's."""
        models = [model for model, _ in self.parts.values()]
        return write_like(self.base, out, lambda name: self.base.read(name) + self.tensor(name), models)

    def _with(self, parts: Mapping[str, tuple[Checkpoint, float]]) -> TaskVector:
        made = object.__new__(TaskVector)
        made.base, made.parts = self.base, parts
        return made

    def _same_base(self, other: TaskVector) -> None:
        if self.base.folder.resolve() != other.base.folder.resolve():
            raise ModelError(f"one task vector starts from {self.base.name}, the other from {other.base.name}")


@dataclass(frozen=True, eq=False)
class TaskGeometry:
    """Lengths and angles of the task vectors of N models.

    Attributes:
        models: their names.
        layers: names of the L groups of tensors: "0", "1" … for blocks, "rest" for what lies outside.
        gram: ``[L, N, N]`` inner products of the task vectors in each group.
    """

    models: tuple[str, ...]
    layers: tuple[str, ...]
    gram: NDArray[np.float64]

    @property
    def norms(self) -> NDArray[np.float64]:
        """``[N]`` length of each task vector."""
        return np.asarray(np.sqrt(np.diagonal(self.gram.sum(axis=0))))

    @property
    def angles(self) -> NDArray[np.float64]:
        """``[N, N]`` angles in degrees; 90 where a vector is zero."""
        return _angles(self.gram.sum(axis=0))

    def table(self) -> list[dict[str, object]]:
        """One row for each layer and pair of models."""
        pairs = [(i, j) for i in range(len(self.models)) for j in range(i)]
        return [
            {"layer": layer, "left": self.models[j], "right": self.models[i], "angle": float(_angles(gram)[i, j])}
            for layer, gram in zip(self.layers, self.gram, strict=True)
            for i, j in pairs
        ]


def task_geometry(base: str | Path, models: Sequence[str | Path]) -> TaskGeometry:
    """Lengths of, and angles between, what fine-tuning changed in each of several models.

    Args:
        base: folder of the base.
        models: folders of models tuned from it.

    Raises:
        ModelError: if one is damaged, has other tensors, or was not tuned from that base.

    Example:
        >>> task_geometry("all-MiniLM-L6-v2", ["all-MiniLM-L6-v2"]).layers
        ('0', '1', '2', '3', '4', '5', 'rest')
    """
    start, tuned = Checkpoint(base), [Checkpoint(model) for model in models]
    check_alike(start, tuned)
    count = len(tuned)
    grams: dict[str, NDArray[np.float64]] = {}
    agreement = np.zeros((count, 3))
    for name in start.floating:
        origin, ends = start.read(name), [model.read(name) for model in tuned]
        if origin.ndim > 1:  # norms and biases are much alike in all models
            agreement += [[_dot(origin, end), _dot(origin, origin), _dot(end, end)] for end in ends]
        changes = [end - origin for end in ends]
        gram = np.array([[_dot(a, b) for b in changes] for a in changes]).reshape(count, count)
        layer = _layer(name)
        grams[layer] = grams.get(layer, np.zeros((count, count))) + gram
    _refuse_strangers(start, tuned, agreement)
    layers = sorted(grams, key=lambda layer: (layer == "rest", int(layer) if layer.isdigit() else 0))
    return TaskGeometry(
        tuple(model.name for model in tuned), tuple(layers), np.array([grams[layer] for layer in layers])
    )


def _refuse_strangers(base: Checkpoint, models: Sequence[Checkpoint], agreement: NDArray[np.float64]) -> None:
    for model, (dot, own, other) in zip(models, agreement, strict=True):
        cosine = dot / np.sqrt(own * other) if own * other > 0 else 1.0
        if cosine < SAME_BASE:
            raise ModelError(
                f"{model.name} was not tuned from {base.name}: the cosine of their matrices is {cosine:.2f}, at least "
                f"{SAME_BASE} was expected; models of different bases cannot be merged"
            )


def _layer(name: str) -> str:
    found = _BLOCK.search(name)
    return found.group(1) if found else "rest"


def _dot(left: Floats, right: Floats) -> float:
    return float(np.sum([np.vdot(a, b) for a, b in _chunks(left, right)], dtype=np.float64))


def _chunks(left: Floats, right: Floats, size: int = 1 << 16) -> Iterator[tuple[Floats, Floats]]:
    """Short runs of numbers, whose float32 sums are exact enough to be added up in float64."""
    flat = left.ravel(), right.ravel()
    for start in range(0, len(flat[0]), size):
        yield flat[0][start : start + size], flat[1][start : start + size]


def _angles(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    norms = np.sqrt(np.diagonal(gram))
    product = np.outer(norms, norms)
    cosine = np.divide(gram, product, out=np.zeros_like(gram), where=product > 0)
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
