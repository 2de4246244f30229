"""How to make a small instance of every step that a recipe can be written with.

A step that is exported and has no maker here fails the suite: adding the line is what puts it under the contracts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np

import plait
from plait.step import Step
from plait.training.learned import Learned
from plait.types import States, Tokens

WIDTH = 5
"""Numbers in a token's state where tests draw them at random."""


@dataclass(frozen=True)
class Places:
    """Folders of the tiny models."""

    bert: Path
    table: Path
    experts: Path = Path()


MAKERS: dict[str, Callable[[Places], Step]] = {
    "Transformer": lambda at: plait.Transformer(str(at.bert), max_length=16),
    "StaticTable": lambda at: plait.StaticTable(str(at.table)),
    "Layer": lambda at: plait.Layer(2),
    "LayerMean": lambda at: plait.LayerMean([1, -1]),
    "RouterWeights": lambda at: plait.RouterWeights(),
    "ConcatLayers": lambda at: plait.ConcatLayers([1, -1]),
    "ScalarMix": lambda at: plait.ScalarMix(epochs=2),
    "LayerAttention": lambda at: plait.LayerAttention(latents=2, heads=2, head_dim=4, epochs=2),
    "AttentionPool": lambda at: plait.AttentionPool(latents=2, heads=2, head_dim=4, epochs=2),
    "LinearMap": lambda at: plait.LinearMap(4, epochs=2),
    "Average": lambda at: plait.Average([_table(at), plait.StaticTable(str(at.table)) | plait.MaxPool()], [2, 1]),
    "MeanPool": lambda at: plait.MeanPool(),
    "MaxPool": lambda at: plait.MaxPool(),
    "ClsPool": lambda at: plait.ClsPool(),
    "LastPool": lambda at: plait.LastPool(),
    "WeightedMeanPool": lambda at: plait.WeightedMeanPool(),
    "PowerMeanPool": lambda at: plait.PowerMeanPool([1, 3]),
    "PowerSetPool": lambda at: plait.PowerSetPool(3, 5, dim=3),
    "ExpSetPool": lambda at: plait.ExpSetPool(3, 7, dim=3),
    "SifPool": lambda at: plait.SifPool(a=0.01),
    "SpanPool": lambda at: plait.SpanPool(3),
    "Normalize": lambda at: plait.Normalize(),
    "Center": lambda at: plait.Center(),
    "Standardize": lambda at: plait.Standardize(),
    "Whitening": lambda at: plait.Whitening(4),
    "AllButTheTop": lambda at: plait.AllButTheTop(2),
    "ClipOutliers": lambda at: plait.ClipOutliers(n_std=1.0),
    "AttentionTemperature": lambda at: plait.AttentionTemperature(0.5),
    "TokenPrepending": lambda at: plait.TokenPrepending(2, start=0),
    "Truncate": lambda at: plait.Truncate(5),
    "Pca": lambda at: plait.Pca(3),
    "Int8": lambda at: plait.Int8(rescore=2),
    "Binary": lambda at: plait.Binary(rescore=2),
    "ProductQuantizer": lambda at: plait.ProductQuantizer(2, bits=4),
    "ResidualBinary": lambda at: plait.ResidualBinary(32, loops=2, epochs=2),
    "Concat": lambda at: _table(at) * 2 + (plait.StaticTable(str(at.table)) | plait.MaxPool()),
    "ConcatSearch": lambda at: plait.ConcatSearch([_table(at), plait.StaticTable(str(at.table)) | plait.MaxPool()]),
}


def _table(at: Places) -> Step:
    return plait.StaticTable(str(at.table)) | plait.MeanPool()


def fitted(step: Step, inputs: object) -> Step:
    """The step, fitted on rows or on tokens; one that is trained gets made-up labels, and states for the tokens."""
    if not isinstance(step, Learned):
        return step.fit(inputs)
    if isinstance(inputs, Tokens):
        states = np.random.default_rng(0).normal(size=(1, len(inputs.ids), WIDTH)).astype(np.float32)
        labels = ["odd" if n % 2 else "even" for n in range(len(inputs.bounds) - 1)]
        return step.fit(States(states, (0,), inputs), labels)
    return step.fit(inputs, ["odd" if n % 2 else "even" for n in range(len(inputs))])


def exported() -> dict[str, str]:
    """Every name of the rooms that recipes are written with, and the module it is in."""
    tables = [import_module(f"plait.{room}").STEPS for room in plait.ROOMS]
    return {name: module for table in tables for name, module in table.items()}


def step_names(kind: type = Step) -> Iterator[str]:
    """Exported steps of a kind, by name."""
    for name, module in sorted(exported().items()):
        value = getattr(import_module(module), name)
        if isinstance(value, type) and issubclass(value, kind):
            yield name
