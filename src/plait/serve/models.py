"""What a server embeds with: a recipe under a name, and what its vectors may be cut to."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from plait.chunks import refuse_chunks
from plait.evaluation.judging import is_fitted
from plait.serve.counting import encode_counted
from plait.serve.errors import ApiError
from plait.serve.searching import Searchable, unused_name
from plait.step import Chain, Composite, Step, unit_rows
from plait.store.blocks import float_part
from plait.transforms.normalize import Normalize
from plait.transforms.principal import Pca
from plait.transforms.truncate import Truncate
from plait.transforms.whitening import Whitening
from plait.types import Floats, RecipeError


@dataclass(frozen=True, eq=False)
class Model:
    """A recipe that is served.

    Attributes:
        name: that clients ask for.
        recipe: fitted.
        width: numbers in a vector.
        cuttable: whether its vectors can be cut to fewer dimensions.
        created: when the server took it up, in seconds since 1970.
    """

    name: str
    recipe: Composite
    width: int
    cuttable: bool
    created: int = field(default_factory=lambda: int(time.time()))

    @classmethod
    def of(cls, name: str, recipe: Composite, matryoshka: bool = False) -> Model:
        """Load what the recipe needs, and try it.

        Args:
            name: that clients ask for.
            recipe: what to serve.
            matryoshka: its encoder was trained so that the first dimensions carry most.

        Raises:
            RecipeError: if it has steps that have yet to learn, or gives no vector a text.
        """
        if not is_fitted(recipe):
            raise RecipeError(
                f"{recipe} has steps that have yet to learn from data; serve a folder that plait find or plait.save "
                "wrote, where they have"
            )
        refuse_chunks(recipe.strands(), "the server")
        width = encode_counted(recipe, ["a text"], "document").values.shape[1]
        return cls(name, recipe, width, matryoshka or sorted_dimensions(float_part(recipe)))

    def check_dimensions(self, dimensions: int | None) -> None:
        """Refuse to cut vectors where that means nothing.

        Raises:
            ApiError: if there are not so many dimensions, or the first ones are no better than any others.
        """
        if dimensions is None or dimensions == self.width:
            return
        if not 1 <= dimensions < self.width:
            message = f"dimensions is {dimensions}; expected 1 to {self.width}"
            raise ApiError(400, message, "invalid_value", "dimensions")
        if not self.cuttable:
            message = (
                f"dimensions is {dimensions}, but the {self.width} dimensions of {self.name} are in no order: the "
                "first are no better than others. Leave it out, or serve a recipe that sorts them, such as "
                f"… | Pca({dimensions}); for an encoder that was trained to be cut, start the server with --matryoshka"
            )
            raise ApiError(400, message, "unsupported_value", "dimensions")

    def cut(self, values: Floats, dimensions: int | None) -> Floats:
        """The first dimensions, at length 1 again; all of them as they are."""
        return values if dimensions in (None, self.width) else unit_rows(values[:, :dimensions])


def sorted_dimensions(recipe: Composite) -> bool:
    """Whether a recipe's first dimensions carry most: it sorts them, or its author cuts them already.

    >>> from plait import MeanPool, Normalize, Pca, StaticTable
    >>> plain = StaticTable("wordllama") | MeanPool()
    >>> sorted_dimensions(plain), sorted_dimensions(plain | Pca(9) | Normalize())
    (False, True)
    """
    steps: list[Step] = list(recipe.children()) if isinstance(recipe, Chain) else [recipe]
    while isinstance(steps[-1], Normalize):
        steps.pop()
    last = steps[-1]
    return isinstance(last, Pca | Truncate) or (isinstance(last, Whitening) and last.method == "pca")


def model_name(text: str) -> str:
    """The name of a saved folder (of its run, for the model that ``plait find`` saved), or the recipe's text.

    >>> model_name("runs/demo/model/"), model_name('StaticTable("wordllama") | MeanPool()')
    ('demo', 'StaticTable("wordllama") | MeanPool()')
    """
    if "(" in text:
        return text
    path = Path(text).absolute()
    return path.parent.name if path.name == "model" else path.name


def with_those_of(model: Model, indexes: Iterable[Searchable]) -> list[Model]:
    """The model, and those of collections that other recipes made, under the collections' names."""
    found = [model]
    for index in indexes:
        if all(index.recipe.fingerprint != known.recipe.fingerprint for known in found):
            found.append(Model.of(unused_name(index.name, [known.name for known in found]), index.recipe))
    return found
