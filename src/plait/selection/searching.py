"""How an index of the recipe that was found is best searched: words beside the vectors, a second look at the best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from plait._lazy import need
from plait.data.tasks import Task
from plait.evaluation.retrieval import Retrieval
from plait.evaluation.scores import Score
from plait.retrieval.rank_fusion import Ranking
from plait.retrieval.settings import Settings
from plait.roles import Encoder
from plait.selection.ablation import Effect
from plait.selection.beside import Beside, Fold
from plait.selection.search import Limits, Say
from plait.selection.token_match import LOOKED_AT, TokenMatch
from plait.selection.words import WordSearch
from plait.selection.workbench import Bench, Slice
from plait.step import walk
from plait.types import MissingExtra

SECOND = {
    WordSearch.family: "a search by words (BM25) beside the vectors; without it is the winner",
    TokenMatch.family: f"the best {LOOKED_AT} looked at again, token by token; without it is the winner",
}
"""What is tried beside the vectors."""


@dataclass(frozen=True)
class Searching:
    """How to search.

    Attributes:
        settings: for an index.
        effects: what each part brought on test.
    """

    settings: Settings
    effects: tuple[Effect, ...]


@dataclass(frozen=True)
class Trial:
    """What is known when a search has ended.

    Attributes:
        task: a retrieval task.
        evaluator: of that task.
        folds: of the run.
        whole: where the final recipe was chosen; its test bench is not looked at.
        tested: test scores, by name; "best" and "plain" among them.
        limits: of the run.
        seed: of the intervals.
    """

    task: Task
    evaluator: Retrieval
    folds: Sequence[Fold]
    whole: Fold
    tested: Mapping[str, Score]
    limits: Limits
    seed: int


def searching(trial: Trial, note: Callable[[str], None], say: Say) -> Searching:
    """Try each part by itself on test, and choose on dev how an index has them together.

    Args:
        trial: what was found.
        note: told what was left out, and why.
        say: told how it goes on.
    """
    dev, (winner, plain) = trial.whole.dev, trial.whole.recipes
    settings, effects = Settings(words=0.0), list[Effect]()

    def measure(part: Beside) -> None:
        effects.append(part.effect(trial.folds, trial.tested["best"], trial.tested["plain"], trial.seed))

    words: WordSearch | None = None
    try:
        need("bm25s", "retrieval")
    except MissingExtra as error:
        note(f"a search by words was not tried: {error}")
    else:
        words = WordSearch(trial.task, trial.evaluator)
        measure(words)
        settings = Settings(words=words.tune(dev, winner).weights[1])
    if trial.limits.late():
        note("a second look at the best documents was not tried: the time was up")
        return Searching(settings, tuple(effects))
    encoder = next(step for step in walk(plain) if isinstance(step, Encoder))
    look = TokenMatch(
        trial.task, trial.evaluator, encoder, told=lambda done, total: say("a second look, documents", done, total)
    )
    together: list[tuple[Bench | Slice, Ranking]] = []
    if words is not None and settings.words:
        together = [(dev, words.found(dev, winner, (1 - settings.words, settings.words), LOOKED_AT))]
    look.read([*look.candidates(trial.folds), *together])
    measure(look)
    if together:
        look.before = lambda bench, recipe: together[0][1]
    if share := look.tune(dev, winner).weights[1]:
        settings = Settings(words=settings.words, rescore=str(encoder), rescored=LOOKED_AT, share=share)
    return Searching(settings, tuple(effects))
