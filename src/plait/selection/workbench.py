"""Scoring a candidate: banked strand vectors in, a dev score out, no forward pass."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.base import clone

from plait import plan
from plait.bank import Bank
from plait.chunks import common, refuse_chunks
from plait.data.splits import Fold
from plait.data.tasks import Judgements, Labels, Pairs, Part, Tags, Task, join, renumber, select
from plait.evaluation.embedded import Embedded
from plait.evaluation.evaluators import Evaluator, documents
from plait.evaluation.scores import Score
from plait.fusion.strategies import Weights
from plait.items import unit_bounds
from plait.lesson import Lesson
from plait.roles import Pooling, Quantiser
from plait.step import Chain, Composite, Concat, Step, walk
from plait.training.examples import over_rows
from plait.types import Codes, Floats, Ints, Items, RecipeError, ranges

FIT_ROWS = 20_000
"""Rows that transforms learn from at most: a mean and a covariance need no more."""
KEPT_BYTES = 1 << 30
"""Vectors that a bench keeps at hand for recipes that begin alike."""


@dataclass(frozen=True, eq=False)
class Vault:
    """Vectors of every strand for every document and query of a task, its fitted pooling, and what the passes did."""

    task: Task
    documents: dict[str, Floats]
    queries: dict[str, Floats]
    units: Ints | None
    passes: dict[str, plan.PassReport]
    poolings: dict[str, Pooling]
    bank: Bank | None = None

    def chunk_units(self, recipe: Composite) -> Ints | None:
        """``[N + 1]`` which rows are whose chunks; None for a recipe that cuts no documents."""
        chunked = common((leaf.text for leaf in recipe.strands()), (report.chunked for report in self.passes.values()))
        return chunked.units if chunked else None

    @classmethod
    def fill(
        cls,
        task: Task,
        strands: Sequence[Chain],
        bank: Bank | None,
        progress: plan.Progress | None,
        learn: Items | None = None,
    ) -> Vault:
        """Run the passes; poolings that learn token frequencies learn them from ``learn``, or from all documents."""
        leaves = [leaf for chain in strands for leaf in chain.strands()]
        learn = task.documents if learn is None else learn
        if task.kind != "retrieval":
            refuse_chunks(leaves, f"a {task.kind} task")
        tokens = {leaf.source: leaf.encoder.tokenize(learn) for leaf in {s.source: s for s in leaves}.values()}
        for leaf in leaves:
            if getattr(leaf.pool, "learns", False):
                raise RecipeError(f"{leaf.pool} is trained, fold by fold: name it in `trained` of the space")
            leaf.pool.fit(tokens[leaf.source])  # type: ignore[attr-defined]
        leaves = [leaf for chain in strands for leaf in chain.strands()]  # their keys hold what was learned
        documents, passes = plan.run(leaves, task.documents, bank, progress)
        queries: dict[str, Floats] = {}
        if len(task.queries):
            queries, more = plan.run(leaves, task.queries, bank, progress, role="query")
            passes = {source: _sum(passes[source], more[source]) for source in passes}
        poolings = {leaf.text: leaf.pool for leaf in leaves}
        return cls(task, documents, queries, unit_bounds(task.documents), passes, poolings, bank)  # type: ignore[arg-type]


class Bench:
    """One fold of a task, cut down to the rows it needs, on which candidates are scored.

    Args:
        vault: the vectors.
        fold: train, dev and test parts.
        on: "dev" or "test"; heads learn from train, or from train and dev when ``on`` is "test".
        evaluator: of the task.
        share: of the train and dev examples to use; below 1 a seeded sample.
        seed: of the sample.
    """

    def __init__(
        self, vault: Vault, fold: Fold, on: str, evaluator: Evaluator, share: float = 1.0, seed: int = 0
    ) -> None:
        self.vault, self.evaluator = vault, evaluator
        rng = np.random.default_rng(seed)
        parts = [fold.train, fold.dev] if on == "dev" else [join(fold.train, fold.dev), fold.test]
        parts = [_sample(part, share, rng) for part in parts]
        rows, (self.fit, self.on) = _compact(vault.task, parts)
        self.items = [vault.task.documents[row] for row in rows.tolist()]
        self.unit_rows = rows if vault.units is None else ranges(vault.units[rows], vault.units[rows + 1])
        self.units = None if vault.units is None else np.concatenate([[0], np.cumsum(np.diff(vault.units)[rows])])
        learn = np.arange(len(rows)) if isinstance(self.fit, Judgements) else np.unique(named_rows(self.fit))
        self._taught = learn
        learn_units = learn if self.units is None else ranges(self.units[learn], self.units[learn + 1])
        if len(learn_units) > FIT_ROWS:
            learn_units = np.sort(rng.choice(learn_units, FIT_ROWS, replace=False))
        self._learn = learn_units
        self._steps: dict[str, Step] = {}
        self._widths: dict[str, int] = {}
        self._each: dict[str, float] = {}
        self._scores: dict[str, Score] = {}
        self._kept: OrderedDict[str, Embedded] = OrderedDict()

    def fitted(self, recipe: Composite) -> Composite:
        """A copy of the recipe with the very steps that were fitted to score it."""
        self.embed(recipe)
        copy: Composite = clone(recipe)
        for leaf in copy.strands():
            learned = self._steps.get(leaf.text) or self.vault.poolings[leaf.text]
            leaf.pool.set_state(learned.state())  # type: ignore[attr-defined]
        for old, new in zip(walk(recipe), walk(copy), strict=True):
            if isinstance(old, Chain) and isinstance(new, Chain):
                for number in range(old.head, len(old.steps)):
                    new.steps[number].set_state(self._steps[str(Chain(old.steps[: number + 1]))].state())
        return copy

    def embed(self, recipe: Composite) -> Embedded:
        """Vectors of the bench's rows. A compressed recipe gives what its codes decode to; queries stay floats."""
        return documents(*self.coded(recipe))

    def coded(self, recipe: Composite) -> tuple[Embedded, Codes | None]:
        """Vectors of the bench's rows before compression, and the codes of a recipe that compresses."""
        last = recipe.quantiser
        woven = self._woven(recipe if last is None else Chain(recipe.children()[:-1]))
        self._widths[str(recipe)] = woven.documents.shape[1]
        count = len(woven.documents) if woven.units is None or woven.units is self.units else len(woven.units) - 1
        self._each[str(recipe)] = len(woven.documents) / max(1, count)
        if not isinstance(last, Quantiser):
            return woven, None
        if str(recipe) not in self._steps:
            self._steps[str(recipe)] = clone(last).fit(woven.documents[self._learned(woven)])
        quantiser = self._steps[str(recipe)]
        return woven, Codes(quantiser.transform(woven.documents), quantiser, woven.units)

    def _woven(self, recipe: Composite) -> Embedded:
        """What the fitted recipe gives for the bench's rows; beginnings that recipes share are computed once."""
        text = str(recipe)
        if text not in self._kept:
            self._keep(text, self._weave(recipe))
        self._kept.move_to_end(text)
        return self._kept[text]

    def _weave(self, recipe: Composite) -> Embedded:
        if isinstance(recipe, Chain) and len(recipe.steps) > recipe.head:
            before, text = self._woven(Chain(recipe.steps[:-1])), str(recipe)
            if text not in self._steps:  # vectors are forgotten when memory is short; to train twice would cost minutes
                self._steps[text] = self._teach(clone(recipe.steps[-1]), before, recipe.layers)
            step = self._steps[text]
            queries = None if before.queries is None else step.transform(before.queries)
            return Embedded(step.transform(before.documents), queries, before.units)
        if getattr(recipe.children()[-1], "learns", False):
            return self._pooled(recipe)
        if isinstance(recipe, Chain) and not isinstance(recipe.steps[0], Composite):
            documents = {leaf.text: self.vault.documents[leaf.text] for leaf in recipe.strands()}
            queries = recipe.begin(self.vault.queries) if self.vault.queries else None
            chunks = self.vault.chunk_units(recipe)
            if chunks is not None:
                return Embedded(recipe.begin(documents), queries, chunks)
            return Embedded(_gather(recipe.begin(documents), self.unit_rows), queries, self.units)
        whole = recipe.steps[0] if isinstance(recipe, Chain) else recipe
        if not isinstance(whole, Concat):
            raise RecipeError(f"{whole} cannot be scored before it stands for one concatenation")
        parts = [part if isinstance(part, Composite) else Chain([part]) for part in whole.parts]
        return Embedded.concat([self._woven(part) for part in parts], whole.weights_)

    def _pooled(self, recipe: Composite) -> Embedded:
        """What a pooling that is trained makes of the tokens, which are read again: the passes kept none."""
        text, queries, bank = str(recipe), self.vault.task.queries, self.vault.bank
        recipe = clone(recipe)
        if text in self._steps:
            recipe.children()[-1].set_state(self._steps[text].state())
        else:
            taught = [self.items[row] for row in self._taught.tolist()]
            examples = over_rows(renumber(self.fit, self._taught), len(taught), unit_bounds(taught))
            asked = queries if isinstance(self.fit, Judgements) else ()
            recipe.fit_pools([*taught, *asked], self._lesson(examples), bank)
            self._steps[text] = recipe.children()[-1]
        documents = recipe.weave(plan.run(recipe.strands(), self.items, bank)[0])
        found = recipe.weave(plan.run(recipe.strands(), queries, bank, role="query")[0]) if len(queries) else None
        return Embedded(documents, found, self.units)

    def _teach(self, step: Step, before: Embedded, layers: int) -> Step:
        """The step, fitted on train rows; one that is trained gets the train examples too."""
        if not getattr(step, "learns", False):
            fitted: Step = step.fit(before.documents[self._learned(before)])
            return fitted
        if before.units is not self.units:
            raise RecipeError(f"{step} learns from examples of whole documents, but stands behind their chunks")
        rows = before.documents if before.queries is None else np.vstack([before.documents, before.queries])
        examples = over_rows(self.fit, len(before.documents), self.units)
        return self._lesson(examples).teach(step, rows, layers)  # type: ignore[no-any-return]

    def _lesson(self, examples: object) -> Lesson:
        """What is trained is kept in the bank: a run that goes on trains nothing twice."""
        return Lesson(examples, folder=self.vault.bank.folder if self.vault.bank else None)

    def _learned(self, embedded: Embedded) -> Ints:
        """Rows that transforms learn from; of chunks, which only retrieval has, a sample of those of all documents."""
        if embedded.units is self.units:
            return self._learn
        count = len(embedded.documents)
        return np.sort(np.random.default_rng(0).permutation(count)[:FIT_ROWS])

    def _keep(self, text: str, woven: Embedded) -> None:
        self._kept[text] = woven
        while len(self._kept) > 1 and sum(kept.documents.nbytes for kept in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)

    def score(self, recipe: Composite) -> Score:
        """The candidate's score with the task's own head, and what a bootstrap needs."""
        text = str(recipe)
        if text not in self._scores:
            vectors, codes = self.coded(recipe)
            self._scores[text] = self.evaluator.evaluate(vectors, self.fit, self.on, codes)
        return self._scores[text]

    def quick(self, recipe: Composite) -> float:
        """The candidate's score with the head of `concatenations`: closed-form where the task's own head is not."""
        if isinstance(self.on, Judgements | Pairs):
            return self.score(recipe).value
        return self.concatenations([recipe])(np.ones(1)).value

    def concatenations(self, parts: Sequence[Composite]) -> Callable[[Weights], Score]:
        """A function that scores weighted concatenations of parts, without making one."""
        return self.evaluator.additive([self.embed(part) for part in parts], self.fit, self.on)

    def width(self, recipe: Composite) -> int:
        """Numbers in one vector before compression."""
        if str(recipe) not in self._widths:
            self.embed(recipe)
        return self._widths[str(recipe)]

    def each(self, recipe: Composite) -> float:
        """Vectors of one document (or word), on average: more than one where documents are cut into chunks."""
        if str(recipe) not in self._each:
            self.embed(recipe)
        return self._each[str(recipe)]


class Slice:
    """Some examples of a bench, for tasks that learn nothing: folds share every score instead of computing their own.

    Args:
        bench: over all the examples.
        positions: the examples that this slice looks at.
    """

    def __init__(self, bench: Bench, positions: Ints) -> None:
        self.bench, self.positions = bench, positions
        self.width, self.each, self.fitted = bench.width, bench.each, bench.fitted

    def score(self, recipe: Composite) -> Score:
        """As in `Bench`."""
        return self._part(self.bench.score(recipe))

    def quick(self, recipe: Composite) -> float:
        """As in `Bench`."""
        return self.score(recipe).value

    def concatenations(self, parts: Sequence[Composite]) -> Callable[[Weights], Score]:
        """As in `Bench`."""
        score = self.bench.concatenations(parts)
        return lambda weights: self._part(score(weights))

    def _part(self, score: Score) -> Score:
        return Score.of(score.metric, score.kind, *(array[self.positions] for array in score.examples))


def _sum(a: plan.PassReport, b: plan.PassReport) -> plan.PassReport:
    numbers = {name: getattr(a, name) + getattr(b, name) for name in vars(a) if name not in ("source", "chunked")}
    return replace(a, **numbers)


def _gather(vectors: Floats, rows: Ints) -> Floats:
    return vectors if len(rows) == len(vectors) and (rows == np.arange(len(rows))).all() else vectors[rows]


def named_rows(part: Part) -> Ints:
    """Documents that a part names, with repeats; none for retrieval, whose corpus belongs to no part."""
    if isinstance(part, Pairs):
        return np.concatenate([part.left, part.right])
    if isinstance(part, Labels | Tags):
        return part.rows
    return np.zeros(0, np.int64)


def _compact(task: Task, parts: Sequence[Part]) -> tuple[Ints, list[Part]]:
    """The documents that the parts need, and the parts renumbered to them. Retrieval needs all."""
    if isinstance(parts[0], Judgements):
        return np.arange(len(task.documents)), list(parts)
    rows = np.unique(np.concatenate([named_rows(part) for part in parts]))
    return rows, [renumber(part, rows) for part in parts]


def _sample(part: Part, share: float, rng: np.random.Generator, least: int = 200) -> Part:
    size = max(least, round(share * len(part)))
    return part if size >= len(part) else select(part, np.sort(rng.choice(len(part), size, replace=False)))
