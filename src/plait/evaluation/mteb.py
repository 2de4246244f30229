"""A recipe as an MTEB model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from plait._lazy import need
from plait.chunks import refuse_chunks
from plait.evaluation.evaluators import quantiser
from plait.step import Composite, unit_rows
from plait.types import Codes, Floats, RecipeError, Vectors


class MtebModel:
    """What MTEB 2 calls an encoder: ``encode``, ``similarity``, ``similarity_pairwise``, ``mteb_model_meta``.

    Args:
        recipe: fitted, if it has steps that learn.
    """

    def __init__(self, recipe: Composite) -> None:
        if recipe.gives not in (Vectors, Codes):
            raise RecipeError(f"{recipe} gives {recipe.gives.__name__}; MTEB needs a vector a text: end with a pooling")
        self.recipe = recipe

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        task_metadata: object = None,
        hf_split: str = "",
        hf_subset: str = "",
        prompt_type: object = None,
        **kwargs: object,
    ) -> Floats:
        """Vectors of the texts, with the prompt of their role; codes are decoded.

        Args:
            inputs: batches with a list under "text".
            task_metadata: not used: a recipe is the same for every task.
            hf_split: not used.
            hf_subset: not used.
            prompt_type: "query" or "document"; None counts as a document.
            kwargs: not used: batches are planned by tokens.
        """
        texts = [str(text) for batch in inputs for text in batch["text"]]
        role = "query" if str(getattr(prompt_type, "value", prompt_type)) == "query" else "document"
        if role != "query":
            refuse_chunks(self.recipe.strands(), "MTEB")
        made = self.recipe.encode(texts, role=role)
        if isinstance(made, Codes):
            return quantiser(made).inverse_transform(made.values)
        return made.values

    def similarity(self, embeddings1: Floats, embeddings2: Floats) -> Floats:
        """``[n, m]`` cosines of all rows with all rows."""
        return _rows(embeddings1) @ _rows(embeddings2).T

    def similarity_pairwise(self, embeddings1: Floats, embeddings2: Floats) -> Floats:
        """``[n]`` cosines of rows with the rows beside them."""
        return np.asarray(np.einsum("ij,ij->i", _rows(embeddings1), _rows(embeddings2)))

    @property
    def mteb_model_meta(self) -> Any:
        """MTEB's description of a model; what is not known of a recipe is left open."""
        meta: Any = getattr(need("mteb.models.model_meta", "eval"), "ModelMeta")  # noqa: B009
        open_fields = (
            "release_date languages n_parameters memory_usage_mb max_tokens embed_dim license open_weights "
            "public_training_code public_training_data use_instructions training_datasets"
        )
        return meta(
            loader=None,
            name=f"plait/{self.recipe.fingerprint}",
            revision=self.recipe.fingerprint,
            framework=["PyTorch"],
            similarity_fn_name="cosine",
            **dict.fromkeys(open_fields.split()),
        )


def as_mteb(recipe: Composite) -> MtebModel:
    """A recipe as a model that ``mteb.evaluate`` takes.

    Args:
        recipe: gives vectors or codes; fitted, if it has steps that learn.

    Raises:
        RecipeError: if the recipe makes no vectors.

    Example:
        >>> model = as_mteb(plait.parse('StaticTable("wordllama") | MeanPool()'))
        >>> model.encode([{"text": ["a text", "another"]}], prompt_type="query").shape
        (2, 256)
    """
    return MtebModel(recipe)


def _rows(values: Floats) -> Floats:
    return unit_rows(np.atleast_2d(np.asarray(values, np.float32)))
