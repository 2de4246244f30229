"""The search itself, on one fold: halve the grid, search concatenations, compress, choose under the limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from plait.chunks import cuts
from plait.fusion.search import ConcatSearch
from plait.fusion.strategies import STRATEGIES
from plait.roles import Pooling
from plait.selection.ablation import Picks, kept_for_ablation, pick
from plait.selection.costs import Timer, vector_bytes
from plait.selection.scoreboard import Scoreboard
from plait.selection.space import Space, chain, parse_step
from plait.selection.workbench import Bench, Slice
from plait.step import Chain, Composite, Concat, walk
from plait.training.learned import Learned
from plait.types import RecipeError

SHARES = (0.25, 1.0)
"""Successive halving: the whole grid meets a quarter of the dev examples, the best third all of them."""
KEEP = 1 / 3
FINALISTS = 6
"""Candidates that get the task's own head, where that is slower than the search's."""

Say = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Limits:
    """What the winner may cost.

    Args:
        bytes: of one vector; of all vectors of a document, on average, where it has one a chunk.
        milliseconds: of one text.
        deadline: `time.monotonic` after which no new candidate is begun.
    """

    bytes: int | None = None
    milliseconds: float | None = None
    deadline: float | None = None

    def late(self) -> bool:
        return self.deadline is not None and time.monotonic() > self.deadline


@dataclass(frozen=True, eq=False)
class Candidate:
    """A recipe with its dev score and costs.

    Attributes:
        stage: "grid", "concat", "compressed" or "default".
        share: of the dev examples that the score comes from.
        score: with the search's head.
        final: with the task's own head, for finalists.
    """

    recipe: Composite
    stage: str
    share: float
    score: float
    bytes: int
    milliseconds: float
    final: float | None = None

    @property
    def text(self) -> str:
        return str(self.recipe)

    @property
    def is_single(self) -> bool:
        """Whether it is one pooling of one pass, however transformed: nothing was put side by side but layers."""
        return not any(isinstance(step, Concat) for step in walk(self.recipe))


@dataclass
class Selection:
    """What a search found on one fold."""

    candidates: list[Candidate]
    winner: Candidate
    best_single: Candidate
    searches: dict[str, ConcatSearch] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)
    skipped: int = 0
    picks: Picks | None = None


class Search:
    """Finds the best recipe on one fold at a time.

    Args:
        space: what may be combined.
        timer: for milliseconds a text.
        limits: of the winner.
        board: keeps scores.
        strategy: whose concatenation may win; the other strategies run beside it, to be compared.
        episodes: subsets that each strategy may score.
        seed: of every draw.
        say: told the stage, how much is done, and how much there is.
    """

    def __init__(
        self,
        space: Space,
        timer: Timer,
        limits: Limits,
        board: Scoreboard,
        strategy: str = "ace",
        episodes: int = 30,
        seed: int = 0,
        say: Say = lambda stage, done, total: None,
    ) -> None:
        if strategy not in STRATEGIES:
            raise RecipeError(f"strategy is {strategy!r}; expected one of {', '.join(STRATEGIES)}")
        self.space, self.timer, self.limits, self.board = space, timer, limits, board
        self.strategy, self.episodes, self.seed, self.say = strategy, episodes, seed, say

    def run(
        self,
        name: str,
        bench: Callable[[float], Bench | Slice],
        defaults: Sequence[Chain],
        shares: Sequence[float] = SHARES,
        teaches: bool = True,
    ) -> Selection:
        """Search one fold.

        Args:
            name: of the fold, in progress and on the scoreboard.
            bench: makes a bench for a share of the fold's train and dev examples.
            defaults: each model as it comes; scored beside the candidates, and may win.
            shares: of the examples at each rung of the halving.
            teaches: whether the fold has examples to train on that its dev part is not among.
        """
        return _FoldSearch(self, name, cache(bench), shares, teaches).run(defaults)


@dataclass
class _FoldSearch:
    """One fold's search: its benches, its name, and what it had to skip."""

    of: Search
    name: str
    bench: Callable[[float], Bench | Slice]
    shares: Sequence[float]
    teaches: bool = True
    skipped: int = 0

    def run(self, defaults: Sequence[Chain]) -> Selection:
        space = self.of.space
        plain = self._score(defaults, "default", 1.0)
        grid = self._halve([chain(strand, text) for strand in space.strands() for text in space.transforms], defaults)
        grid += self._score(self._trained(grid), "trained", 1.0)
        ranked = sorted([*plain, *(c for c in grid if c.share == 1.0)], key=self._order)
        parts = spread([c for c in ranked if self._fits_time(c)] or ranked, space.parts)
        searches = self._concatenate(parts)
        found = self._concats(parts, searches)
        bases = [*found[:1], *ranked[:2]]
        bases += [c for c in plain if c not in bases]
        compressed = self._score([r for base in bases for r in self._compressions(base.recipe)], "compressed", 1.0)
        winner, single, finals = self._choose([*plain, *ranked, *found[:1], *compressed])
        picks = self._picks([winner, *sorted([*ranked, *found, *compressed], key=self._order)], defaults)
        scored = {c.text: c for c in [*grid, *plain, *found, *compressed]} | {c.text: c for c in finals}
        return Selection(list(scored.values()), winner, single, searches, [c.text for c in parts], self.skipped, picks)

    def _score(self, recipes: Iterable[Composite], stage: str, share: float) -> list[Candidate]:
        out: list[Candidate] = []
        todo = list(recipes)
        for number, recipe in enumerate(todo):
            if self.of.limits.late() and out and stage != "default":  # the report needs every default
                self.skipped += len(todo) - number
                break
            self.of.say(f"{self.name}: {stage}", number, len(todo))
            out.append(self._candidate(recipe, stage, share))
        self.of.say(f"{self.name}: {stage}", len(todo), len(todo))
        return out

    def _candidate(self, recipe: Composite, stage: str, share: float, score: float | None = None) -> Candidate:
        bench, board, key = self.bench(share), self.of.board, f"{self.name}/{share}"
        if score is None:
            score = board.get(f"{key}/quick/{recipe}", lambda: bench.quick(recipe))
        # known by itself: what was trained for the score need not be trained again to see how wide it is
        size = board.get(f"{key}/bytes/{recipe}", lambda: _bytes(bench, recipe))
        return Candidate(recipe, stage, share, score, round(size), self.of.timer.milliseconds(recipe))

    def _trained(self, grid: Sequence[Candidate]) -> list[Chain]:
        """What training combines: layers of each pass with its usual pooling, and with the one that did best there.

        A pooling that is trained reads the last layer's tokens.
        """
        space, out = self.of.space, list[Chain]()
        if not self.teaches:
            return out
        poolings = [text for text in space.trained if isinstance(parse_step(text), Pooling)]
        for source in space.sources():
            if not source.answers:
                out += [source.chain(pooling) for pooling in poolings]
            if source.encoder.depth < 1:
                continue
            heads = {
                str(source.chain(f"Layer({n})", pool)): pool
                for n in space.numbers(source)
                for pool in space.poolings_of(source)
            }
            mine = sorted((c for c in grid if c.text in heads), key=lambda c: (-c.share, *_rank(c)))
            pools = dict.fromkeys([space.usual(source), *(heads[c.text] for c in mine[:1])])
            stack = f"ConcatLayers({space.numbers(source)})"
            known = space.poolings_of(source)
            out += [
                source.chain(stack, pool, text)
                for pool in pools
                if pool in known
                for text in space.trained
                if text not in poolings
            ]
        return out

    def _picks(self, ranked: Sequence[Candidate], defaults: Sequence[Chain]) -> Picks:
        """What is tested to say what each family of options brought."""
        known = {c.text: c for c in ranked}

        def concatenate(recipes: Sequence[Composite]) -> Composite | None:
            parts = spread([known[str(recipe)] for recipe in recipes], self.of.space.parts)
            if len(parts) < 2:
                return None
            best = self._search(parts, "greedy")
            found = self._candidate(best.concat, "concat", 1.0, float(best.scores_.max()))
            known[found.text] = found
            return found.recipe if len(best.concat.parts) > 1 and self._fits(found) else None

        fitting = [c for c in ranked if self._fits(c)]
        self.of.say(f"{self.name}: families of options", 0, 1)
        picks = pick([c.recipe for c in fitting], defaults, concatenate, lambda recipe: known[str(recipe)].score)
        self.of.say(f"{self.name}: families of options", 1, 1)
        return picks

    def _halve(self, recipes: Sequence[Composite], defaults: Sequence[Chain]) -> list[Candidate]:
        """Score all on a small share, the best third on the next; the others keep their first score."""
        left, done = list(recipes), list[Candidate]()
        for rung, share in enumerate(self.shares):
            scored = sorted(self._score(left, "grid", share), key=self._order)
            last = rung == len(self.shares) - 1
            keep = len(scored) if last else max(self.of.space.parts, round(len(scored) * KEEP))
            wanted = set() if last else set(map(str, kept_for_ablation([c.recipe for c in scored], defaults)))
            left = [c.recipe for place, c in enumerate(scored) if place < keep or c.text in wanted]
            done += scored if last else [c for place, c in enumerate(scored) if place >= keep and c.text not in wanted]
        return done

    def _concatenate(self, parts: Sequence[Candidate]) -> dict[str, ConcatSearch]:
        """Every strategy, at equal numbers of evaluations; the weights are refined for each in the same way."""
        if len(parts) < 2:
            return {}
        out: dict[str, ConcatSearch] = {}
        for number, strategy in enumerate(sorted(STRATEGIES, key=lambda name: name != self.of.strategy)):
            if self.of.limits.late() and out:
                self.skipped += len(STRATEGIES) - number
                break
            self.of.say(f"{self.name}: concatenations, {strategy}", number, len(STRATEGIES))
            out[strategy] = self._search(parts, strategy)
        self.of.say(f"{self.name}: concatenations", len(STRATEGIES), len(STRATEGIES))
        return out

    def _search(self, parts: Sequence[Candidate], strategy: str) -> ConcatSearch:
        """One search; subsets and weights that were scored before are not scored again."""
        recipes = [part.recipe for part in parts]
        scorer = cache(lambda: self.bench(1.0).concatenations(recipes))
        name = f"{self.name}/concat/{'+'.join(p.text for p in parts)}"

        def score(weights: np.ndarray) -> float:
            if not self._allowed(parts, weights):
                return 0.0
            return self.of.board.get(f"{name}/{weights.tolist()}", lambda: scorer()(weights).value)

        search = ConcatSearch(recipes, strategy, self.of.episodes, weighted=True, random_state=self.of.seed)
        return search.search(score)

    def _concats(self, parts: Sequence[Candidate], searches: dict[str, ConcatSearch]) -> list[Candidate]:
        """The best concatenation of each strategy, the chosen strategy's first."""
        out = []
        for strategy in sorted(searches, key=lambda name: name != self.of.strategy):
            search = searches[strategy]
            recipe = search.concat if len(search.concat.parts) > 1 else search.concat.parts[0]
            if isinstance(recipe, Composite):
                out.append(self._candidate(recipe, "concat", 1.0, float(search.scores_.max())))
        return out

    def _allowed(self, parts: Sequence[Candidate], weights: np.ndarray) -> bool:
        if self.of.limits.milliseconds is None:
            return True
        chosen = Concat([part.recipe for part, weight in zip(parts, weights, strict=True) if weight > 0])
        return self.of.timer.milliseconds(chosen) <= self.of.limits.milliseconds

    def _compressions(self, recipe: Composite) -> list[Chain]:
        """The recipe at every narrower width, with every quantiser."""
        if recipe.quantiser is not None:
            return []
        full = self.bench(1.0).width(recipe)
        cuts = ["", *(f"Pca({width})" for width in self.of.space.widths if width < full)]
        return [chain(recipe, cut, coder) for cut in cuts for coder in self.of.space.quantisers if cut or coder]

    def _choose(self, candidates: Sequence[Candidate]) -> tuple[Candidate, Candidate, list[Candidate]]:
        """The best that keeps the limits, and the best single strand that does, by the task's own head."""
        fitting = [c for c in {c.text: c for c in candidates}.values() if self._fits(c)]
        if not fitting:
            least = min(candidates, key=lambda c: c.bytes)
            fastest = min(candidates, key=lambda c: c.milliseconds)
            raise RecipeError(
                f"no candidate keeps the limits: the smallest vector has {least.bytes} bytes ({least.text}), "
                f"the fastest takes {fastest.milliseconds:.2f} ms ({fastest.text}); raise --max-bytes or --max-ms"
            )
        fitting.sort(key=_rank)
        singles = [c for c in fitting if c.is_single]
        short = {c.text: c for c in [*fitting[:FINALISTS], *singles[:FINALISTS]]}
        finals = [self._finish(c) for c in short.values()]
        finals.sort(key=lambda c: (-(c.final or 0.0), c.bytes, c.text))
        single = next((c for c in finals if c.is_single), finals[0])
        return finals[0], single, finals

    def _finish(self, candidate: Candidate) -> Candidate:
        key = f"{self.name}/final/{candidate.text}"
        final = self.of.board.get(key, lambda: self.bench(1.0).score(candidate.recipe).value)
        return Candidate(**{**vars(candidate), "final": final})

    def _fits(self, candidate: Candidate) -> bool:
        return self._fits_time(candidate) and (self.of.limits.bytes is None or candidate.bytes <= self.of.limits.bytes)

    def _order(self, candidate: Candidate) -> tuple[bool, float, int, str]:
        """Best first; those that take too long come last, so that halving keeps those that may win."""
        return (not self._fits_time(candidate), *_rank(candidate))

    def _fits_time(self, candidate: Candidate) -> bool:
        return self.of.limits.milliseconds is None or candidate.milliseconds <= self.of.limits.milliseconds


def _bytes(bench: Bench | Slice, recipe: Composite) -> float:
    """What one document takes, in all its vectors."""
    return bench.each(recipe) * vector_bytes(recipe, bench.width(recipe))


def spread(ranked: Sequence[Candidate], size: int) -> list[Candidate]:
    """Parts for the concatenation search: the best of each strand, two at least from every model, then by rank."""
    best: dict[str, Candidate] = {}
    for candidate in ranked:
        leaves = list(candidate.recipe.strands())
        # codes cannot be parts, and chunks of one size do not stand beside those of another
        joins = candidate.recipe.quantiser is None and not any(cuts(leaf.pool) for leaf in leaves)
        if candidate.is_single and joins:
            # the last layer by its number and without it are one strand
            same = [f"{leaf.source}/{leaf.mix}/{leaf.pool}" for leaf in leaves]
            best.setdefault("/".join([*same, *_taught(candidate)]), candidate)
    by_model: dict[str, list[Candidate]] = {}
    for candidate in best.values():
        by_model.setdefault(next(candidate.recipe.strands()).source, []).append(candidate)
    chosen = [candidate for mine in by_model.values() for candidate in mine[:2]]
    chosen += [candidate for candidate in best.values() if candidate not in chosen]
    return chosen[:size]


def _taught(candidate: Candidate) -> list[str]:
    return [str(step) for step in walk(candidate.recipe) if isinstance(step, Learned)]


def _rank(candidate: Candidate) -> tuple[float, int, str]:
    # never by time: two runs on the same data must break ties alike
    return (-candidate.score, candidate.bytes, candidate.text)
