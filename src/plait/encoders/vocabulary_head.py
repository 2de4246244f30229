"""From a decoder's states to scores of its next token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plait.types import ModelError

if TYPE_CHECKING:
    import torch

    from plait.encoders.hosts import Host

_NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm")


@dataclass(frozen=True, eq=False)
class VocabularyHead:
    """The last norm and the output matrix of a decoder.

    Attributes:
        norm: the module behind the last block.
        table: ``(vocabulary, dim)`` float32; in half precision, scores of frequent tokens would tie.
        cap: what scores are squashed below, or None.
    """

    norm: Any
    table: torch.Tensor
    cap: float | None

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """``(n, dim)`` states behind the last norm to ``(n, vocabulary)`` float32 scores."""
        import torch

        scores = states.to(self.table) @ self.table.T
        return scores if self.cap is None else self.cap * torch.tanh(scores / self.cap)

    def lens(self, states: torch.Tensor) -> torch.Tensor:
        """Scores of states of an inner layer, as if it were the last: the logit lens."""
        scale = next(self.norm.parameters())
        return self.logits(self.norm(states.to(scale)))


def vocabulary_head(host: Host) -> VocabularyHead:
    """The head of a decoder whose output matrix is its token table.

    Raises:
        ModelError: for a model that reads both ways, or whose output matrix is one of its own: such a matrix is not
            loaded.
    """
    config = host.model.config.get_text_config()
    if not host.is_decoder or not getattr(config, "tie_word_embeddings", False):
        raise ModelError(
            f"{host.name} {'has an output matrix of its own' if host.is_decoder else 'is no decoder'}; next tokens can "
            "be scored with decoders that use their token table for output, such as gemma-3-270m"
        )
    found = [module for name, module in host.model.named_modules() if name.rsplit(".", 1)[-1] in _NORMS]
    outer = [module for module in found if not any(module is inner for b in host.blocks for inner in b.modules())]
    if not outer:
        raise ModelError(f"{host.name} has no norm behind its last block (looked for {', '.join(_NORMS)})")
    cap = getattr(config, "final_logit_softcapping", None)
    return VocabularyHead(outer[-1], host.model.get_input_embeddings().weight.detach().float(), cap)
