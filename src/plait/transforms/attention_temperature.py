"""A temperature inside the encoder's attention."""

from __future__ import annotations

from contextlib import AbstractContextManager

from plait.roles import HostStep
from plait.types import RecipeError


class AttentionTemperature(HostStep):
    """Divide every attention logit of the encoder by ``tau``, in all layers and heads, while it runs.

    Self-attention averages tokens the more the longer a text is, so that long texts crowd together; a temperature
    below 1 makes attention sharper and counters it, without training. Gains on tasks are small: measure before you keep
    it.

    Args:
        tau: temperature; 1 changes nothing. The default 0.9 is the sharp end of the published range (0.9 to 1); below
            0.7 quality breaks down.

    Raises:
        RecipeError: when run, if ``tau`` is not above 0 or the encoder has no attention to scale.

    Source: Length-Induced Embedding Collapse in Transformer-based Models, arXiv 2410.24200.

    Example:
        >>> str(AttentionTemperature(0.95))
        'AttentionTemperature(0.95)'
    """

    def __init__(self, tau: float = 0.9) -> None:
        self.tau = tau

    def change(self, encoder: object) -> AbstractContextManager[None]:
        if not self.tau > 0:
            raise RecipeError(f"{self}: tau is {self.tau}; expected a temperature above 0, such as 0.9")
        scale = getattr(encoder, "scaled_queries", None)
        if scale is None:
            raise RecipeError(f"{encoder} has no attention that {self} could scale; use it after a Transformer")
        changed: AbstractContextManager[None] = scale(1 / self.tau)
        return changed
