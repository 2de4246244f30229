"""Short names of recipes, for pictures and headings."""

from __future__ import annotations

import re

from plait.plan import Strand
from plait.roles import Encoder, Pooling
from plait.step import Chain, Concat, Step

_CALL = re.compile(r"(\w+)\((.*)\)", re.DOTALL)
_FIRST = re.compile(r'\s*"((?:[^"\\]|\\.)*)"')


def short(step: Step, model: bool = True) -> str:
    """A recipe in a few words.

    Args:
        step: the recipe.
        model: name the encoders; needless where there is only one.

    >>> from plait import Layer, Pca, MeanPool, StaticTable, Transformer
    >>> short(Transformer("all-MiniLM-L6-v2") | Layer(5) | MeanPool() | Pca(64))
    'all-MiniLM-L6-v2 · L5 · mean · Pca(64)'
    """
    if isinstance(step, Chain):
        parts = [short(part, model) for part in flat(step) if model or not isinstance(part, Encoder)]
        return " · ".join(parts) or str(step)
    if isinstance(step, Concat):
        if len(step.parts) > 2:
            return f"{len(step.parts)} parts"
        return " + ".join(short(part, model) for part in step.parts)
    if isinstance(step, Encoder):
        return encoder(str(step))
    return pooling(str(step)) if isinstance(step, Pooling) else _leaf(str(step))


def flat(step: Step) -> list[Step]:
    """The steps of a chain, those of chains within it too."""
    return [part for inner in step.steps for part in flat(inner)] if isinstance(step, Chain) else [step]


def encoder(text: str) -> str:
    """The model's name in an encoder's text.

    >>> encoder('Transformer("models/mine", max_length=64)'), encoder("Own()")
    ('mine', 'Own')
    """
    match = _CALL.fullmatch(text)
    if not match:
        return text
    first = _FIRST.match(match[2])
    return first[1].replace("\\\\", "/").rstrip("/").rsplit("/", 1)[-1] if first else match[1]


def source(text: str) -> str:
    """The model, and what was changed in it, in a strand's source.

    >>> source('Transformer("mine") | AttentionTemperature(0.5)')
    'mine · AttentionTemperature(0.5)'
    """
    first, *changes = text.split(" | ")
    return " · ".join([encoder(first), *changes])


def pooling(text: str) -> str:
    """A pooling's name in words.

    >>> pooling("WeightedMeanPool()"), pooling("SifPool(0.01)")
    ('weighted mean', 'sif(0.01)')
    """
    match = _CALL.fullmatch(text)
    if not match:
        return text
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", match[1].removesuffix("Pool") or match[1]).lower()
    return f"{words}({match[2]})" if match[2] else words


def mix(strand: Strand) -> str:
    """Which layers a strand takes."""
    if len(strand.mix) == 1:
        layer = strand.mix[0][0]
        return f"{layer}" if layer else "0, embeddings"
    numbers = ", ".join(str(layer) for layer, _ in strand.mix)
    if len({weight for _, weight in strand.mix}) == 1:
        return f"mean of {numbers}"
    return f"mix of {numbers}"


def clip(text: str, size: int) -> str:
    """The text, or its beginning.

    >>> clip("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= size else text[: size - 1] + "…"


def _leaf(text: str) -> str:
    match = _CALL.fullmatch(text)
    if not match:
        return text
    name, inside = match.groups()
    if name == "Layer" and inside.lstrip("-").isdigit():
        return f"L{inside}"
    return f"{name}({inside})" if inside else name
