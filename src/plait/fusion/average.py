"""`Average`: several recipes' vectors, added up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from plait.step import Parallel, Step, unit_rows
from plait.types import Floats, RecipeError


class Average(Parallel):
    """The mean of several recipes' vectors: the width stays that of one.

    Several prompts of one model are averaged as they come; vectors of different models are normalised first, or the
    longer ones decide.

    Args:
        parts: recipes that give vectors of one width.
        weights: one factor a part; None weighs all alike.
        normalize: bring each part's vectors to length 1 first.

    Raises:
        RecipeError: if a part does not go from texts to vectors, or, when run, if widths differ.

    Source: Meta-Task Prompting Elicits Embeddings from Large Language Models, arXiv 2402.18458.

    Example:
        >>> from plait import MaxPool, MeanPool, StaticTable
        >>> table = StaticTable("wordllama")
        >>> Average([table | MeanPool(), table | MaxPool()]).encode(["a text"]).values.shape
        (1, 256)
    """

    noun = "an average"

    def __init__(self, parts: Sequence[Step], weights: Sequence[float] | None = None, normalize: bool = False) -> None:
        self.parts = parts
        self.weights = weights
        self.normalize = normalize
        if not parts:
            raise RecipeError("Average got no parts; give it at least one recipe")
        self._check()

    def weave(self, given: Mapping[str, Floats]) -> np.ndarray:
        blocks = [part.weave(given) for part in self._composites()]
        widths = [block.shape[1] for block in blocks]
        if len(set(widths)) > 1:
            raise RecipeError(
                f"{self} has parts of {widths} numbers; cut them to one width, e.g. with Pca, or join with +"
            )
        weights = np.array(self.weights_)
        total = np.zeros(blocks[0].shape, np.float32)
        for block, weight in zip(blocks, weights / weights.sum(), strict=True):
            total += np.float32(weight) * (unit_rows(block) if self.normalize else block)
        return total
