"""Tables of the report, and the commands that use what was found."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from plait.fusion.search import ConcatSearch
from plait.selection import formats, labels
from plait.selection.markup import Html, cell, join, number, table, tag
from plait.selection.result import FindResult
from plait.selection.search import Candidate
from plait.selection.verdict import Ranked, ranked
from plait.selection.whiskers import Whiskers, bar

LISTED = 30
"""Candidates in the table; all of them stand in ``results.parquet``."""
FOLDED = 150
"""Characters from which a recipe is folded."""


def recipe(text: str, fold: bool = True) -> Html:
    """A recipe's text; a long one shows both its ends and can be opened."""
    if not fold or len(text) <= FOLDED:
        return tag("code", text)
    # long recipes often differ at their ends only
    return tag("details", tag("summary", tag("code", f"{text[:84]} … {text[-48:]}")), tag("code", text))


def commands(result: FindResult, folder: Path) -> Html:
    """What to type to use the winner."""
    model = str(folder / "model")
    quoted = shlex.quote(model)
    shell = f"plait embed {quoted} texts.jsonl -o vectors.parquet\nplait eval {quoted} more-data.jsonl"
    role = ', role="query")  # and role="document" for what is searched' if len(result.task.queries) else ")"
    python = f'import plait\n\nrecipe = plait.load({model!r})\nvectors = recipe.encode(["some text"]{role}'
    return join(
        [
            tag("p", "The fitted recipe lies beside this report. Embed a file, judge it on other data, or use Python:"),
            tag("pre", tag("code", shell), class_="copy", tabindex="0"),
            tag("pre", tag("code", python), class_="copy", tabindex="0"),
        ]
    )


def leaderboard(result: FindResult) -> Html:
    """Winner, best single strand and defaults, with what is known of their differences."""
    rows = ranked(result)
    whiskers = Whiskers([row.figure.interval for row in rows], result.best.test)
    middle = tag("div", "95 % interval", whiskers.axis())
    heads = ["recipe", "dev#", "test#", middle, "winner's gain#", "p#", "bytes#", "ms a text#", "weights#"]
    made = table(
        f"Test {result.metric} of the winner, the best single strand and the models as they come",
        heads,
        [_ranked(row, whiskers) for row in rows],
        "stack sortable board",
    )
    return join(
        [
            made,
            _note(
                "Gain: the winner's score minus this one's, on the same test examples, with its 95 % interval; "
                "p by paired bootstrap."
            ),
        ]
    )


def _ranked(row: Ranked, whiskers: Whiskers) -> Html:
    figure, gain = row.figure, row.figure.against
    name = tag("b", ", ".join(row.names))
    whisker = whiskers(figure.test, figure.interval, row.best)
    if row.best or gain is None:
        compared = [cell("", "num empty"), cell("", "num empty")]
    else:
        difference = join([formats.signed(gain.difference), tag("span", formats.span(gain), class_="sub")])
        compared = [
            number(difference, gain.difference, "winner's gain"),
            number(formats.p_value(gain.p_value), gain.p_value, "p"),
        ]
    return tag(
        "tr",
        cell(join([name, recipe(figure.recipe)]), "first"),
        number(formats.score(figure.dev), figure.dev, "dev"),
        number(tag("b", formats.score(figure.test)), figure.test, "test"),
        cell(join([whisker, tag("span", formats.span(figure.interval), class_="sub")]), "interval"),
        *compared,
        number(f"{figure.bytes:,}", figure.bytes, "bytes"),
        number(formats.milliseconds(figure.milliseconds), figure.milliseconds, "ms a text"),
        number(formats.megabytes(figure.weight_bytes), figure.weight_bytes, "weights"),
        class_="win" if row.best else None,
        role="row",
    )


def candidates(result: FindResult) -> Html:
    """The best candidates by dev score."""
    whole = [c for c in result.selection.candidates if c.share == 1.0 and math.isfinite(c.score)]
    best = sorted(whole, key=lambda c: (-c.score, c.bytes))[:LISTED]
    caption = f"The {len(best)} best of {formats.count(len(whole), 'candidate')} that were scored on the whole dev part"
    made = _listed(caption, best, result)
    rest = len(result.selection.candidates) - len(whole)
    dropped = f" {formats.count(rest, 'candidate')} more dropped out after a part of dev." if rest else ""
    note = f"All candidates stand in results.parquet.{dropped}"
    return join([tag("h3", "Candidates by dev score"), made, _note(note)])


def front(result: FindResult, kept: Sequence[Candidate]) -> Html:
    """The recipes that nothing beats on quality, bytes and time together."""
    caption = "No other candidate is at least as good, as small and as fast as one of these"
    return join([tag("h3", "Recipes to choose from"), _listed(caption, kept, result, numbered=True)])


def _listed(caption: str, rows: Sequence[Candidate], result: FindResult, numbered: bool = False) -> Html:
    """Candidates one below the other; the score of the task's own head has a column if it differs."""
    finals = any(c.final is not None and abs(c.final - c.score) > 1e-6 for c in rows)
    heads = ["no.", "recipe", "stage", "dev#", "own head#", "bytes#", "ms a text#"]
    heads = [head for head in heads if (head != "no." or numbered) and (head != "own head#" or finals)]
    made = []
    for place, candidate in enumerate(rows, 1):
        won = candidate.text == result.selection.winner.text
        words = join([tag("b", "winner") if won else Html(), recipe(candidate.text)])
        final = [] if not finals else [cell("", "num empty")]
        if finals and candidate.final is not None:
            final = [number(formats.score(candidate.final), candidate.final, "own head")]
        cells = [
            *([tag("td", str(place), role="cell", class_="place")] if numbered else []),
            cell(words, "first"),
            tag("td", candidate.stage, role="cell", data_label="stage", class_="stage"),
            number(formats.score(candidate.score), candidate.score, "dev"),
            *final,
            number(f"{candidate.bytes:,}", candidate.bytes, "bytes"),
            number(formats.milliseconds(candidate.milliseconds), candidate.milliseconds, "ms a text"),
        ]
        made.append(tag("tr", *cells, class_="win" if won else None, role="row"))
    listed = table(caption, heads, made, "sortable stack")
    if not finals:
        return listed
    note = "dev: with the search's fast head; own head: with the head of the test score, for the finalists."
    return join([listed, _note(note)])


def inclusion(result: FindResult) -> Iterator[Html]:
    """Bars: how likely the chosen search takes each part."""
    search = result.selection.searches.get(result.strategy)
    if search is None:
        return
    order = np.argsort(-search.inclusion_probability_, kind="stable")
    rows = []
    for number_ in order:
        weight, chance = float(search.weights_[number_]), float(search.inclusion_probability_[number_])
        words = f"weight {weight:g}" if weight else "left out"
        taken = bar(chance, formats.share(chance), weight > 0)
        rows.append(
            tag(
                "tr",
                tag("td", str(number_ + 1), role="cell", class_="place"),
                cell(recipe(str(search.parts[number_])), "first"),
                tag("td", taken, role="cell", data_v=f"{chance:.9g}", data_label="taken"),
                tag("td", words, role="cell", data_label="in the best", class_="stage"),
                role="row",
            )
        )
    yield tag(
        "p",
        f"How likely the {result.strategy} search takes each part at its end, and the weight that the part has in the "
        "best concatenation found.",
    )
    yield table("Parts of the concatenation search", ["no.", "part", "taken", "in the best"], rows)


def strategies(result: FindResult, searches: Mapping[str, ConcatSearch]) -> Html:
    """Each search's best."""
    rows = []
    for name, search in sorted(searches.items(), key=lambda item: -float(item[1].scores_.max())):
        best, standing = float(search.scores_.max()), "may win" if name == result.strategy else "for comparison"
        chosen = [(n + 1, float(weight)) for n, weight in enumerate(search.weights_) if weight]
        parts = ", ".join(f"{n}" if weight == 1 else f"{n} × {weight:g}" for n, weight in chosen)
        cells = [
            cell(join([tag("b", name), tag("span", standing, class_="sub")]), "first"),
            tag("td", parts, role="cell", data_label="parts × weights"),
            number(formats.score(best), best, "dev"),
            number(f"{len(search.scores_)}", len(search.scores_), "evaluations"),
        ]
        rows.append(tag("tr", *cells, role="row"))
    caption = "Best concatenation of each strategy, by the numbers of its parts"
    return table(caption, ["strategy", "parts × weights", "dev#", "evaluations#"], rows)


def passes(result: FindResult) -> Html:
    """What went through each model, and what was cut."""
    rows = []
    for name, report in result.passes.items():
        cut = report.cut_items / max(1, report.items)
        rows.append(
            tag(
                "tr",
                cell(join([tag("b", labels.source(name)), tag("code", name)]), "first"),
                number(f"{report.encoded:,}", report.encoded, "texts encoded"),
                number(f"{report.tokens:,}", report.tokens, "tokens"),
                number(f"{report.cut_items:,} ({formats.share(cut)})", report.cut_items, "texts cut"),
                number(f"{report.cut_tokens:,}", report.cut_tokens, "tokens lost"),
                number(formats.duration(report.seconds), report.seconds, "time"),
                role="row",
            )
        )
    return table("Passes", ["model", "texts encoded#", "tokens#", "texts cut#", "tokens lost#", "time#"], rows)


def facts(pairs: Mapping[str, str]) -> Html:
    """Names and values."""
    rows = (tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs.items())
    return tag("dl", *rows, class_="facts")


def _note(words: str) -> Html:
    return tag("p", words, class_="muted small")
