"""A recipe as a folder of sentence-transformers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from plait._lazy import need
from plait.encoders.static import StaticTable
from plait.encoders.transformer import Transformer
from plait.export.agreement import SAMPLE, Exported, agree, decoded, fresh, in_float32, size_of
from plait.export.steps import affine
from plait.plan import Strand
from plait.pooling.maximum import MaxPool
from plait.pooling.mean import MeanPool, WeightedMeanPool
from plait.pooling.single import ClsPool, LastPool
from plait.prompting.presets import template
from plait.roles import ROLES
from plait.step import Chain, Composite
from plait.tokenization.words import WordVocabulary
from plait.transforms.normalize import Normalize
from plait.types import ModelError, RecipeError

MARK = "modules.json"
MODES: dict[type, str] = {
    MeanPool: "mean",
    WeightedMeanPool: "weightedmean",
    ClsPool: "cls",
    LastPool: "lasttoken",
    MaxPool: "max",
}


def to_sentence_transformers(recipe: Composite, folder: str | Path, sample: Sequence[str] = SAMPLE) -> Exported:
    """Write the recipe as a folder that ``SentenceTransformer(folder)`` opens.

    A chain of one model, one of its layers, a usual pooling and affine transforms is written with modules of
    sentence-transformers itself and needs nothing of plait; upper blocks that it does not read are left out. Any other
    recipe becomes one module of plait: open it with ``trust_remote_code=True``, where plait is installed. Arithmetic is
    float32; codes come out as the vectors that they decode to.

    Args:
        recipe: fitted; ends in vectors or codes.
        folder: where; an earlier folder of sentence-transformers is replaced.
        sample: texts on which the folder must give what the recipe gives.

    Raises:
        RecipeError: if a step is not fitted, or the folder holds something else.
        ModelError: if the folder gives other vectors than the recipe.
        MissingExtra: if sentence-transformers is not installed.

    Example:
        >>> from sentence_transformers import SentenceTransformer
        >>> from plait import MeanPool, Transformer, Truncate
        >>> _ = to_sentence_transformers(Transformer("all-MiniLM-L6-v2") | MeanPool() | Truncate(64), "folder")
        >>> SentenceTransformer("folder").encode(["a text"]).shape
        (1, 64)
    """
    sentence_transformers: Any = need("sentence_transformers", "torch")
    logging.getLogger("sentence_transformers").setLevel(logging.WARNING)
    recipe, folder = in_float32(recipe), Path(folder)
    with fresh(folder, MARK) as part:
        standard = _standard(recipe, sentence_transformers, sample)
        model, agreement = standard or _own(recipe, sentence_transformers, sample)
        model.save_pretrained(str(part), create_model_card=False)
    return Exported(folder, size_of(folder), agreement, needs_plait=standard is None)


def _standard(recipe: Composite, peer: Any, sample: Sequence[str]) -> tuple[Any, float] | None:
    """A model of the peer's own modules that does what the recipe does; None where there is none."""
    try:
        model = _modules(recipe, peer)
        return None if model is None else (model, _agreement(recipe, model, sample))
    except (RecipeError, ModelError):
        return None


def _own(recipe: Composite, peer: Any, sample: Sequence[str]) -> tuple[Any, float]:
    from plait.export.sentence_module import RecipeModule

    model = peer.SentenceTransformer(modules=[RecipeModule(recipe)], device="cpu")
    return model, _agreement(recipe, model, sample)


def _agreement(recipe: Composite, model: Any, sample: Sequence[str]) -> float:
    def found(texts: Sequence[str], role: str) -> np.ndarray:
        encode = model.encode_query if role == "query" else model.encode_document
        return np.asarray(encode(list(texts)))

    return agree(recipe, lambda texts, role: decoded(recipe, texts, role), found, sample)


def _modules(recipe: Composite, peer: Any) -> Any:
    """The peer's model, or None where the recipe is more than a chain that it knows."""
    if not isinstance(recipe, Chain) or isinstance(recipe.steps[0], Composite) or recipe.quantiser is not None:
        return None
    strand, *more = recipe.strands()
    if more or strand.changes or len(strand.mix) > 1:
        return None
    modules = _table(strand) if isinstance(strand.encoder, StaticTable) else _host(strand)
    if modules is None:
        return None
    width = strand.width
    for step in recipe.steps[recipe.head :]:
        modules.append(_behind(step, width))
        width = step.transform(np.zeros((1, width), np.float32)).shape[1]
    return peer.SentenceTransformer(modules=modules, prompts=_prompts(strand.encoder), device="cpu")


def _host(strand: Strand) -> list[Any] | None:
    from sentence_transformers.sentence_transformer.modules import Pooling
    from sentence_transformers.sentence_transformer.modules import Transformer as PeerTransformer

    encoder, ((layer, _),) = strand.encoder, strand.mix
    mode = MODES.get(type(strand.pool))
    if not isinstance(encoder, Transformer) or mode is None or layer < 1 or encoder.on_overflow == "chunk":
        return None
    with TemporaryDirectory() as folder:
        encoder.host.save(Path(folder), layer)
        model = PeerTransformer(folder, max_seq_length=encoder.reader.windows.size)
    return [model, Pooling(encoder.width, pooling_mode=mode)]


def _table(strand: Strand) -> list[Any] | None:
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    table = strand.encoder.table  # type: ignore[attr-defined]
    if not isinstance(strand.pool, MeanPool) or isinstance(table.tokenizer, WordVocabulary):
        return None
    tokenizer = Tokenizer.from_str(table.tokenizer.to_str())
    tokenizer.no_truncation()
    return [StaticEmbedding(tokenizer, embedding_weights=table.vectors.copy())]


def _behind(step: Any, width: int) -> Any:
    import torch
    from sentence_transformers.base.modules import Normalize as PeerNormalize
    from sentence_transformers.sentence_transformer.modules import Dense

    if isinstance(step, Normalize):
        return PeerNormalize()
    linear = affine(step, width)
    dense = Dense(width, linear.out_features, activation_function=torch.nn.Identity())
    dense.linear = linear
    return dense


def _prompts(encoder: Any) -> dict[str, str]:
    """What stands in front of texts, by role; a prompt of another shape shows in the comparison."""
    found = {role: encoder.asked(role).prompts for role in ROLES if hasattr(encoder, "prompts")}
    return {role: template(prompt).prefix or "" for role, prompt in found.items() if prompt}
