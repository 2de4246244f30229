"""The search, on scores that are made up and known."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import pytest

import plait
from plait.evaluation.scores import Score
from plait.selection.costs import Timer
from plait.selection.scoreboard import Scoreboard
from plait.selection.search import Limits, Search, Selection, spread
from plait.selection.space import Space
from plait.selection.workbench import Bench
from plait.step import Composite, walk
from plait.types import RecipeError
from tests.selection.small import space

POOLINGS = ("MeanPool()", "MaxPool()", "ClsPool()", "LastPool()", "WeightedMeanPool()")
TRANSFORMS = ("", "Center()", "Normalize()", "AllButTheTop(1)", "ClipOutliers()")
WORTH = {
    "MeanPool": 0.10,
    "MaxPool": 0.06,
    "ClsPool": 0.02,
    "LastPool": 0.0,
    "WeightedMeanPool": 0.08,
    "Center": 0.03,
    "Normalize": 0.0,
    "AllButTheTop": 0.02,
    "ClipOutliers": -0.02,
    "Pca": -0.05,
    "Int8": -0.01,
    "Binary": -0.03,
}
TIMES = {"ClsPool": 1.0, "LastPool": 2.0, "MaxPool": 3.0, "WeightedMeanPool": 4.0, "MeanPool": 9.0}


@dataclass
class ToyBench:
    """Scores a recipe by the steps in it; on a small share, with some noise."""

    share: float
    asked: list[tuple[float, str]]

    def quick(self, recipe: Composite) -> float:
        self.asked.append((self.share, str(recipe)))
        noise = 0.0 if self.share == 1.0 else (hash_of(str(recipe)) - 0.5) / 50
        return 0.5 + sum(WORTH.get(type(step).__name__, 0.0) for step in walk(recipe)) + noise

    def score(self, recipe: Composite) -> Score:
        return Score.of("toy", "mean", np.full(4, self.quick(recipe)))

    def concatenations(self, parts: Sequence[Composite]) -> Callable[[np.ndarray], Score]:
        single = np.array([ToyBench(1.0, []).quick(part) for part in parts])

        def score(weights: np.ndarray) -> Score:
            chosen = single[weights > 0]
            return Score.of("toy", "mean", np.full(4, chosen.max() + 0.01 * (len(chosen) == 2)))

        return score

    def width(self, recipe: Composite) -> int:
        cuts = [step.n_components for step in walk(recipe) if isinstance(step, plait.Pca)]
        return cuts[0] if cuts else 16 * len(list(recipe.strands()))

    def each(self, recipe: Composite) -> float:
        return 1.0


class ToyTimer:
    def milliseconds(self, recipe: Composite) -> float:
        return sum(TIMES[type(strand.pool).__name__] for strand in recipe.strands())


def hash_of(text: str) -> float:
    return sum(text.encode()) * 0.618 % 1


@dataclass
class Toy:
    """One search over everything, and what its benches were asked."""

    space: Space
    limits: Limits = field(default_factory=Limits)
    strategy: str = "greedy"
    board: Path | None = None
    asked: list[tuple[float, str]] = field(default_factory=list)

    def run(self) -> Selection:
        search = Search(self.space, cast(Timer, ToyTimer()), self.limits, Scoreboard(self.board), self.strategy)
        default = plait.parse(f"{self.space.encoders()[0]} | MeanPool()")
        return search.run("toy", lambda share: cast(Bench, ToyBench(share, self.asked)), [default])


@pytest.fixture
def grid(tiny_table: Path) -> Space:
    return space(tiny_table, poolings=POOLINGS, transforms=TRANSFORMS, widths=(8, 4))


def test_halving_keeps_the_best(grid: Space) -> None:
    toy = Toy(grid)
    found = toy.run()
    assert found.best_single.text.endswith("| MeanPool() | Center()")
    assert found.best_single.share == 1.0
    on_all = {text for share, text in toy.asked if share == 1.0 and "+" not in text and "Int8" not in text}
    quarter = [text for share, text in toy.asked if share == 0.25]
    assert len(quarter) == len(set(quarter)) == 25
    assert sum("Pca" not in text and "Binary" not in text for text in on_all) <= 10


def test_a_concatenation_wins_when_it_is_better(grid: Space) -> None:
    found = Toy(grid).run()
    assert not found.winner.is_single
    assert len(list(found.winner.recipe.strands())) == 2
    assert found.winner.score > found.best_single.score
    assert set(found.searches) == {"ace", "greedy", "random", "all"}


@pytest.mark.parametrize("most", [128, 64, 32, 16, 8, 4, 2, 1])
def test_the_winner_keeps_the_bytes(grid: Space, most: int) -> None:
    found = Toy(grid, Limits(bytes=most)).run()
    assert found.winner.bytes <= most
    assert found.best_single.bytes <= most
    fitting = [c for c in found.candidates if c.bytes <= most and c.final is not None]
    assert found.winner.final == max(c.final for c in fitting if c.final is not None)


@pytest.mark.parametrize("most", [13.0, 9.0, 5.0, 3.0])
def test_the_winner_keeps_the_milliseconds(grid: Space, most: float) -> None:
    found = Toy(grid, Limits(milliseconds=most)).run()
    assert found.winner.milliseconds <= most
    assert found.best_single.milliseconds <= most


def test_limits_that_nothing_keeps_are_said(grid: Space) -> None:
    with pytest.raises(
        RecipeError, match=r"no candidate keeps the limits: the smallest vector has 1 bytes .*--max-bytes"
    ):
        Toy(grid, Limits(bytes=0)).run()
    with pytest.raises(RecipeError, match=r"the fastest takes \d\.00 ms"):
        Toy(grid, Limits(milliseconds=0.1)).run()


def test_equal_scores_go_to_the_smaller_then_to_the_first_text(grid: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ToyBench, "quick", lambda self, recipe: 0.5)
    found = Toy(grid, strategy="all").run()
    least = min(c.bytes for c in found.candidates if c.final is not None)
    assert found.winner.bytes == least
    equal = [c.text for c in found.candidates if c.bytes == least and c.final is not None]
    assert found.winner.text == min(equal)


def test_a_late_search_skips_and_still_chooses(grid: Space) -> None:
    found = Toy(grid, Limits(deadline=0.0)).run()
    assert found.skipped > 0
    assert found.winner.share == 1.0


def test_the_board_is_asked_before_the_bench(grid: Space, tmp_path: Path) -> None:
    first = Toy(grid, board=tmp_path / "scores.jsonl")
    second = Toy(grid, board=tmp_path / "scores.jsonl")
    one, two = first.run(), second.run()
    assert first.asked
    assert second.asked == []
    assert [(c.text, c.score, c.final) for c in one.candidates] == [(c.text, c.score, c.final) for c in two.candidates]
    assert one.winner.text == two.winner.text


@pytest.mark.parametrize("torn", ['["key", 0.', '["key"', "[", "\x00\x00", '["a", 1, 2]', "3", '"text"', "null"])
def test_a_torn_line_of_the_board_is_dropped(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_text(json.dumps(["known", 0.25]) + "\n" + torn)
    board = Scoreboard(path)
    assert board.get("known", lambda: 1.0) == 0.25
    assert board.get("new", lambda: 0.75) == 0.75
    again = Scoreboard(path)
    assert (again.get("known", lambda: 1.0), again.get("new", lambda: 1.0)) == (0.25, 0.75)


def test_scores_come_back_to_the_last_bit(tmp_path: Path) -> None:
    value = float(np.nextafter(1 / 3, 1))
    Scoreboard(tmp_path / "scores.jsonl").get("key", lambda: value)
    assert Scoreboard(tmp_path / "scores.jsonl").get("key", lambda: 0.0) == value


def test_every_model_has_two_parts_at_least(tiny_table: Path, tiny_bert: Path) -> None:
    both = space(tiny_table, tiny_bert, poolings=POOLINGS, chunks=(), transforms=("",), parts=6)
    search = Search(both, cast(Timer, ToyTimer()), Limits(), Scoreboard(None), "greedy")
    found = search.run("toy", lambda share: cast(Bench, ToyBench(share, [])), [], (1.0,))
    ranked = sorted((c for c in found.candidates if c.stage == "grid"), key=lambda c: -c.score)
    chosen = spread(ranked, 6)
    assert len(chosen) == 6
    for model in (tiny_table, tiny_bert):
        assert sum(str(model) in c.text for c in chosen) >= 2
    assert len({next(c.recipe.strands()).text for c in chosen}) == 6


def test_unknown_strategy_is_refused(grid: Space) -> None:
    with pytest.raises(RecipeError, match="strategy is 'best'"):
        Toy(grid, strategy="best").run()
