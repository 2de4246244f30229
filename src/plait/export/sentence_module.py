"""A recipe as a module of sentence-transformers, for what its own modules cannot say."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import torch
from sentence_transformers.base.modules import InputModule

from plait.export.agreement import decoded
from plait.recipe import load, save
from plait.roles import ROLES
from plait.step import Composite

FOLDER = "recipe"


class RecipeModule(InputModule):
    """The whole recipe as the first and only module; what stands in the folder is the saved recipe.

    Args:
        recipe: fitted. Codes come out as the vectors that they decode to.
    """

    save_in_root = True

    def __init__(self, recipe: Composite) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.recipe = recipe

    def preprocess(self, inputs: Any, prompt: str | None = None, **kwargs: Any) -> dict[str, Any]:
        """Leave texts as they are: the recipe has tokenizers and prompts of its own."""
        role = kwargs.get("task")
        return {"texts": [f"{prompt or ''}{text}" for text in inputs], "role": role if role in ROLES else "document"}

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Add ``sentence_embedding``, ``(batch, dim)``."""
        vectors = decoded(self.recipe, features["texts"], features["role"])
        return features | {"sentence_embedding": torch.from_numpy(vectors)}

    def get_embedding_dimension(self) -> int:
        """Numbers in a vector."""
        return int(decoded(self.recipe, ["a"], "document").shape[1])

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        """Write the recipe's folder."""
        save(self.recipe, Path(output_path) / FOLDER)

    @classmethod
    def load(cls, model_name_or_path: str, *args: Any, **kwargs: Any) -> Self:
        """Read what `save` wrote."""
        return cls(load(Path(model_name_or_path) / FOLDER))
