"""The contract: every part of a recipe is a scikit-learn estimator that maps one type of `plait.types` to another.

``|`` chains steps, ``+`` concatenates vectors, ``2 * a`` weighs a part. A chain that does not fit is refused when it is
composed. ``str(step)`` is the step's canonical text, the one notation used everywhere.
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator

from plait import chunks, plan
from plait.bank import Bank, digest
from plait.items import Expansion, check_items, unit_bounds
from plait.lesson import UNLABELLED, Lesson
from plait.notation import fitting_hint, same, written_number, written_value
from plait.types import Codes, Floats, Items, RecipeError, States, Vectors


class Step(BaseEstimator):
    """A part of a recipe.

    The constructor stores its parameters untouched; what ``fit`` learns ends in ``_``.

    Attributes:
        takes: type that `transform` expects.
        gives: type that `transform` returns.
        version: raised whenever the same parameters start to give other numbers; it is part of the fingerprint.
    """

    takes: ClassVar[type] = Vectors
    gives: ClassVar[type] = Vectors
    version: ClassVar[int] = 1

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn nothing; steps that learn override this."""
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = type(self).fit is not Step.fit
        return tags

    def transform(self, X: Any) -> Any:
        """Map `takes` to `gives`."""
        raise NotImplementedError

    def __or__(self, other: Step) -> Chain:
        return Chain([*_steps(self), *_steps(other)])

    def __add__(self, other: Step) -> Concat:
        left, right = _weighted(self), _weighted(other)
        return Concat([*left.parts, *right.parts], [*left.weights_, *right.weights_])

    def __mul__(self, weight: float) -> Concat:
        return Concat(_weighted(self).parts, [w * weight for w in _weighted(self).weights_])

    __rmul__ = __mul__

    def __str__(self) -> str:
        written = []
        for place, parameter in enumerate(_parameters(type(self))):  # type: ignore[arg-type]
            value = getattr(self, parameter.name)
            if not same(value, parameter.default):
                written.append(f"{written_value(value)}" if place == 0 else f"{parameter.name}={written_value(value)}")
        return f"{type(self).__name__}({', '.join(written)})"

    def __repr__(self) -> str:  # scikit-learn's own would not be the canonical text
        return str(self)

    def state(self) -> dict[str, np.ndarray]:
        """Learned arrays and numbers, by name; what is saved and what the fingerprint covers."""
        return {
            name: np.asarray(value)
            for name, value in sorted(vars(self).items())
            if name.endswith("_") and not name.startswith("_") and value is not None
        }

    def set_state(self, state: Mapping[str, np.ndarray]) -> Self:
        """Put back what `state` gave."""
        for name, value in state.items():
            setattr(self, name, value[()])
        return self

    @property
    def fingerprint(self) -> str:
        """Key of everything that decides the output: text, learned state, step versions, weights of the encoders."""
        arrays = [part for name, a in self.state().items() for part in (name, str(a.dtype), str(a.shape), a.tobytes())]
        return digest(str(self), str(self.version), *arrays)


class Composite(Step):
    """What chains and concatenations share: they are made of strands and can be run."""

    @abstractmethod
    def strands(self) -> Iterator[plan.Strand]:
        """Every strand in it, left to right."""

    @abstractmethod
    def weave(self, given: Mapping[str, Floats]) -> np.ndarray:
        """The output array, from the vectors of the strands (by their text)."""

    @abstractmethod
    def learn(self, given: Mapping[str, Floats], lesson: Lesson = UNLABELLED) -> Self:
        """Fit everything after the poolings on the vectors of the strands; steps that are trained need examples."""

    @abstractmethod
    def children(self) -> Sequence[Step]:
        """The steps or parts it is made of."""

    @property
    def fingerprint(self) -> str:
        return digest(super().fingerprint, *(child.fingerprint for child in self.children()))

    def fit(self, X: Items, y: Any = None, bank: Bank | None = None, progress: plan.Progress | None = None) -> Self:
        """Fit every step on the items, one forward pass for each encoder.

        Args:
            X: texts, or tuples of words.
            y: examples for steps that are trained: one class a text, a part of a task whose rows are these texts, or
                `plait.training.Triples`.
            bank: where vectors are kept and found again, and where a training that was killed goes on from.
            progress: called as passes and trainings go on.
        """
        lesson = Lesson(y, progress, bank.folder if bank else None)
        self.fit_pools(X, lesson, bank)
        vectors, reports = plan.run(self.strands(), X, bank, progress)
        chunks.common(vectors, (report.chunked for report in reports.values()))
        return self.learn(vectors, lesson)

    def fit_pools(self, items: Items, lesson: Lesson = UNLABELLED, bank: Bank | None = None) -> None:
        """Fit the poolings: on token frequencies, or, where they are trained, on the states of the tokens."""
        for strand in self.strands():
            if getattr(strand.pool, "learns", False):
                lesson.teach(strand.pool, plan.token_states(strand, items, bank, lesson.progress))
            else:
                strand.pool.fit(strand.encoder.tokenize(items[: lesson.plain]))  # type: ignore[attr-defined]

    def transform(self, X: Items) -> Any:
        return self.encode(X)

    def encode(
        self, items: Items, role: str = "document", bank: Bank | None = None, progress: plan.Progress | None = None
    ) -> Vectors | Codes:
        """Vectors (or codes) of the items: one row each, or one row a word for items given as words.

        Args:
            items: texts, or tuples of words. Equal ones are encoded once.
            role: "query" or "document"; an encoder may put another prompt around each.
            bank: where strands' vectors are kept and found again.
            progress: called with a label, tokens done, tokens in all.

        Raises:
            RecipeError: if the recipe is not fitted, or makes no vectors.
            DataError: if ``items`` is a single text, or holds something else than texts, or tuples of words.
        """
        check_items(items)
        if self.gives not in (Vectors, Codes):
            raise RecipeError(f"{self} gives {self.gives.__name__}; end it with a pooling to encode")
        unique = list(dict.fromkeys(items))
        vectors, reports = plan.run(self.strands(), unique, bank, progress, role)
        chunked = chunks.common(vectors, (report.chunked for report in reports.values()))
        expand = Expansion.of(unique, items, chunked.units if chunked else unit_bounds(unique))
        values = self.weave({text: expand(rows) for text, rows in vectors.items()})
        spans = expand(chunked.spans) if chunked else None
        last = self.quantiser
        if last is not None:
            return Codes(values, last, expand.units, self.fingerprint, spans)
        return Vectors(values, expand.units, self.fingerprint, spans)

    @property
    def quantiser(self) -> Step | None:
        """The step that makes codes, if there is one."""
        return None


class Chain(Composite):
    """Steps one after the other; what ``|`` builds.

    Args:
        steps: the steps, in order.

    Raises:
        RecipeError: if a step does not take what the one before it gives, or is a chain itself.

    Example:
        >>> from plait import MeanPool, StaticTable, Truncate
        >>> Chain([StaticTable("wordllama"), MeanPool(), Truncate(64)])
        StaticTable("wordllama") | MeanPool() | Truncate(64)
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        if any(isinstance(step, Chain) for step in steps):
            raise RecipeError(f"a chain stands inside a chain ({' | '.join(map(str, steps))}): join them with |")
        for before, after in pairwise(steps):
            if before.gives is not after.takes:
                raise RecipeError(
                    f"{after} takes {after.takes.__name__}, but {before} gives {before.gives.__name__}"
                    f"{fitting_hint(before.gives, after.takes)} (in {' | '.join(map(str, steps))})"
                )

    @property
    def takes(self) -> type:  # type: ignore[override]
        return self.steps[0].takes

    @property
    def gives(self) -> type:  # type: ignore[override]
        return self.steps[-1].gives

    def __str__(self) -> str:
        several = [isinstance(step, Concat) and len(step.parts) > 1 for step in self.steps]
        return " | ".join(
            f"({step})" if inside else str(step) for step, inside in zip(self.steps, several, strict=True)
        )

    def children(self) -> Sequence[Step]:
        return self.steps

    @property
    def head(self) -> int:
        """How many steps belong to the strand: all up to the pooling, or the one nested composite."""
        for number, step in enumerate(self.steps):
            if step.gives is not States:
                return number + 1
        raise RecipeError(f"{self} has no pooling: it gives {self.gives.__name__}; add one, e.g. | MeanPool()")

    def strands(self) -> Iterator[plan.Strand]:
        head = self.steps[: self.head]
        if isinstance(head[0], Composite):
            yield from head[0].strands()
            return
        if head[0].takes is not str:
            raise RecipeError(f"{self} starts with {head[0]}; start with an encoder")
        encoder, *middle, pool = head
        changes = tuple(step for step in middle if hasattr(step, "change"))
        mixes = [step for step in middle if hasattr(step, "mixes")]
        if len(mixes) > 1:
            raise RecipeError(f"{self} chooses layers twice ({mixes[0]}, then {mixes[1]}); keep one of them")
        source = " | ".join(map(str, [encoder, *changes]))
        for name, mix in mixes[0].mixes(encoder.depth) if mixes else (("", ((encoder.depth, 1.0),)),):
            text = " | ".join(name if step in mixes else str(step) for step in head)
            yield plan.Strand(text, pool.fingerprint, source, encoder, changes, mix, pool)

    def weave(self, given: Mapping[str, Floats]) -> np.ndarray:
        values = self.begin(given)
        for step in self.steps[self.head :]:
            values = step.transform(values)
        return values

    def learn(self, given: Mapping[str, Floats], lesson: Lesson = UNLABELLED) -> Self:
        if isinstance(self.steps[0], Composite):
            self.steps[0].learn(given, lesson)
        values = self.begin(given)
        for step in self.steps[self.head :]:
            values = lesson.teach(step, values, self.layers).transform(values)
        return self

    def begin(self, given: Mapping[str, Floats]) -> np.ndarray:
        """What the head gives: the strand's vectors, those of several layers side by side."""
        first = self.steps[0]
        if isinstance(first, Composite):
            return first.weave(given)
        values = [given[strand.text] for strand in self.strands()]
        return values[0] if len(values) == 1 else np.hstack(values)

    @property
    def layers(self) -> int:
        """How many layers' vectors the head puts side by side."""
        return 1 if isinstance(self.steps[0], Composite) else sum(1 for _ in self.strands())

    @property
    def quantiser(self) -> Step | None:
        last = self.steps[-1]
        return last if last.gives is Codes else None


class Parallel(Composite):
    """What concatenations and averages share: recipes that read the same texts."""

    takes = str
    gives = Vectors
    noun: ClassVar[str]

    parts: Sequence[Step]
    weights: Sequence[float] | None

    def _check(self) -> None:
        """Refuse parts that give no vectors, and weights that are not theirs."""
        kind = type(self).__name__
        for part in self.parts:
            if part.gives is not Vectors or part.takes is not str:
                raise RecipeError(
                    f"a part of {self.noun} goes from texts to Vectors, but {part} goes from "
                    f"{part.takes.__name__} to {part.gives.__name__}{fitting_hint(part.gives, Vectors)}"
                )
        if self.weights is not None and (len(self.weights) != len(self.parts) or any(not w > 0 for w in self.weights)):
            raise RecipeError(
                f"{kind} has {len(self.parts)} parts and weights {list(self.weights)}: give each part one above 0"
            )

    @property
    def weights_(self) -> list[float]:
        return [1.0] * len(self.parts) if self.weights is None else list(self.weights)

    def children(self) -> Sequence[Step]:
        return self.parts

    def strands(self) -> Iterator[plan.Strand]:
        for part in self._composites():
            yield from part.strands()

    def learn(self, given: Mapping[str, Floats], lesson: Lesson = UNLABELLED) -> Self:
        for part in self._composites():
            part.learn(given, lesson)
        return self

    def _composites(self) -> list[Composite]:
        return [part if isinstance(part, Composite) else Chain([part]) for part in self.parts]


class Concat(Parallel):
    """Parts side by side; what ``+`` builds. Each part is L2-normalised, then weighted.

    With normalised parts the dot product is additive, S = Σ wᵢ² Sᵢ: thousands of subsets and weights can be scored
    without making one concatenation.

    Args:
        parts: recipes that give vectors.
        weights: one factor a part; None weighs all alike.

    Raises:
        RecipeError: if a part does not go from texts to vectors, or the weights are not one number above 0 a part.

    Example:
        >>> from plait import MaxPool, MeanPool, StaticTable
        >>> table = StaticTable("wordllama")
        >>> both = Concat([table | MeanPool(), table | MaxPool()], weights=[2, 1])
        >>> both
        2 * (StaticTable("wordllama") | MeanPool()) + (StaticTable("wordllama") | MaxPool())
        >>> both.encode(["a text"]).values.shape
        (1, 512)
    """

    noun = "a concatenation"

    def __init__(self, parts: Sequence[Step], weights: Sequence[float] | None = None) -> None:
        self.parts = parts
        self.weights = weights
        self._check()

    def __str__(self) -> str:
        nested = any(isinstance(part, Concat) for part in self.parts)  # + would flatten it
        if nested or (len(self.parts) == 1 and self.weights is None):
            return super().__str__()
        written = []
        for part, weight in zip(self.parts, self.weights_, strict=True):
            text = f"({part})" if isinstance(part, Chain) else str(part)
            written.append(text if weight == 1 and len(self.parts) > 1 else f"{written_number(weight)} * {text}")
        return " + ".join(written)

    def weave(self, given: Mapping[str, Floats]) -> np.ndarray:
        blocks = [part.weave(given) for part in self._composites()]
        return np.hstack([np.float32(w) * unit_rows(b) for w, b in zip(self.weights_, blocks, strict=True)])


def unit_rows(values: Floats) -> Floats:
    """Rows at length 1; a row of zeros stays."""
    norms = np.sqrt(np.einsum("ij,ij->i", values, values, dtype=np.float64))[:, None]
    unit: Floats = np.divide(values, norms, out=np.zeros_like(values, np.float32), where=norms > 0, casting="unsafe")
    return unit


def walk(step: Step) -> Iterator[Step]:
    """The step and everything in it, depth first, left to right."""
    yield step
    if isinstance(step, Composite):
        for child in step.children():
            yield from walk(child)


@cache
def _parameters(kind: type) -> tuple[inspect.Parameter, ...]:
    return tuple(inspect.signature(kind).parameters.values())


def _steps(step: Step) -> list[Step]:
    return list(step.steps) if isinstance(step, Chain) else [step]


def _weighted(step: Step) -> Concat:
    return step if isinstance(step, Concat) else Concat([step])
