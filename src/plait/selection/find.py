"""`find`: the best recipe for somebody's own data, chosen on dev, measured once on test."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from threadpoolctl import threadpool_limits

from plait import plan
from plait.bank import Bank, digest, write_atomic
from plait.data import read, split
from plait.data.splits import Fold, Protocol
from plait.data.tasks import Task
from plait.evaluation import evaluator
from plait.evaluation.evaluators import Evaluator
from plait.evaluation.scores import Score
from plait.evaluation.statistics import compare, interval, pool
from plait.recipe import save
from plait.selection.costs import Timer, machine, peak_memory, versions, vector_bytes, weight_bytes
from plait.selection.result import Figure, FindResult
from plait.selection.search import Candidate, Limits, Say, Scoreboard, Search, Selection
from plait.selection.space import Space, default_recipe, installed
from plait.selection.workbench import Bench, Vault, join
from plait.step import Chain, Composite
from plait.types import DataError, RecipeError


@dataclass(frozen=True)
class Listener:
    """Who is told how a run goes on; every field may be left out."""

    tokens: plan.Progress | None = None
    stage: Say = lambda stage, done, total: None
    note: Callable[[str], None] = lambda text: None


def find(
    data: str | Path | Task,
    task: str | None = None,
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
    # one thread for small dense algebra: spinning BLAS threads cost more than they bring as soon as a core is shared
    with threadpool_limits(1, user_api="blas"):
        return _find(data, task, models, space, strategy, Limits(max_bytes, max_ms), time_budget, seed, Path(out), resume, columns, listener or Listener())


def _find(
    data: str | Path | Task,
    task: str | None,
    models: Sequence[str] | None,
    space: str | Path | Space | None,
    strategy: str,
    limits: Limits,
    time_budget: float | None,
    seed: int,
    out: Path,
    resume: bool,
    columns: dict[str, str] | None,
    listener: Listener,
) -> FindResult:
    started = time.monotonic()
    if time_budget:
        limits = replace(limits, deadline=started + 60 * time_budget)
    task_ = data if isinstance(data, Task) else read(data, task=task, columns=columns, seed=seed)
    space_ = _space(space, models, task_)
    folder = _folder(out, resume, {"data": _data_key(task_), "space": str(space_), "strategy": strategy, "seed": seed})
    protocol = split(task_, seed)
    defaults = {str(step): default_recipe(step) for step in space_.encoders()}
    vault = Vault.fill(task_, [*space_.strands(), *defaults.values()], Bank(folder / "bank"), listener.tokens)
    for report in vault.passes.values():
        if report.cut_items:
            listener.note(f"{report.source}: {report.cut_items} of {report.items} texts were cut, {report.cut_tokens} tokens lost")
    run = _Run(space_, vault, evaluator(task_), Timer(task_.documents), limits, Scoreboard(folder / "scores.jsonl"), strategy, seed, listener)
    selections = [run.search(fold, f"fold {number}", list(defaults.values())) for number, fold in enumerate(protocol.folds)]
    tested = run.test(protocol, selections, defaults)
    whole = _whole(protocol)
    final = selections[0] if not protocol.nested else run.search(whole, "all", list(defaults.values()))
    result = run.result(final, tested, protocol, defaults, time.monotonic() - started)
    save(run.bench(whole, "test").fitted(final.winner.recipe), folder / "model", result.card())
    result.write(folder)
    return result


@dataclass
class _Run:
    """What the steps of one run share."""

    space: Space
    vault: Vault
    evaluator: Evaluator
    timer: Timer
    limits: Limits
    board: Scoreboard
    strategy: str
    seed: int
    listener: Listener
    _tests: dict[tuple[int, str], Score] = field(default_factory=dict)

    def bench(self, fold: Fold, on: str, share: float = 1.0) -> Bench:
        return Bench(self.vault, fold, on, self.evaluator, share, self.seed)

    def search(self, fold: Fold, name: str, defaults: Sequence[Chain]) -> Selection:
        """Select on a fold's train and dev parts."""
        search = Search(
            self.space,
            lambda share: self.bench(fold, "dev", share),
            self.timer,
            self.limits,
            self.board,
            name,
            strategy=self.strategy,
            seed=self.seed,
            say=lambda stage, done, total: self.listener.stage(f"{name}: {stage}", done, total),
        )
        return search.run(defaults)

    def test(self, protocol: Protocol, selections: Sequence[Selection], defaults: dict[str, Chain]) -> dict[str, Score]:
        """Test scores of the winner, the best single strand and the defaults, pooled over folds; each recipe once."""
        scores: dict[str, list[Score]] = {}
        for number, (fold, selection) in enumerate(zip(protocol.folds, selections, strict=True)):
            bench = self.bench(fold, "test")
            named = {"best": selection.winner.recipe, "best_single": selection.best_single.recipe, **defaults}
            for done, (name, recipe) in enumerate(named.items()):
                self.listener.stage("test", number * len(named) + done, len(named) * len(selections))
                scores.setdefault(name, []).append(bench.score(recipe))
        return {name: pool(mine) for name, mine in scores.items()}

    def result(
        self, final: Selection, tested: dict[str, Score], protocol: Protocol, defaults: dict[str, Chain], seconds: float
    ) -> FindResult:
        task, best = self.vault.task, tested["best"]
        by_text = {c.text: c for c in final.candidates}

        def figure(name: str, candidate: Candidate) -> Figure:
            score = tested[name]
            against = None if name == "best" else compare(best, score, seed=self.seed)
            return Figure(
                recipe=candidate.text,
                dev=candidate.score if candidate.final is None else candidate.final,
                test=score.value,
                interval=interval(score, seed=self.seed),
                against=against,
                bytes=candidate.bytes,
                milliseconds=candidate.milliseconds,
                weight_bytes=weight_bytes(candidate.recipe),
            )

        return FindResult(
            task=task,
            protocol=protocol,
            metric=best.metric,
            strategy=self.strategy,
            seed=self.seed,
            seconds=seconds,
            selection=final,
            best=figure("best", final.winner),
            best_single=figure("best_single", final.best_single),
            defaults={name: figure(name, by_text[str(recipe)]) for name, recipe in defaults.items()},
            passes=self.vault.passes,
            memory=peak_memory(),
            machine=machine(),
            versions=versions(),
        )


def _space(given: str | Path | Space | None, models: Sequence[str] | None, task: Task) -> Space:
    names = tuple(models) if models else installed()
    if not names and not isinstance(given, Space):
        raise RecipeError("no model is named and none is installed; name some with --models, or: pip install 'plait[demo]'")
    space = given if isinstance(given, Space) else Space.read(given, names) if given else Space(names)
    plain = given is None
    return space.for_words() if plain and task.kind == "tagging" else space


def _whole(protocol: Protocol) -> Fold:
    """What the final recipe is chosen and fitted on: the fold that was given, or all examples of a nested protocol."""
    fold = protocol.folds[0]
    if not protocol.nested:
        return fold
    train = join(fold.train, fold.test)
    return Fold(train, train if fold.train is fold.dev else fold.dev, fold.test)


def _data_key(task: Task) -> str:
    flat = ("\x1f".join(item) if not isinstance(item, str) else item for item in [*task.documents, *task.queries])
    return digest(task.kind, *flat)


def _folder(out: Path, resume: bool, settings: dict[str, object]) -> Path:
    """The run's folder; refuses to resume a run that had other settings."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot write to {out}: {error.strerror}; choose another --out") from error
    path = out / "settings.json"
    if resume and path.exists():
        before = json.loads(path.read_text())
        changed = [f"{key} was {before.get(key)!r}, is {value!r}" for key, value in settings.items() if before.get(key) != value]
        if changed:
            raise RecipeError(f"cannot resume {out}: {'; '.join(changed)}; drop --resume to start anew, or restore the settings")
    elif (out / "scores.jsonl").exists():
        (out / "scores.jsonl").unlink()
    write_atomic(path, json.dumps(settings, indent=1).encode())
    return out
