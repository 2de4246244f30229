"""The roles of a step: what each kind of component adds to the contract of `plait.step.Step`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, TypeAlias

import numpy as np

from plait.step import Step
from plait.types import Codes, Floats, Ints, Items, ModelError, RecipeError, States, Tokens, Vectors

ROLES = ("query", "document")
"""What a text may be in retrieval; an encoder may put another prompt before each."""


class Encoder(Step):
    """Contract 2: items to states. Subclasses know how to tokenise and how to run one batch.

    Attributes:
        budget: padded tokens in one batch.
    """

    takes = str
    gives = States
    budget: int = 512

    @property
    @abstractmethod
    def width(self) -> int:
        """D, numbers in one state."""

    @property
    def router_width(self) -> int:
        """Numbers in the routers' weights of one token; for hosts with a mixture of experts."""
        raise ModelError(
            f"{self} has no experts to choose from, and RouterWeights nothing to read: take a mixture-of-experts "
            "host, such as Mixtral, OLMoE or Qwen2-MoE, or leave RouterWeights out"
        )

    @property
    @abstractmethod
    def depth(self) -> int:
        """Number of the last layer; layer 0 is the embedding output."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes of the weights in memory."""

    @abstractmethod
    def tokenize(self, items: Items) -> Tokens:
        """Ids of every item and which of them each unit pools."""

    def spanned(self, items: Items) -> Tokens:
        """As `tokenize`, with `Tokens.spans`; for encoders whose tokens see each other."""
        raise RecipeError(f"{self} does not tell where its tokens stand in a text; take a Transformer to pool spans")

    @abstractmethod
    def states(self, tokens: Tokens, layers: tuple[int, ...]) -> States:
        """States of one batch; layers above the deepest one asked for are not run."""

    def shared(self, tokens: Tokens) -> int:
        """How many tokens at the start are the same for all items, and run once for a whole batch."""
        return 0

    def asked(self, role: str) -> Encoder:
        """The encoder as it reads texts of this role; by default it reads all alike."""
        if role not in ROLES:
            raise RecipeError(f"role is {role!r}; expected one of {', '.join(ROLES)}")
        return self

    def transform(self, X: Items) -> States:
        """States of all layers for all items, in memory."""
        return self.states(self.tokenize(X), tuple(range(self.depth + 1)))


class HostStep(Step):
    """A change of the encoder's inside: written after the encoder, in force while it runs."""

    takes = States
    gives = States

    @abstractmethod
    def change(self, encoder: Any) -> AbstractContextManager[None]:
        """Change the encoder for the length of a ``with`` block."""


Mix: TypeAlias = tuple[tuple[int, float], ...]


class LayerMix(Step):
    """A weighted sum of layers."""

    takes = States
    gives = States

    @abstractmethod
    def mix(self, depth: int) -> Mix:
        """(layer, weight) pairs for an encoder with layers 0 … depth."""

    def mixes(self, depth: int) -> Sequence[tuple[str, Mix]]:
        """The mixes that the step stands for, each with its text; side by side if there are several."""
        return [(str(self), self.mix(depth))]

    def transform(self, X: States) -> States:
        total = sum(weight * X.layer(layer) for layer, weight in self.mix(X.layers[-1]))
        return States(np.asarray(total, np.float32)[None], (X.layers[-1],), X.tokens)

    def _resolve(self, layer: int, depth: int) -> int:
        if not -depth - 1 <= layer <= depth:
            raise RecipeError(
                f"{self} asks for layer {layer}; the encoder has layers 0 to {depth} (or -1 to {-depth - 1})"
            )
        return layer % (depth + 1)


class Pooling(Step):
    """Tokens of a unit to one vector. ``pool`` sees one layer's ``[T, D]`` states; there is no padding to see."""

    takes = States
    gives = Vectors
    linear: ClassVar[bool] = False

    def width(self, dim: int) -> int:
        """Numbers in a vector pooled from tokens of ``dim`` numbers."""
        return dim

    @abstractmethod
    def pool(self, values: Floats, tokens: Tokens) -> Floats:
        """``[T, D]`` states to ``[U, width(D)]`` vectors; a unit without tokens gets zeros."""

    def transform(self, X: States) -> Vectors:
        return Vectors(self.pool(X.values[-1], X.tokens), X.tokens.units)


class LinearPooling(Pooling):
    """A pooling that is a weighted sum: it only names the weight of each token."""

    linear = True

    @abstractmethod
    def weights(self, tokens: Tokens) -> Floats:
        """``[E]`` weight of each entry of ``tokens.index``."""

    def pool(self, values: Floats, tokens: Tokens) -> Floats:
        states = States(values[None], (0,), tokens)
        vectors: Floats = states.weighted(self.weights(tokens)[None])[0, 0]
        return vectors


class Transform(Step):
    """``[N, D]`` array to ``[N, D']`` array, as in scikit-learn; learns from the rows given to ``fit``."""

    takes = Vectors
    gives = Vectors


class Quantiser(Step):
    """Contract 7: vectors to few bytes, and search among them.

    ``transform`` gives ``[N, B]`` codes of int8 or uint8. What a query's score is belongs to the quantiser: callers use
    `plait.compression.search`, which checks what it is given, and never look into codes.
    """

    takes = Vectors
    gives = Codes

    @abstractmethod
    def inverse_transform(self, codes: np.ndarray) -> Floats:
        """``[N, B]`` codes to ``[N, D]`` float vectors."""

    @abstractmethod
    def nbytes(self, width: int) -> int:
        """Bytes of one code for vectors of ``width`` numbers."""

    @property
    @abstractmethod
    def fitted_width(self) -> int:
        """D, numbers in the vectors that it was fitted on.

        Raises:
            RecipeError: if it is not fitted.
        """

    @abstractmethod
    def search(self, queries: Floats, codes: np.ndarray, k: int, cosine: bool) -> tuple[Ints, Floats]:
        """The k best codes of each query, over all codes, block by block.

        Args:
            queries: ``[Q, D]`` floats.
            codes: ``[N, B]``, perhaps memory-mapped.
            k: at most N.
            cosine: rank by the cosine with what the codes decode to, else by the dot product; a quantiser whose codes
                have a similarity of their own ranks by that.
        """

    def similarity(self, a_codes: np.ndarray, b_codes: np.ndarray) -> Floats:
        """``[n]`` similarity of codes row by row, from -1 to 1; by default the cosine of what they decode to."""
        a, b = (self.inverse_transform(codes).astype(np.float64) for codes in (a_codes, b_codes))
        lengths = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
        cosines: Floats = np.divide((a * b).sum(axis=1), lengths, out=np.zeros(len(a)), where=lengths > 0)
        return cosines.astype(np.float32)
