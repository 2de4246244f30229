"""Families of options: which of them a recipe uses, beside its models as they come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from plait.chunks import cuts
from plait.prompting.prepending import TokenPrepending
from plait.prompting.presets import template
from plait.roles import Encoder, Pooling, Quantiser, Transform
from plait.step import Chain, Composite, Parallel, Step, walk
from plait.training.learned import Learned
from plait.transforms.principal import Pca
from plait.transforms.truncate import Truncate

FAMILIES = {
    "prompting": "a template around the text, or steps inside the model",
    "layers": "another layer than the last, or a mean of several",
    "pooling": "another pooling than the model's own",
    "chunks": "several vectors a document, one a chunk",
    "training": "layers or tokens combined by what labelled examples teach",
    "transforms": "centring, whitening, clipping and the like",
    "fusion": "several strands side by side",
    "compression": "fewer numbers, or fewer bits a number",
}
"""What may be taken away, one at a time."""


def families(recipe: Composite, defaults: Iterable[Chain]) -> frozenset[str]:
    """The families that a recipe uses.

    Args:
        recipe: any recipe.
        defaults: each model as it comes; what they do is no option.
    """
    known = {_model(chain.steps[0]): chain for chain in defaults}
    found = {name for part in _chains(recipe) for name in _used(part, known)}
    if any(isinstance(step, Parallel) for step in walk(recipe)):
        found.add("fusion")
    return frozenset(found)


def _chains(recipe: Composite) -> Iterable[Chain]:
    return [step for step in walk(recipe) if isinstance(step, Chain)]


def _used(chain: Chain, defaults: Mapping[str, Chain]) -> Iterable[str]:
    first = chain.steps[0]
    if isinstance(first, Encoder):
        yield from _head(chain, first, defaults.get(_model(first)))
    for step in chain.steps:
        if isinstance(step, Learned):
            yield "training"
        elif isinstance(step, Quantiser | Pca | Truncate):
            yield "compression"
        elif isinstance(step, Transform):
            yield "transforms"
        elif isinstance(step, TokenPrepending):
            yield "prompting"


def _head(chain: Chain, encoder: Encoder, default: Chain | None) -> Iterable[str]:
    """Families that show before the first transform."""
    prompt = getattr(encoder, "prompts", None)
    own = getattr(default.steps[0], "prompts", None) if default else None
    if prompt != own:
        yield "prompting"
    strands = list(chain.strands())
    if len(strands) == 1 and strands[0].mix != ((encoder.depth, 1.0),):
        yield "layers"
    if len(strands) > 1 and not any(isinstance(step, Learned) for step in chain.steps):
        yield "layers"
    pooling = next((step for step in chain.steps if isinstance(step, Pooling)), None)
    # an answer in one word can only be read at the last token: that belongs to the prompt
    answers = isinstance(prompt, str) and prompt != "checkpoint" and template(prompt).answers
    usual = "LastPool()" if answers else str(_pooling(default)) if default else "MeanPool()"
    if pooling is not None and cuts(pooling):
        yield "chunks"
    elif pooling is not None and str(pooling) != usual and not isinstance(pooling, Learned):
        yield "pooling"


def _pooling(chain: Chain) -> Step | None:
    return next((step for step in chain.steps if isinstance(step, Pooling)), None)


def _model(step: Step) -> str:
    return str(getattr(step, "model", step))
