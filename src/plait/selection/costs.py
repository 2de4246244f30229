"""What a recipe costs, measured on this machine: milliseconds a text, bytes a vector, bytes of weights, memory."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import sys
import time
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from plait import plan
from plait.roles import Encoder, Quantiser
from plait.step import Composite, walk
from plait.types import Items

SAMPLE = 64
"""Texts in a timing; enough for a stable mean, little beside any data set."""


class Timer:
    """Milliseconds a text of recipes, from one timing for each encoder and depth.

    Layers above the deepest one are not run, so the deepest layer decides what a strand costs; pooling and transforms
    cost too little beside the forward pass to be seen here.

    Args:
        items: texts to time with; an even sample of them is taken.
    """

    def __init__(self, items: Items) -> None:
        step = max(1, len(items) // SAMPLE)
        self.items = list(items[::step])[:SAMPLE]
        self._known: dict[tuple[str, int], float] = {}

    def milliseconds(self, recipe: Composite) -> float:
        """Milliseconds of one text, on this machine, in batches."""
        deepest: dict[str, plan.Strand] = {}
        for strand in recipe.strands():
            if strand.source not in deepest or _depth(strand) > _depth(deepest[strand.source]):
                deepest[strand.source] = strand
        return sum(self._measured(strand) for strand in deepest.values())

    def _measured(self, strand: plan.Strand) -> float:
        key = (strand.source, _depth(strand))
        if key not in self._known:
            plan.run([strand], self.items[:8])
            seconds = []
            for _ in range(3):
                start = time.perf_counter()
                plan.run([strand], self.items)
                seconds.append(time.perf_counter() - start)
            self._known[key] = float(np.median(seconds)) / max(1, len(self.items)) * 1000
        return self._known[key]


def _depth(strand: plan.Strand) -> int:
    return max(layer for layer, _ in strand.mix)


def vector_bytes(recipe: Composite, width: int) -> int:
    """Bytes of one stored vector of a recipe whose floats are ``width`` wide."""
    last = recipe.quantiser
    return last.nbytes(width) if isinstance(last, Quantiser) else 4 * width


def weight_bytes(recipe: Composite) -> int:
    """Bytes of the weights that must be loaded to use the recipe."""
    encoders = {str(step): step for step in walk(recipe) if isinstance(step, Encoder)}
    return sum(step.nbytes for step in encoders.values())


def peak_memory() -> int:
    """The most memory this process has held so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@cache
def machine() -> dict[str, str]:
    """What the figures were measured on."""
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            name = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), name)
    except OSError:
        pass
    return {
        "system": platform.system(),
        "processor": name,
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
    }


def versions(
    packages: Sequence[str] = ("plait", "numpy", "scipy", "scikit-learn", "torch", "transformers"),
) -> dict[str, str]:
    """Versions of what took part."""
    found = {}
    for name in packages:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
