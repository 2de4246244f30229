"""The report of `plait find`: one page that needs nothing else, to be read on a screen, on a phone or on paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from plait.selection import formats, labels, tables
from plait.selection.charts import Dot, front_chart, strategies_chart
from plait.selection.effects import effects
from plait.selection.heat import grids, heat
from plait.selection.markup import Html, join, tag
from plait.selection.result import Figure, FindResult
from plait.selection.search import Candidate
from plait.selection.verdict import Notice, best_default, notices, second, sentence

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""The page may load nothing, whatever stands in it."""


def render(result: FindResult, folder: Path) -> str:
    """The report as HTML: no other file and no network is needed to read it.

    Args:
        result: of `plait.find`.
        folder: where the run was written; the commands on the page name it.

    Example:
        >>> from plait import find
        >>> result = find("demo:stsb", models=["wordllama"], out="runs/example")  # doctest: +SKIP
        >>> render(result, Path("runs/example")).startswith("<!doctype html>")  # doctest: +SKIP
        True
    """
    parts = [
        ("verdict", "Verdict", [*_verdict(result)]),
        ("use", "Use it", [tables.commands(result, folder)]),
        ("leaderboard", "Leaderboard", [tables.leaderboard(result), tables.candidates(result)]),
        ("costs", "Quality and cost", [*_front(result)]),
        ("inside", "What matters", [*_inside(result)]),
        ("run", "Data and run", [*_run(result)]),
    ]
    sections = [
        tag("section", tag("h2", title, id=name), *content, aria_labelledby=name) for name, title, content in parts
    ]
    contents = tag("nav", *(tag("a", title, href=f"#{name}") for name, title, _ in parts), aria_label="Sections")
    title = f"plait find: {result.task.name}"
    tried = formats.count(len(result.selection.candidates), "candidate")
    line = tag("p", f"{result.task.kind}, {tried}, {formats.duration(result.seconds)}", class_="muted")
    header = tag("header", tag("p", "plait find", class_="kicker"), tag("h1", result.task.name), line, contents)
    main = tag("main", *sections, id="main")
    head = join(
        [
            Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
            Html(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
            Html('<meta name="color-scheme" content="light dark">'),
            tag("title", title),
            tag("style", _asset("report.css")),
        ]
    )
    skip = tag("a", "Skip to the verdict", href="#main", class_="skip")
    body = tag("body", skip, header, main, tag("script", _asset("report.js")))
    return f"<!doctype html>\n{tag('html', tag('head', head), body, lang='en')}\n"


def _asset(name: str) -> Html:
    return Html(files("plait.selection").joinpath(name).read_text(encoding="utf-8"))


def _verdict(result: FindResult) -> Iterator[Html]:
    yield tag("p", sentence(result), class_="lead")
    yield tag("p", second(result))
    for notice in notices(result):
        yield _notice(notice)
    yield tag("h3", "The recipe")
    yield tag("div", tables.recipe(result.best.recipe, fold=False), class_="recipe")
    best, default = result.best, best_default(result)
    beside = default[1] if default and default[1].recipe != best.recipe else None
    yield tag("dl", *_tiles(result.metric, best, beside), class_="tiles")


def _tiles(metric: str, best: Figure, default: Figure | None) -> Iterator[Html]:
    """The winner's four figures, each with the best default's below it."""
    figures: list[tuple[str, Callable[[Figure], str]]] = [
        (f"test {metric}", lambda figure: formats.score(figure.test)),
        ("bytes a vector", lambda figure: f"{figure.bytes:,}"),
        ("ms a text, here", lambda figure: formats.milliseconds(figure.milliseconds)),
        ("weights to load", lambda figure: formats.megabytes(figure.weight_bytes)),
    ]
    for name, write in figures:
        below = tag("span", f"best default: {write(default)}") if default else Html()
        yield tag("div", tag("dt", name), tag("dd", tag("b", write(best)), below))


def _notice(notice: Notice) -> Html:
    style = "notice alarm" if notice.alarm else "notice"
    return tag("div", tag("strong", notice.title), tag("p", notice.body), class_=style, role="note")


def _front(result: FindResult) -> Iterator[Html]:
    full = [c for c in result.selection.candidates if c.share == 1.0 and math.isfinite(c.score)]
    kept = _unlike(c for c in result.front() if math.isfinite(c.score))
    if not kept:
        yield tag("p", "No candidate was scored on the whole dev part.")
        return
    description = (
        f"{formats.count(len(full), 'candidate')} by bytes of a vector and dev {result.metric}; {len(kept)} of them "
        "are beaten by none on quality, bytes and time together. The table below lists those."
    )
    picture, hidden = front_chart(_dots(result, full, kept), f"dev {result.metric}", description)
    below = f" Below the picture: {formats.count(hidden, 'candidate')}." if hidden else ""
    legend = (
        "Diamond: the winner. Squares: models as they come. Numbered: no other candidate is at least as good, as small "
        "and as fast; the numbers are those of the table. Line: the best to be had for so many bytes. "
        f"Colour: time of a text on this machine.{below}"
    )
    yield tag("p", "Each dot is a recipe that was scored on the whole dev part. Up is better, left is smaller.")
    yield _figure(picture, legend)
    yield tables.front(result, kept)


def _unlike(front: Iterable[Candidate]) -> list[Candidate]:
    """The front with one recipe, the shortest, for each set of equal figures."""
    kept: dict[tuple[float, int, float], Candidate] = {}
    for candidate in front:
        key = (round(candidate.score, 6), candidate.bytes, candidate.milliseconds)
        if key not in kept or len(candidate.text) < len(kept[key].text):
            kept[key] = candidate
    return list(kept.values())


def _dots(result: FindResult, full: Sequence[Candidate], kept: Sequence[Candidate]) -> list[Dot]:
    """Candidates as dots, in the order in which labels get room: the numbers, which have to stand close, come first."""
    several = len(result.passes) > 1
    numbers = {c.text: number for number, c in enumerate(kept, 1)}
    named = {pick(kept).text for pick in _EXTREMES}
    plain, winner = {figure.recipe for figure in result.defaults.values()}, result.selection.winner.text

    def dot(candidate: Candidate) -> Dot:
        text = candidate.text
        number, name = str(numbers.get(text, "")), ""
        if text in named or text in plain or text == winner:
            name = labels.clip(labels.short(candidate.recipe, several), 56)
            name = f"winner: {name}" if text == winner else name
        label = ". ".join(filter(None, (number, name)))
        mark = "winner" if text == winner else "default" if text in plain else "front" if number else ""
        return Dot(candidate.bytes, candidate.score, candidate.milliseconds, text, label, mark)

    return sorted(map(dot, full), key=lambda d: (not d.label.isdigit(), _MARKS.index(d.mark), -d.score))


_MARKS = ("winner", "default", "front", "")
_EXTREMES: tuple[Callable[[Sequence[Candidate]], Candidate], ...] = (
    lambda kept: kept[0],
    lambda kept: min(kept, key=lambda c: c.bytes),
    lambda kept: min(kept, key=lambda c: c.milliseconds),
)
"""Of the front: the best, the smallest and the fastest, which have their names in the picture."""


def _figure(picture: Html, caption: str) -> Html:
    wide = tag("div", picture, class_="wide", tabindex="0", role="group", aria_label="Picture, scrolls sideways")
    return tag("figure", wide, tag("figcaption", caption))


def _inside(result: FindResult) -> Iterator[Html]:
    if result.effects:
        yield tag("h3", "What each family of options brought")
        yield from effects(result.effects, result.metric)
    searches = {name: search for name, search in result.selection.searches.items() if len(search.scores_)}
    if searches:
        yield tag("h3", "Which strands are worth putting side by side")
        yield from tables.inclusion(result)
        yield tag("h3", "How the searches compare")
        scores = {name: search.scores_.tolist() for name, search in searches.items()}
        best = {name: max(values) for name, values in scores.items()}
        words = "; ".join(f"{name} {formats.score(best[name])} after {len(values)}" for name, values in scores.items())
        picture = strategies_chart(scores, result.metric, f"Best score on dev: {words} evaluations.")
        caption = "Each search first scores subsets, then weights of the best one's parts. Scores are on dev."
        yield _figure(picture, caption)
        yield tables.strategies(result, searches)
    found = grids(result.selection.candidates)
    if found:
        yield tag("h3", "Layers and poolings")
        yield tag("p", _grid_note(candidate for grid in found for candidate in grid.cells.values()))
        yield tag("div", *map(heat, found), class_="grids")
    if not searches and not found and not result.effects:
        yield tag("p", "One recipe was tried, so there is nothing to compare.")


def _grid_note(candidates: Iterable[Candidate]) -> str:
    shares = sorted({candidate.share for candidate in candidates})
    text = "Dev scores of single strands before any transform; the stronger the colour the better, within a model."
    if shares[0] == 1.0:
        return text
    part = formats.share(shares[0])
    if shares[-1] < 1.0:
        return f"{text} They come from {part} of the dev part."
    return (
        f"{text} Scores in grey italics come from {part} of the dev part, where the strand dropped out; compare them "
        "among themselves."
    )


def _run(result: FindResult) -> Iterator[Html]:
    task, folds = result.task, result.protocol.folds
    sizes = "; ".join(f"{name} {len(getattr(folds[0], name)):,}" for name in ("train", "dev", "test"))
    protocol = f"nested cross-validation, {len(folds)} folds; the first has {sizes}" if result.nested else sizes
    queries = f", and {len(task.queries):,} queries" if len(task.queries) else ""
    passes = list(result.passes.values())
    unique = len(task.documents) + len(task.queries)
    once = all(report.encoded == unique for report in passes)
    claim = (
        f"Every one of the {unique:,} unique texts went through each model once, for all candidates together."
        if once
        else f"The data has {unique:,} unique texts; the table says how many went through each model."
    )
    yield tables.facts(
        {
            "Data": f"{task.name} ({task.kind})",
            "Texts": f"{len(task.documents):,} unique{queries}",
            "Examples": protocol,
            "Chosen on": "train and dev; test was looked at once, for the recipes of the leaderboard",
            "Strategy": result.strategy,
            "Seed": str(result.seed),
            "Time": formats.duration(result.seconds),
            "Peak memory": formats.megabytes(result.memory),
            "Machine": ", ".join(f"{name} {value}" for name, value in result.machine.items()),
            "Versions": ", ".join(f"{name} {value}" for name, value in result.versions.items()),
        }
    )
    if notes := [*task.notes, *result.protocol.notes]:
        yield tag("h3", "What reading and splitting the data met")
        yield tag("ul", *(tag("li", note) for note in notes))
    if passes:
        yield tag("h3", "What went through the models")
        yield tag("p", claim)
        yield tables.passes(result)
