"""`TokenPrepending`: in early layers a placeholder before the text is given the state of the last token."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from plait.roles import HostStep
from plait.types import ModelError, RecipeError

if TYPE_CHECKING:
    import torch


class TokenPrepending(HostStep):
    """Let a causal model see a summary of the whole text from its first word on, without training.

    The prompt holds a ``{blank}`` in front of the text. Before each of the early blocks runs, the blank's state is
    overwritten with that of the last token, so that all words of the text can attend to it. Read the vector with
    `LastPool`, from a layer below the last.

    Args:
        stop: first block (counted from 0) before which nothing is copied any more. 4, three blocks, suits a model of 18
            layers; published values are 3 to 7 for 28 to 42 layers, and copying everywhere does harm.
        start: first block before which the state is copied. The default 1 spares block 0, where the last token's state
            is only that of a quotation mark.
        placeholder: a token of the vocabulary that the prompt holds in front of the text, such as ``"<unused7>"``; None
            takes the prompt's ``{blank}``.

    Raises:
        RecipeError: when run, if the window is empty, the encoder's prompt has no ``{blank}``, or the placeholder is no
            token.
        ModelError: when run, if the blank is not exactly one token of each text.

    Source: Token Prepending: A Training-Free Approach for Eliciting Better Sentence Embeddings from LLMs,
    arXiv 2412.11556.

    Example:
        >>> str(TokenPrepending(stop=7))
        'TokenPrepending(7)'
    """

    def __init__(self, stop: int = 4, start: int = 1, placeholder: str | None = None) -> None:
        self.stop = stop
        self.start = start
        self.placeholder = placeholder

    def change(self, encoder: Any) -> AbstractContextManager[None]:
        blank = self._blank(encoder)
        if not 0 <= self.start < self.stop:
            raise RecipeError(f"{self}: start is {self.start} and stop {self.stop}; expected 0 <= start < stop")

        def copy_last(states: torch.Tensor, batch: Any) -> torch.Tensor:
            found = (batch.ids == blank) & batch.mask  # the blank may be the padding token
            if not bool((found.sum(dim=1) == 1).all()):
                raise ModelError(f"{encoder}: the blank must be one token of each text, once; does a text hold it too?")
            rows = found.any(dim=1).nonzero()[:, 0]
            changed = states.clone()
            changed[found] = states[rows, batch.last]
            return changed

        layers = range(self.start, min(self.stop, encoder.depth))
        changes: AbstractContextManager[None] = encoder.intervene(dict.fromkeys(layers, copy_last))
        return changes

    def _blank(self, encoder: Any) -> int:
        """Id of the token that is overwritten."""
        if self.placeholder is None:
            found: int | None = getattr(encoder, "blank_id", None)
            problem = f'fills the {{blank}} of a prompt, and {encoder} has none; use e.g. prompts="prompteol-blank"'
        else:
            found = encoder.token_id(self.placeholder)
            problem = f"fills {self.placeholder!r}, but {self.placeholder!r} is no token of {encoder}"
        if found is None:
            raise RecipeError(f"{self} {problem}")
        return found
