"""`find`: the best recipe for somebody's own data, chosen on dev, measured once on test."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from plait import plan
from plait.bank import Bank, digest, write_atomic
from plait.data import read, split
from plait.data.splits import Fold, Protocol
from plait.data.tasks import Judgements, Kind, Task, join
from plait.evaluation.evaluators import Evaluator, evaluator
from plait.evaluation.retrieval import Retrieval
from plait.evaluation.scores import Score
from plait.evaluation.statistics import compare, interval, pool
from plait.recipe import save
from plait.selection.ablation import Effect
from plait.selection.beside import Fold as Looked
from plait.selection.costs import Timer, machine, peak_memory, versions, weight_bytes
from plait.selection.result import Figure, FindResult
from plait.selection.scoreboard import Scoreboard
from plait.selection.search import SHARES, Candidate, Limits, Say, Search, Selection
from plait.selection.searching import Searching, Trial, searching
from plait.selection.space import Space, default_recipe, installed
from plait.selection.workbench import Bench, Slice, Vault, named_rows
from plait.step import Chain
from plait.types import DataError, Items, RecipeError

LEAST = 8
"""Examples below which no combination of layers is trained: some are set aside to stop by."""


@dataclass(frozen=True)
class Listener:
    """Who is told how a run goes on; every field may be left out.

    Attributes:
        tokens: told a model, tokens done and tokens in all, during a forward pass.
        stage: told a stage of the search, how much is done, and how much there is.
        note: told what a user should know, in a sentence.
    """

    tokens: plan.Progress | None = None
    stage: Say = lambda stage, done, total: None
    note: Callable[[str], None] = lambda text: None


# one thread for small dense algebra: spinning BLAS threads cost more than they bring as soon as a core is shared
@threadpool_limits.wrap(limits=1, user_api="blas")  # type: ignore[untyped-decorator]
def find(  # noqa: PLR0913 - the command line has these options
    data: str | Path | Task,
    task: Kind | None = None,
    models: Sequence[str] | None = None,
    space: str | Path | Space | None = None,
    strategy: str = "ace",
    max_bytes: int | None = None,
    max_ms: float | None = None,
    time_budget: float | None = None,
    seed: int = 0,
    out: str | Path = "runs/find",
    resume: bool = False,
    columns: dict[str, str] | None = None,
    listener: Listener | None = None,
) -> FindResult:
    """Find the best embedding for some data.

    Candidates share one forward pass a model. Selection sees the train and dev parts only; the test part is touched
    once, for the winner, the best single strand and each model's plain default. Data without a split is handled by
    nested cross-validation: the test figure is that of the whole procedure, the recipe the one found on all the data.

    Args:
        data: a file, a folder, "demo:NAME", a Hugging Face data set id, or a task that is already read.
        task: its kind, when the columns do not tell.
        models: names of weights, or encoder steps; None takes those that are installed.
        space: a `Space`, or a TOML file with its fields.
        strategy: whose concatenation may win: "ace", "greedy", "random" or "all". All four are run and reported.
        max_bytes: what one stored vector may take.
        max_ms: milliseconds that one text may take on this machine.
        time_budget: minutes after which no new candidate is begun.
        seed: of splits, samples and searches.
        out: folder for the report, the recipe, the fitted model and the bank.
        resume: go on with an earlier run in ``out`` that had the same settings.
        columns: which columns hold what, e.g. ``{"label": "fine"}``.
        listener: told how the run goes on.

    Raises:
        DataError: if the data cannot be used.
        RecipeError: if no candidate keeps the limits, or a setting is wrong.

    Example:
        >>> result = find("demo:stsb", models=["wordllama"], out="runs/example")  # doctest: +SKIP
        >>> print(result.best.recipe)  # doctest: +SKIP
    """
    started, listener = time.monotonic(), listener or Listener()
    asked = data if isinstance(data, Task) else read(data, task=task, columns=columns, seed=seed)
    within = _space(space, models, asked).for_task(asked.kind)
    settings = {"data": _data_key(asked), "space": str(within), "strategy": strategy, "seed": seed}
    folder = _folder(Path(out), resume, settings)
    search = Search(
        within,
        Timer(asked.documents),
        Limits(max_bytes, max_ms, started + 60 * time_budget if time_budget else None),
        Scoreboard(folder / "scores.jsonl"),
        strategy=strategy,
        seed=seed,
        say=listener.stage,
    )
    defaults = {str(step): default_recipe(step) for step in within.encoders()}
    protocol = split(asked, seed)
    strands = [*within.strands(), *defaults.values()]
    vault = Vault.fill(asked, strands, Bank(folder / "bank"), listener.tokens, _taught(protocol))
    for text in [*asked.notes, *_truncated(vault)]:
        listener.note(text)
    run = _Run(
        defaults=defaults,
        vault=vault,
        evaluator=evaluator(asked),
        search=search,
        protocol=protocol,
        seed=seed,
    )
    folds = run.protocol.folds
    selections = [run.select(fold, f"fold {number} of {len(folds)}") for number, fold in enumerate(folds, start=1)]
    tested = run.test(selections)
    final = run.select(run.whole, "all data") if run.protocol.nested else selections[0]
    second = run.searching(selections, final, tested, listener.note)
    result = run.result(final, tested, second, time.monotonic() - started)
    save(run.bench(run.whole, "test").fitted(final.winner.recipe), folder / "model", result.card())
    if second is not None:
        second.settings.write(folder / "model")
    result.write(folder)
    return result


@dataclass
class _Run:
    """What the steps of one run share."""

    defaults: Mapping[str, Chain]
    vault: Vault
    evaluator: Evaluator
    search: Search
    protocol: Protocol
    seed: int
    _shared: Bench | None = None
    _last: tuple[tuple[int, str, float], Bench] | None = None

    def __post_init__(self) -> None:
        self.whole = _whole(self.protocol)

    def bench(self, fold: Fold, on: str, share: float = 1.0) -> Bench | Slice:
        """The bench of a fold. Nested retrieval, which learns from the corpus alone, has one bench for all folds."""
        part = fold.dev if on == "dev" else fold.test
        whole = self.whole.dev
        if not (self.protocol.nested and isinstance(part, Judgements) and isinstance(whole, Judgements)):
            key = id(fold), on, share
            if self._last is None or self._last[0] != key:  # what it fitted is asked for again
                self._last = key, Bench(self.vault, fold, on, self.evaluator, share, self.seed)
            return self._last[1]
        if self._shared is None:
            self._shared = Bench(self.vault, self.whole, "dev", self.evaluator)
        place = {query: number for number, query in enumerate(whole.queries.tolist())}
        return Slice(self._shared, np.array([place[query] for query in part.queries.tolist()]))

    def select(self, fold: Fold, name: str) -> Selection:
        """Search on a fold's train and dev parts."""
        shares = (1.0,) if isinstance(fold.dev, Judgements) else SHARES  # there the corpus is the cost, not the queries
        # what is trained on the examples that choose it wins by heart
        apart = fold.train is not fold.dev and not (self.protocol.nested and isinstance(fold.dev, Judgements))
        teaches = apart and len(fold.train) >= LEAST
        return self.search.run(
            name, lambda share: self.bench(fold, "dev", share), list(self.defaults.values()), shares, teaches
        )

    def test(self, selections: Sequence[Selection]) -> dict[str, Score]:
        """Test scores of the winner, the best single strand and the defaults, pooled over folds; each recipe once."""
        scores: dict[str, list[Score]] = {}
        for fold, selection in zip(self.protocol.folds, selections, strict=True):
            bench = self.bench(fold, "test")
            named = {"best": selection.winner.recipe, "best_single": selection.best_single.recipe, **self.defaults}
            named |= selection.picks.named() if selection.picks else {}
            known: dict[str, Score] = {}
            for name, recipe in named.items():
                text = str(recipe)
                if text not in known:
                    known[text] = bench.score(recipe)
                scores.setdefault(name, []).append(known[text])
        folds = len(self.protocol.folds)
        return {name: pool(mine) for name, mine in scores.items() if len(mine) == folds}

    def searching(
        self,
        selections: Sequence[Selection],
        final: Selection,
        tested: Mapping[str, Score],
        note: Callable[[str], None],
    ) -> Searching | None:
        """How an index of the winner is best searched; None for what is not retrieval."""
        if not isinstance(self.evaluator, Retrieval) or final.picks is None or "plain" not in tested:
            return None

        def looked(fold: Fold, chosen: Selection) -> Looked:
            assert chosen.picks is not None
            recipes = chosen.winner.recipe, chosen.picks.plain
            return Looked(self.bench(fold, "dev"), self.bench(fold, "test"), recipes)

        folds = [looked(*pair) for pair in zip(self.protocol.folds, selections, strict=True)]
        whole = looked(self.whole, final) if self.protocol.nested else folds[0]
        of, limits = self.vault.task, self.search.limits
        return searching(Trial(of, self.evaluator, folds, whole, tested, limits, self.seed), note, self.search.say)

    def result(
        self, final: Selection, tested: Mapping[str, Score], second: Searching | None, seconds: float
    ) -> FindResult:
        """Put the figures together."""
        by_text = {candidate.text: candidate for candidate in final.candidates}

        def figure(name: str, candidate: Candidate) -> Figure:
            return Figure(
                recipe=candidate.text,
                dev=candidate.score if candidate.final is None else candidate.final,
                test=tested[name].value,
                interval=interval(tested[name], seed=self.seed),
                against=None if name == "best" else compare(tested["best"], tested[name], seed=self.seed),
                bytes=candidate.bytes,
                milliseconds=candidate.milliseconds,
                weight_bytes=weight_bytes(candidate.recipe),
            )

        return FindResult(
            task=self.vault.task,
            protocol=self.protocol,
            metric=self.evaluator.metric,
            strategy=self.search.strategy,
            seed=self.seed,
            seconds=seconds,
            selection=final,
            best=figure("best", final.winner),
            best_single=figure("best_single", final.best_single),
            defaults={name: figure(name, by_text[str(recipe)]) for name, recipe in self.defaults.items()},
            effects=[*self._effects(final, tested), *(second.effects if second else ())],
            search=second.settings if second else None,
            passes=self.vault.passes,
            memory=peak_memory(),
            machine=machine(),
            versions=versions(),
        )

    def _effects(self, final: Selection, tested: Mapping[str, Score]) -> list[Effect]:
        """What each family brought, on test."""
        out = []
        for family, pair in final.picks.pairs.items() if final.picks else ():
            alone, without = tested.get(f"alone {family}"), tested.get(f"without {family}")
            if without is None:  # in no-split data a family may be missing from a fold
                continue
            out.append(
                Effect(
                    family=family,
                    alone=None if alone is None else alone.value,
                    gain=None if alone is None else compare(alone, tested["plain"], seed=self.seed),
                    without=without.value,
                    loss=compare(tested["best"], without, seed=self.seed),
                    recipes=("" if pair.alone is None else str(pair.alone), str(pair.without)),
                )
            )
        return out


def _space(given: str | Path | Space | None, models: Sequence[str] | None, task: Task) -> Space:
    if isinstance(given, Space):
        return given
    names = tuple(models) if models else installed()
    if given is not None:
        return Space.read(given, names)
    if not names:
        raise RecipeError("no model is named and none is installed: name some, or run pip install 'plait[demo]'")
    return Space(names).for_words() if task.kind == "tagging" else Space(names)


def _taught(protocol: Protocol) -> Items:
    """Documents that token frequencies are learned from: the corpus, or the texts of train and dev.

    Without a split every text is in the train part of some fold, and the one pass serves all folds: then it is all.
    """
    task, fold = protocol.task, protocol.folds[0]
    if protocol.nested or isinstance(fold.train, Judgements):
        return task.documents
    rows = np.unique(np.concatenate([named_rows(fold.train), named_rows(fold.dev)]))
    return [task.documents[row] for row in rows.tolist()]


def _truncated(vault: Vault) -> list[str]:
    return [
        f"{report.source}: {report.cut_items:,} of {report.items:,} texts were cut, {report.cut_tokens:,} tokens lost"
        for report in vault.passes.values()
        if report.cut_items
    ]


def _whole(protocol: Protocol) -> Fold:
    """What the final recipe is chosen and fitted on: the fold that was given, or all examples of a nested protocol."""
    fold = protocol.folds[0]
    if not protocol.nested:
        return fold
    train = join(fold.train, fold.test)
    return Fold(train, train if fold.train is fold.dev else fold.dev, fold.test)


def _data_key(task: Task) -> str:
    flat = ("\x1f".join(item) if not isinstance(item, str) else item for item in [*task.documents, *task.queries])
    examples = (
        repr(values) if isinstance(values, tuple) else np.asarray(values).tobytes()
        for name in sorted(task.parts)
        for values in (name, *vars(task.parts[name]).values())
    )
    return digest(task.kind, *flat, *examples)


def _folder(out: Path, resume: bool, settings: Mapping[str, object]) -> Path:
    """The run's folder; refuses to resume a run that had other settings."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        path = out / "settings.json"
        before = json.loads(path.read_text()) if resume and path.exists() else None
        if before is None:
            (out / "scores.jsonl").unlink(missing_ok=True)
            (out / "run.json").unlink(missing_ok=True)
            write_atomic(path, json.dumps(settings, indent=1).encode())
    except OSError as error:
        raise DataError(f"cannot write to {out}: {error.strerror}; choose another folder with --out") from error
    changed = [
        f"{key} was {before[key]!r}, is {settings[key]!r}"
        for key in settings
        if before and before[key] != settings[key]
    ]
    if changed:
        raise RecipeError(f"cannot resume {out}: {'; '.join(changed)}; drop --resume, or restore the settings")
    return out
