"""The candidate space: which strands, transforms, widths and quantisers `find` may put together."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from sklearn.base import clone

from plait.chunks import cuts
from plait.data.tasks import Kind
from plait.encoders.packaged import PACKAGED, named
from plait.encoders.static import StaticTable
from plait.encoders.transformer import Transformer
from plait.prompting.presets import template
from plait.recipe import parse
from plait.roles import Encoder, LayerMix
from plait.step import Chain, Step
from plait.types import RecipeError

SPREAD = 9
"""Layers of a model that "spread" looks at."""

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
        layers: numbers, "all" for each layer by itself, or "spread" for at most nine of them, evenly from the first to
            the last: neighbours of a deep model differ little.
        mixes: layer steps beside the single layers.
        prompts: what decoders are asked with, each in a pass of its own: names or texts of templates, "" for none, and
            steps inside the model behind a bar, as in ``"prompteol-blank | TokenPrepending(4)"``. Encoders, and models
            that are given with a prompt, are left as they are.
        trained: steps that learn from the labelled examples how to combine layers, each tried once a pass; or poolings
            that learn how to combine tokens, such as ``AttentionPool()``, which read the training texts once more.
        poolings: pooling steps. A prompt that ends in words of its own is read at its last token alone. For retrieval
            ``SpanPool`` may be among them; it does not join concatenations, and static tables go without it.
        chunks: poolings that give a document of a retrieval task several vectors; tried with the last layer and the
            mixes only, as each makes an index several times as large. Other tasks go without.
        transforms: chains of transforms to put after a pooling; "" is none.
        widths: numbers a vector may be cut to, by PCA, which orders directions by how much they hold.
        quantisers: steps that make a vector few bytes, tried on the best few recipes at each width; "" is none.
        parts: how many strands the concatenation search may choose from.
    """

    models: tuple[str, ...]
    layers: str | tuple[int, ...] = "spread"
    mixes: tuple[str, ...] = ("LayerMean([1, -1])", "LayerMean([-2, -1])")
    prompts: tuple[str, ...] = ("", "echo", "prompteol")
    trained: tuple[str, ...] = ("ScalarMix(layer_norm=True)", "LayerAttention(8, epochs=5)")
    poolings: tuple[str, ...] = ("MeanPool()", "ClsPool()", "MaxPool()", "WeightedMeanPool()", "SifPool()")
    chunks: tuple[str, ...] = ('SpanPool("sentences:3")', 'SpanPool("sentences:6")')
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
    quantisers: tuple[str, ...] = ("", "Int8()", "ProductQuantizer(8)", "Binary()")
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

    def for_task(self, kind: Kind) -> Space:
        """The same space with what a task of this kind cannot use left out."""
        return self if kind == "retrieval" else replace(self, chunks=())

    def for_words(self) -> Space:
        """The same space for items given as words, where a unit has a handful of tokens and no direction to whiten."""
        poolings, prompts = ("MeanPool()", "ClsPool()", "LastPool()", "MaxPool()"), ("", "echo")
        return replace(self, poolings=poolings, prompts=prompts, transforms=("", "Center()"), widths=(256, 128))

    def encoders(self) -> list[Encoder]:
        """The models as encoder steps."""
        return [encoder(model) for model in self.models]

    def sources(self) -> list[Source]:
        """Every model × prompt: what needs a pass of its own."""
        return [source for step in self.encoders() for source in self._prompted(step)]

    def strands(self) -> Iterator[Chain]:
        """Every model × prompt × layer × pooling, and the chunks of each model × prompt."""
        for source in self.sources():
            for mix in self._mixes(source):
                for pooling in self.poolings_of(source):
                    yield source.chain(mix, pooling)
            if not isinstance(source.encoder, StaticTable) and not source.answers:
                last = f"Layer({source.encoder.depth})"
                yield from (source.chain(mix, chunk) for mix in (last, *self.mixes) for chunk in self.chunks)

    def numbers(self, source: Source) -> list[int]:
        """The single layers that are looked at."""
        depth = source.encoder.depth
        if self.layers == "all":
            found = list(range(depth + 1))
        elif self.layers == "spread":
            found = sorted({round(depth * n / (SPREAD - 1)) for n in range(SPREAD)})
        elif isinstance(self.layers, str):
            raise RecipeError(f'layers is {self.layers!r}; expected numbers, "all" or "spread"')
        else:
            found = [int(number) for number in self.layers]
        # an answer in one word is not there yet in the lower half
        return [number for number in found if not source.answers or 2 * number >= depth]

    def poolings_of(self, source: Source) -> Sequence[str]:
        """Poolings that fit the source."""
        if source.answers:
            return ["LastPool()"]
        if isinstance(source.encoder, Transformer) and source.encoder.host.is_decoder:
            return [*(pooling for pooling in self.poolings if pooling not in ("ClsPool()", "LastPool()")), "LastPool()"]
        if isinstance(source.encoder, StaticTable):
            return [pooling for pooling in self.poolings if not cuts(parse_step(pooling))]
        return self.poolings

    def usual(self, source: Source) -> str:
        """The pooling that the source comes with."""
        return "LastPool()" if source.answers else str(default_recipe(source.encoder).steps[-1])

    def _prompted(self, step: Encoder) -> list[Source]:
        if not (isinstance(step, Transformer) and step.prompts is None and step.host.is_decoder):
            return [Source(step)]
        entries = [prompt.partition("|") for prompt in self.prompts]
        return [
            Source(clone(step).set_params(prompts=name.strip() or None), inside.strip()) for name, _, inside in entries
        ]

    def _mixes(self, source: Source) -> list[str]:
        depth = source.encoder.depth
        if depth == 0:
            return [""]
        several: dict[tuple[tuple[int, float], ...], str] = {}
        for text in [*(f"Layer({n})" for n in self.numbers(source)), *self.mixes]:
            mix = parse_step(text)
            if not isinstance(mix, LayerMix):
                raise RecipeError(f"{text} stands among the layers of the space, but it is no layer step")
            several.setdefault(mix.mix(depth), text)
        return list(several.values())


@dataclass(frozen=True)
class Source:
    """What one pass reads: an encoder with its prompt, and steps inside it.

    Attributes:
        encoder: the encoder.
        inside: text of the steps that change it while it runs; "" is none.
    """

    encoder: Encoder
    inside: str = ""

    @property
    def answers(self) -> bool:
        """Whether its prompt ends in words of its own, whose last token answers for the text."""
        prompts = getattr(self.encoder, "prompts", None)
        return isinstance(prompts, str) and prompts != "checkpoint" and template(prompts).answers

    def chain(self, *texts: str) -> Chain:
        """A recipe that begins with it."""
        return chain(self.encoder, self.inside, *texts)


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
