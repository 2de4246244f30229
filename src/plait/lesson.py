"""What the steps of a recipe are fitted with."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from plait.bank import content, digest, write_atomic
from plait.plan import Progress


@dataclass(frozen=True)
class Lesson:
    """What steps are fitted with beside vectors.

    Attributes:
        examples: labels, for steps that are trained.
        progress: called as a training goes on.
        folder: where trained steps are kept and found again, and a training that is killed leaves its checkpoint.
        plain: how many of the first rows, or items, steps without labels learn from; None is all. Behind the documents
            of a retrieval task stand its queries, which only training may see.
    """

    examples: object = None
    progress: Progress | None = None
    folder: Path | None = None
    plain: int | None = None

    def teach(self, step: Any, inputs: Any, layers: int = 1) -> Any:
        """The step, fitted on its inputs; a step that is trained gets the examples too."""
        if not getattr(step, "learns", False):
            return step.fit(inputs[: self.plain])
        if self.folder is None:
            return step.fit(inputs, self.examples, layers=layers, progress=self.progress)
        from safetensors import SafetensorError
        from safetensors.numpy import load, save

        key = self._key(step, inputs, layers)
        kept, checkpoint = self.folder / f"{key}.trained", self.folder / f"{key}.training"
        with contextlib.suppress(
            FileNotFoundError, SafetensorError, KeyError, RuntimeError
        ):  # a damaged one is made anew
            return step.set_state(load(kept.read_bytes()))
        step.fit(inputs, self.examples, layers=layers, progress=self.progress, checkpoint=checkpoint)
        write_atomic(kept, save(step.state()))
        return step

    def _key(self, step: Any, inputs: Any, layers: int) -> str:
        """Of all that a training depends on, so that none is taken for another."""
        fields = vars(self.examples).values() if hasattr(self.examples, "__dict__") else [self.examples]
        labels = [field.tobytes() if isinstance(field, np.ndarray) else repr(field) for field in fields]
        tokens = getattr(inputs, "tokens", None)
        bounds = [] if tokens is None else [tokens.index, tokens.bounds]
        arrays = map(np.asarray, [getattr(inputs, "values", inputs), *bounds])
        return digest(f"{step} {step.version} {layers}", *map(content, arrays), *labels)


UNLABELLED = Lesson()
