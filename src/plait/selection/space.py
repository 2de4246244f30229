"""The candidate space: which strands, transforms, widths and bits `find` may put together."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from plait.encoders.packaged import PACKAGED, named
from plait.encoders.static import StaticTable
from plait.encoders.transformer import Transformer
from plait.recipe import parse
from plait.roles import Encoder, LayerMix
from plait.step import Chain, Step
from plait.types import RecipeError

POOLING_OF = {
    "mean": "MeanPool()",
    "cls": "ClsPool()",
    "max": "MaxPool()",
    "last": "LastPool()",
    "weightedmean": "WeightedMeanPool()",
}
"""Steps for the poolings that checkpoints name."""


@dataclass(frozen=True)
class Space:
    """What may be combined. Every field but ``models`` holds recipe text, so that a file can name any step.

    Args:
        models: names of weights, or encoder steps such as ``Transformer("x", prompts="checkpoint")``.
        layers: "all" for each layer by itself, or numbers.
        mixes: layer steps beside the single layers.
        poolings: pooling steps.
        transforms: chains of transforms to put after a pooling; "" is none.
        widths: numbers a vector may be cut to, by PCA, which orders directions by how much they hold.
        bits: 32 (float), 8 or 1 a number.
        parts: how many strands the concatenation search may choose from.
    """

    models: tuple[str, ...]
    layers: str | tuple[int, ...] = "all"
    mixes: tuple[str, ...] = ("LayerMean([1, -1])", "LayerMean([-2, -1])")
    poolings: tuple[str, ...] = ("MeanPool()", "ClsPool()", "MaxPool()", "WeightedMeanPool()", "SifPool()")
    transforms: tuple[str, ...] = (
        "",
        "Center()",
        "AllButTheTop(1)",
        "AllButTheTop(3)",
        "ClipOutliers()",
        "Whitening(shrinkage=0.5)",
        "Whitening()",
    )
    widths: tuple[int, ...] = (256, 128, 64)
    bits: tuple[int, ...] = (32, 8, 1)
    parts: int = 8

    @classmethod
    def read(cls, path: str | Path, models: Sequence[str]) -> Space:
        """A space from a TOML file whose keys are this class's fields; missing ones keep their defaults.

        Raises:
            RecipeError: for an unknown key, a value of the wrong kind, or text that is no step.
        """
        try:
            given = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RecipeError(f"cannot read the space {path}: {error}") from error
        known = {field.name for field in fields(cls)}
        if unknown := set(given) - known:
            raise RecipeError(f"{path} has {', '.join(sorted(unknown))}; a space has {', '.join(sorted(known))}")
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in given.items()
        }
        values.setdefault("models", tuple(models))
        return cls(**values)

    def for_words(self) -> Space:
        """The same space for items given as words, where a unit has a handful of tokens and no direction to whiten."""
        poolings = ("MeanPool()", "ClsPool()", "LastPool()", "MaxPool()")
        return replace(self, poolings=poolings, transforms=("", "Center()"), widths=(256, 128))

    def encoders(self) -> list[Encoder]:
        """The models as encoder steps."""
        return [encoder(model) for model in self.models]

    def strands(self) -> Iterator[Chain]:
        """Every model × layer × pooling."""
        for step in self.encoders():
            for mix in self._mixes(step):
                for pooling in self.poolings:
                    yield chain(step, mix, pooling)

    def _mixes(self, step: Encoder) -> list[str]:
        if step.depth == 0:
            return [""]
        numbers = range(step.depth + 1) if self.layers == "all" else self.layers
        singles = [f"Layer({int(n)})" for n in numbers]
        several: dict[tuple[tuple[int, float], ...], str] = {}
        for text in [*singles, *self.mixes]:
            mix = parse_step(text)
            if not isinstance(mix, LayerMix):
                raise RecipeError(f"{text} stands among the layers of the space, but it is no layer step")
            several.setdefault(mix.mix(step.depth), text)
        return list(several.values())


def encoder(model: str) -> Encoder:
    """The encoder step of a model's name, or of a step's text."""
    if "(" in model:
        step = parse_step(model)
        if not isinstance(step, Encoder):
            raise RecipeError(f'{model} is no encoder; give the name of a model or e.g. Transformer("name")')
        return step
    return StaticTable(model) if _is_table(model) else Transformer(model)


def installed() -> tuple[str, ...]:
    """Names of the weights that ship inside installed packages."""
    return tuple(packaged.name for packaged in PACKAGED if packaged.installed)


def _is_table(model: str) -> bool:
    """Whether a name or path is a static table; a folder is a transformer when its config names an architecture."""
    packaged, path = named(model), Path(model).expanduser()
    if packaged is not None and not path.is_dir():
        return packaged.kind == "static"
    if path.is_file():
        return path.suffix != ".gguf"
    config = path / "config.json"
    return path.is_dir() and not (config.exists() and "architectures" in json.loads(config.read_text()))


def default_recipe(step: Encoder) -> Chain:
    """The model as it comes: last layer, the pooling that the checkpoint names, or mean if it names none."""
    pooling = step.host.card.pooling if isinstance(step, Transformer) else "mean"
    return chain(step, "", POOLING_OF[pooling or "mean"])


def chain(first: Step, *texts: str) -> Chain:
    """A chain of a step and further steps given as text; "" adds nothing."""
    more = [step for text in texts if text for step in parse(text).children()]
    return Chain([*(first.steps if isinstance(first, Chain) else [first]), *more])


def parse_step(text: str) -> Step:
    """A single step from its text."""
    steps = parse(text).children()
    if len(steps) != 1:
        raise RecipeError(f"{text!r} is a chain; expected a single step")
    return steps[0]
