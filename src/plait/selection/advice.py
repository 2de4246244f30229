"""`advise`: what is known to go badly together in a recipe, said before a single text is encoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from plait.encoders.transformer import Transformer
from plait.pooling.mean import MeanPool, WeightedMeanPool
from plait.pooling.single import ClsPool, LastPool
from plait.prompting.prepending import TokenPrepending
from plait.prompting.presets import template
from plait.prompting.template import Slot, Template
from plait.roles import Pooling
from plait.step import Chain, Step, walk


def advise(recipe: Step) -> list[str]:
    """Warnings about combinations that the literature and our own measurements know to be bad.

    What cannot run at all raises an error when it is composed or run; what is named here runs, and gives poor vectors.

    Args:
        recipe: fitted or not; its hosts are loaded, since a warning depends on how they read and how deep they are.

    Returns:
        One sentence a warning, with what to do instead; none for a recipe without a known flaw.

    Source: LLMs are Also Effective Embedding Models: An In-depth Overview, arXiv 2412.12591.

    Example:
        >>> from plait import Transformer, WeightedMeanPool
        >>> advise(Transformer("all-MiniLM-L6-v2") | WeightedMeanPool())[0]
        'Transformer("all-MiniLM-L6-v2") sees both sides of a token, so that late ones know no more: take MeanPool()'
    """
    readings = [_Reading.of(step) for step in walk(recipe) if isinstance(step, Chain)]
    found = [rule(reading) for reading in readings if reading for rule in RULES]
    return [message for message in dict.fromkeys(found) if message]


@dataclass(frozen=True)
class _Reading:
    """How a chain reads texts, as far as the rules ask."""

    encoder: Transformer
    template: Template | None
    layer: int
    pool: Pooling
    prepending: TokenPrepending | None

    @classmethod
    def of(cls, chain: Chain) -> _Reading | None:
        encoder = chain.steps[0]
        pools = [step for step in chain.steps if isinstance(step, Pooling)]
        if not isinstance(encoder, Transformer) or not pools:
            return None
        mixes = [mix for step in chain.steps if hasattr(step, "mixes") for _, mix in step.mixes(encoder.depth)]
        deepest = max((layer for mix in mixes for layer, _ in mix), default=encoder.depth)
        prepending = next((step for step in chain.steps if isinstance(step, TokenPrepending)), None)
        prompt = encoder.asked("document").prompts
        known = template(prompt) if isinstance(prompt, str) else None
        return cls(encoder, known, deepest, pools[0], prepending)

    @property
    def raw(self) -> bool:
        """Whether the host is a decoder that nobody tuned to embed."""
        host = self.encoder.host
        return host.is_decoder and host.card.pooling is None

    @property
    def answers(self) -> bool:
        return self.template is not None and self.template.answers

    @property
    def repeats(self) -> bool:
        return self.template is not None and self.template.slots > 1

    @property
    def marked(self) -> bool:
        """Whether the prompt ends in the model's end marker."""
        last = self.template.pieces[-1] if self.template else None
        return isinstance(last, Slot) and last.field == "eos"


def _early_answer(reading: _Reading) -> str | None:
    if not reading.answers or 2 * reading.layer >= reading.encoder.depth:
        return None
    return (
        f"{reading.encoder} asks for one word and is read at layer {reading.layer} of {reading.encoder.depth}: the "
        f"word is not there yet below half depth; take Layer({-(-reading.encoder.depth // 2)}) or one above it"
    )


def _averaged_answer(reading: _Reading) -> str | None:
    if not reading.answers or isinstance(reading.pool, LastPool):
        return None
    return (
        f"{reading.encoder} ends in words of its own, and {reading.pool} pools the prompt with the text: take "
        "LastPool(), or mark the text with {text:pool}"
    )


def _blind_mean(reading: _Reading) -> str | None:
    seen = reading.answers or reading.repeats or reading.prepending
    if not reading.raw or seen or not isinstance(reading.pool, MeanPool):
        return None
    return (
        f"{reading.encoder} is a decoder without tuning: the tokens that {reading.pool} averages have not seen what "
        'comes after them; take prompts="echo", WeightedMeanPool() or a tuned host'
    )


def _unmarked_last(reading: _Reading) -> str | None:
    if not reading.raw or reading.answers or reading.marked or not isinstance(reading.pool, LastPool):
        return None
    if reading.repeats:
        return f"{reading.encoder} repeats the text, whose mean says more than its last token untuned: take MeanPool()"
    return (
        f"{reading.encoder} has no end marker, so that LastPool() reads whatever the text ends with: ask for one word "
        '(prompts="prompteol"), or end the prompt in {eos:pool}'
    )


def _first_of_decoder(reading: _Reading) -> str | None:
    if not reading.encoder.host.is_decoder or not isinstance(reading.pool, ClsPool):
        return None
    return f"{reading.encoder} is a decoder, whose first token has seen nothing of the text: take LastPool()"


def _weighted_encoder(reading: _Reading) -> str | None:
    if reading.encoder.host.is_decoder or not isinstance(reading.pool, WeightedMeanPool):
        return None
    return f"{reading.encoder} sees both sides of a token, so that late ones know no more: take MeanPool()"


def _long_prepending(reading: _Reading) -> str | None:
    if reading.prepending is None or 2 * reading.prepending.stop <= reading.encoder.depth:
        return None
    return (
        f"{reading.prepending} copies before most of the {reading.encoder.depth} blocks, which does harm: stop after a "
        f"few, e.g. TokenPrepending({max(2, reading.encoder.depth // 4)})"
    )


def _unused_prompts(reading: _Reading) -> str | None:
    prompts = reading.encoder.host.card.prompts
    if not any(prompts.values()) or reading.encoder.prompts is not None:
        return None
    names = ", ".join(name for name, prompt in prompts.items() if prompt)
    return f'{reading.encoder} was tuned with prompts ({names}) and reads texts without: try prompts="checkpoint"'


RULES: tuple[Callable[[_Reading], str | None], ...] = (
    _early_answer,
    _averaged_answer,
    _blind_mean,
    _unmarked_last,
    _first_of_decoder,
    _weighted_encoder,
    _long_prepending,
    _unused_prompts,
)
