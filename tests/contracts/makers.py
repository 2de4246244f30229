"""How to make a small instance of every step that a recipe can be written with.

A step that is exported and has no maker here fails the suite: adding the line is what puts it under the contracts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import plait
from plait.step import Step


@dataclass(frozen=True)
class Places:
    """Folders of the tiny models."""

    bert: Path
    table: Path


MAKERS: dict[str, Callable[[Places], Step]] = {
    "Transformer": lambda at: plait.Transformer(str(at.bert), max_length=16),
    "StaticTable": lambda at: plait.StaticTable(str(at.table)),
    "Layer": lambda at: plait.Layer(2),
    "LayerMean": lambda at: plait.LayerMean([1, -1]),
    "MeanPool": lambda at: plait.MeanPool(),
    "MaxPool": lambda at: plait.MaxPool(),
    "ClsPool": lambda at: plait.ClsPool(),
    "LastPool": lambda at: plait.LastPool(),
    "WeightedMeanPool": lambda at: plait.WeightedMeanPool(),
    "PowerMeanPool": lambda at: plait.PowerMeanPool([1, 3]),
    "SifPool": lambda at: plait.SifPool(a=0.01),
    "Normalize": lambda at: plait.Normalize(),
    "Center": lambda at: plait.Center(),
    "Whitening": lambda at: plait.Whitening(4),
    "AllButTheTop": lambda at: plait.AllButTheTop(2),
    "ClipOutliers": lambda at: plait.ClipOutliers(n_std=1.0),
    "AttentionTemperature": lambda at: plait.AttentionTemperature(0.5),
    "TokenPrepending": lambda at: plait.TokenPrepending(2, start=0),
    "Truncate": lambda at: plait.Truncate(5),
    "Pca": lambda at: plait.Pca(3),
    "Int8": lambda at: plait.Int8(rescore=2),
    "Binary": lambda at: plait.Binary(rescore=2),
    "Concat": lambda at: _table(at) * 2 + (plait.StaticTable(str(at.table)) | plait.MaxPool()),
    "ConcatSearch": lambda at: plait.ConcatSearch([_table(at), plait.StaticTable(str(at.table)) | plait.MaxPool()]),
}


def _table(at: Places) -> Step:
    return plait.StaticTable(str(at.table)) | plait.MeanPool()


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
