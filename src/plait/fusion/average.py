"""`Average`: several recipes' vectors, added up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Self

import numpy as np

from plait import plan
from plait.step import Chain, Composite, Concat, Step, unit_rows
from plait.types import Floats, RecipeError, Vectors


class Average(Composite):
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

    takes = str
    gives = Vectors

    def __init__(self, parts: Sequence[Step], weights: Sequence[float] | None = None, normalize: bool = False) -> None:
        self.parts = parts
        self.weights = weights
        self.normalize = normalize
        if not parts:
            raise RecipeError("Average got no parts; give it at least one recipe")
        Concat(parts, weights)  # refuses parts that give no vectors, and weights that do not fit

    def children(self) -> Sequence[Step]:
        return self.parts

    def strands(self) -> Iterator[plan.Strand]:
        for part in self._composites():
            yield from part.strands()

    def weave(self, given: Mapping[str, Floats]) -> np.ndarray:
        blocks = [part.weave(given) for part in self._composites()]
        widths = [block.shape[1] for block in blocks]
        if len(set(widths)) > 1:
            raise RecipeError(
                f"{self} has parts of {widths} numbers; cut them to one width, e.g. with Pca, or join with +"
            )
        weights = np.ones(len(blocks)) if self.weights is None else np.asarray(self.weights, np.float64)
        total = np.zeros(blocks[0].shape, np.float32)
        for block, weight in zip(blocks, weights / weights.sum(), strict=True):
            total += np.float32(weight) * (unit_rows(block) if self.normalize else block)
        return total

    def learn(self, given: Mapping[str, Floats], lesson: plan.Lesson = plan.UNLABELLED) -> Self:
        for part in self._composites():
            part.learn(given, lesson)
        return self

    def _composites(self) -> list[Composite]:
        return [part if isinstance(part, Composite) else Chain([part]) for part in self.parts]
