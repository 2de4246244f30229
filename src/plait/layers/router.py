"""What the routers of a mixture of experts say, in the place of hidden states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plait.roles import Mix
from plait.step import Step
from plait.types import ROUTER_LOGITS, ROUTER_PROBS, RecipeError, States

PLANES = {"probs": ROUTER_PROBS, "logits": ROUTER_LOGITS}


class RouterWeights(Step):
    """How a mixture-of-experts host spreads each token over its experts: all routers side by side.

    Stands in the place of a layer, and needs no pass beside that of the hidden states. Which experts a token goes to
    says something else of it than its state does, and depends less on the prompt. Take it at the last token of a causal
    host: only that one has seen the whole text.

    States and routers together are a concatenation. Its parts are L2-normalised, so that the dot product of
    ``a + w * b`` is the weighted sum of similarities cos(a, a') + w² cos(b, b'); with ``Standardize()`` behind each
    pooling, routers that hardly differ between texts count as much as the others.

    Args:
        what: "probs", the probabilities over all experts of each router, not over the chosen few; or "logits", what
            they are the softmax of, to be standardised behind the pooling.

    Raises:
        RecipeError: if ``what`` is neither.
        ModelError: when run, if the host has no routers.

    Source: Your Mixture-of-Experts LLM Is Secretly an Embedding Model For Free, arXiv 2410.10814.

    Example:
        >>> from plait import LastPool, Transformer
        >>> host = Transformer("OLMoE")
        >>> (host | LastPool()) + 0.5 * (host | RouterWeights() | LastPool())
        (Transformer("OLMoE") | LastPool()) + 0.5 * (Transformer("OLMoE") | RouterWeights() | LastPool())
    """

    takes = States
    gives = States

    def __init__(self, what: str = "probs") -> None:
        self.what = what

    def mixes(self, depth: int) -> Sequence[tuple[str, Mix]]:
        """The plane that holds the routers' weights, named as a layer."""
        return [(str(self), ((self._plane(), 1.0),))]

    def transform(self, X: States) -> States:
        plane = X.layer(self._plane())
        return States(np.asarray(plane, np.float32)[None], (self._plane(),), X.tokens)

    def _plane(self) -> int:
        if self.what not in PLANES:
            raise RecipeError(f"{self}: what is {self.what!r}; expected {' or '.join(PLANES)}")
        return PLANES[self.what]
