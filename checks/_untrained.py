"""A host of the same architecture whose weights nobody has trained: what it shows, training did not bring about."""

from __future__ import annotations

from pathlib import Path

from plait.encoders.transformer import Transformer


def untrained(encoder: Transformer, folder: Path, seed: int = 0) -> Transformer:
    """The encoder with weights drawn as before training.

    Args:
        encoder: a loaded host.
        folder: where the weights are written.
        seed: of the weights.
    """
    import torch
    from transformers import AutoModel

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        AutoModel.from_config(encoder.host.model.config).float().save_pretrained(folder)
    encoder.host.tokenizer.save_pretrained(folder)
    return Transformer(str(folder), max_length=encoder.max_length, dtype=encoder.dtype)
