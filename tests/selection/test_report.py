from __future__ import annotations

import io
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from plait.evaluation.statistics import Comparison, Interval
from plait.plan import PassReport
from plait.selection.axes import Box, Scale, place
from plait.selection.board import leaderboard
from plait.selection.charts import Dot, Shade, front_chart
from plait.selection.heat import grids
from plait.selection.markup import escape, tag
from plait.selection.report import render
from plait.selection.result import FindResult
from plait.selection.space import chain
from plait.selection.verdict import notices, ranked, sentence
from tests.selection import findings
from tests.selection.findings import Host

FOLDER = Path("runs/mine")
VOID = {"meta", "br", "wbr", "link", "img", "input", "hr"}
HOSTILE = "<script>alert('x')</script>\"&'|+"


class Page(HTMLParser):
    """Reads a page strictly: every element closed in its turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags[name] += 1
        self.attributes += [(name, key, value or "") for key, value in attributes]
        if name not in VOID:
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open and self.open[-1] == name, f"</{name}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, words: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(words)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))

    def values(self, key: str) -> list[str]:
        return [value for _, name, value in self.attributes if name == key]


@pytest.fixture(scope="module")
def full() -> FindResult:
    return findings.full()


@pytest.fixture(scope="module")
def page(full: FindResult) -> Page:
    return Page(render(full, FOLDER))


def test_the_verdict_has_the_figures_and_the_right_words(page: Page) -> None:
    assert "A concatenation of 6 parts scores 0.8000 accuracy on the test part" in page.text
    assert "95 % interval 0.7790 to 0.8190" in page.text
    assert "0.0312 better than the best default, all-MiniLM-L6-v2 as it comes" in page.text
    assert "p = 0.002" in page.text
    assert "not distinguishable from the best single strand (difference +0.0060" in page.text


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (Comparison(0.03, 0.01, 0.05, 0.0001), "0.0300 better than the best default, all-MiniLM-L6-v2 as it comes"),
        (Comparison(0.03, -0.01, 0.05, 0.2), "not distinguishable from the best default"),
        (Comparison(0.0, 0.0, 0.0, 1.0), "not distinguishable from the best default"),
        (Comparison(-0.03, -0.05, -0.01, 0.0001), "0.0300 worse than the best default"),
    ],
)
def test_the_verdict_is_as_sure_as_the_interval(full: FindResult, gain: Comparison, words: str) -> None:
    name, figure = next(iter(full.defaults.items()))
    result = replace(full, defaults={name: replace(figure, against=gain)})
    assert words in Page(f"<p>{sentence(result)}</p>").text


def test_a_default_that_wins_is_called_by_its_name(full: FindResult) -> None:
    result = findings.alone(chain(Host("mine"), "MeanPool()"))
    result = replace(result, defaults={'Host("mine")': result.best})
    assert "this is mine as it comes" in Page(render(result, FOLDER)).text


def test_nothing_is_loaded_from_anywhere(full: FindResult) -> None:
    page = render(full, FOLDER)
    assert "http://" not in page and "https://" not in page and "url(" not in page and "@import" not in page
    for name, key, value in Page(page).attributes:
        assert key not in ("src", "srcset", "onclick", "onload", "xlink:href"), (name, key, value)
        assert key != "href" or value.startswith("#")


def test_ids_are_unique_and_references_lead_somewhere(page: Page) -> None:
    ids = Counter(page.values("id"))
    assert max(ids.values()) == 1
    for key in ("aria-labelledby", "href"):
        assert {name for value in page.values(key) for name in value.removeprefix("#").split()} <= set(ids)


def test_pictures_have_a_name_or_are_hidden(page: Page) -> None:
    roles = page.values("role").count("img")
    hidden = sum(name == "svg" and key == "aria-hidden" for name, key, _ in page.attributes)
    assert roles == 2 and roles + hidden == page.tags["svg"]
    assert page.tags["desc"] == roles


def test_tables_have_captions_and_scopes(page: Page) -> None:
    assert page.tags["caption"] == page.tags["table"] >= 7
    assert sum(name == "th" and key == "scope" for name, key, _ in page.attributes) == page.tags["th"]


def test_the_commands_survive_a_folder_with_spaces_and_quotes(full: FindResult) -> None:
    text = "".join(Page(render(full, Path("my runs/it's"))).words)
    assert "plait embed 'my runs/it'\"'\"'s/model' texts.jsonl -o vectors.parquet" in text
    assert "plait eval 'my runs/it'\"'\"'s/model'" in text
    compile(text[text.index("import plait\n") : text.index('encode(["some text"])') + 21], "use", "exec")


@pytest.mark.parametrize("name", [HOSTILE, "x" * 500, "\x00\ud800\u202e", "[bold]" * 20, ""])
def test_names_cannot_become_markup(name: str) -> None:
    hosts = (Host(name, 2), Host("other", 0, 64))
    task = replace(findings.task(name), notes=(name,), proxy=name or None)
    result = replace(findings.full(hosts, made_of=task), machine={name: name}, versions={name: name}, metric=name)
    text = render(result, Path(name.replace("\x00", "") or "."))
    page = Page(text)
    assert page.tags["script"] == 1 and page.tags["b"] < 200
    assert "<script>alert" not in text
    text.encode()
    Console(width=100, file=io.StringIO()).print(leaderboard(result))


@given(st.text())
def test_escaped_text_reads_as_it_was(text: str) -> None:
    shown = Page(tag("p", text)).words
    clean = re.sub("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]", "\ufffd", text)
    assert "".join(shown) == clean
    assert escape(escape(text)) == escape(text)


def test_one_candidate_and_no_search_make_a_whole_page() -> None:
    page = Page(render(findings.alone(chain(Host("<only>"), "MeanPool()")), FOLDER))
    assert "<only> · mean scores 0.5000 accuracy" in page.text
    assert "It is a single strand." in page.text
    assert "How the searches compare" not in page.text


def test_scores_that_are_no_numbers_do_not_break_the_page(full: FindResult) -> None:
    nan = float("nan")
    selection = replace(full.selection, candidates=[replace(c, score=nan) for c in full.selection.candidates])
    bad = replace(full.best, test=nan, dev=nan, interval=Interval(nan, nan))
    page = Page(render(replace(full, selection=selection, best=bad), FOLDER))
    assert "No candidate was scored on the whole dev part" in page.text
    some = [replace(c, score=nan) if n % 2 else c for n, c in enumerate(full.selection.candidates)]
    half = render(replace(full, selection=replace(full.selection, candidates=some)), FOLDER)
    assert not [value for value in Page(half).values("d") + Page(half).values("cy") if "nan" in value]


def test_what_puts_figures_in_doubt_stands_under_the_verdict(full: FindResult) -> None:
    task = replace(full.task, proxy="labels are made up: titles are queries")
    passes = {
        'Host("one")': PassReport("", 1000, 1000, 9, 11, 40),
        'Host("two")': PassReport("", 1000, 1000, 9, 10, 40),
    }
    selection = replace(full.selection, skipped=7)
    result = findings.nested(replace(full, task=task, passes=passes, selection=selection))
    found = list(notices(result))
    assert [notice.alarm for notice in found] == [True, True, True, False]
    assert found[0].body.startswith("Labels are made up: titles are queries. ")
    assert "one: 11 texts of 1,000 (1.1 %), 40 tokens lost" in found[1].body and "two" not in found[1].body
    assert found[2].title == "7 candidates skipped"
    assert "5 times" in found[3].body
    text = Page(render(result, FOLDER)).text
    assert "Choosing this way scores" in text
    assert text.index("The labels are a proxy") < text.index("The recipe")


def test_a_run_without_doubts_has_no_notices(full: FindResult) -> None:
    assert list(notices(full)) == []


def test_one_recipe_has_one_row_in_the_leaderboard(full: FindResult) -> None:
    result = replace(full, best=full.best_single)
    rows = ranked(result)
    assert len(rows) == 1 + len(full.defaults)
    assert rows[0].names == ("winner", "best single strand") and rows[0].best


def test_the_page_stays_small_with_thousands_of_long_recipes() -> None:
    hosts = [Host("a-very-long-name-" * 20 + str(n), 16) for n in range(3)]
    candidates = [replace(c, share=1.0) for c in findings.grid(hosts)]
    result = findings.full(hosts)
    result = replace(
        result, selection=replace(result.selection, candidates=[*result.selection.candidates, *candidates])
    )
    assert len(candidates) > 1000
    assert len(render(result, FOLDER)) < 1_000_000


def test_the_terminal_board_has_the_same_figures(full: FindResult) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(leaderboard(full))
    text = console.export_text()
    for figure in ("0.8000", "0.7790 to 0.8190", "+0.0312", "0.002", "1,536"):
        assert figure in text
    assert max(map(len, text.splitlines())) <= 80


def test_grids_hold_untransformed_strands_and_prefer_the_larger_share() -> None:
    host = Host("m", 3)
    made = findings.grid([host])
    (grid,) = grids(made)
    assert grid.rows == ["0, embeddings", "1", "2", "3"] and len(grid.cells) == 4 * 5
    worse = [replace(c, share=0.1, score=9.0) for c in made]
    (again,) = grids([*made, *worse])
    assert all(candidate.score < 9 for candidate in again.cells.values())


def test_no_strand_is_told_apart_from_layers_of_several_models() -> None:
    found = grids(findings.grid([Host("a", 2), Host("b", 0), Host("c", 0)]))
    assert [(grid.name, len(grid.rows)) for grid in found] == [("a", 3), ("Models without a choice of layers", 2)]


@given(st.floats(-100, 100), st.floats(1e-4, 1e4), st.integers(2, 8))
def test_ticks_lie_on_the_scale_and_read_as_what_they_are(low: float, size: float, number: int) -> None:
    scale = Scale(low, low + size, 0, 100)
    ticks = scale.ticks(number)
    assert 1 <= len(ticks) <= number + 2
    written = [float(words.replace("−", "-")) for _, words in ticks]
    assert written == sorted(set(written))
    for (value, _), read in zip(ticks, written, strict=True):
        assert -1e-3 <= scale(value) <= 100.001
        assert read == pytest.approx(value, abs=size / number * 1e-6 + 1e-9)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 900), st.floats(0, 400), st.text("abc ·", min_size=1, max_size=40)), max_size=25)
)
def test_labels_never_overlap_and_never_leave_the_frame(points: list[tuple[float, float, str]]) -> None:
    frame = Box(0, 0, 900, 400)
    taken = [Box(x - 6, y - 6, x + 6, y + 6) for x, y, _ in points]
    placed = place(points, frame, taken)
    for number, label in enumerate(placed):
        assert frame.holds(label.box)
        assert not any(label.box.meets(other.box) for other in placed[:number])
        assert not any(label.box.meets(box) for box in taken)


@given(st.lists(st.floats(1e-4, 1e4), min_size=1, max_size=20))
def test_slower_is_never_a_faster_colour(times: list[float]) -> None:
    shade = Shade(times)
    shades = [shade(value) for value in sorted(times)]
    assert shades == sorted(shades)


def test_the_staircase_is_the_best_score_for_so_many_bytes() -> None:
    rng = np.random.default_rng(0)
    dots = [Dot(int(2 ** rng.integers(4, 12)), float(rng.random()), 1.0, f"{n}") for n in range(60)]
    picture, hidden = front_chart(dots, "accuracy", "")
    path = re.search(r'<path d="(M[^"]+)" class="stairs"', picture)
    assert path is not None
    steps = 1 + path[1].count("V")
    shown = sorted(dots, key=lambda dot: -dot.score)[: len(dots) - hidden]
    best = [max(d.score for d in shown if d.bytes <= size) for size in sorted({d.bytes for d in shown})]
    assert steps == len(set(best))
