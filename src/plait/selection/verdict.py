"""What was found, in sentences: as sure as the intervals allow, and no surer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from plait.evaluation.statistics import Comparison
from plait.selection import formats, labels
from plait.selection.markup import Html, escape, join, tag
from plait.selection.result import Figure, FindResult
from plait.step import Composite, Concat

CUT_ALARM = 0.01
"""Share of cut texts from which the verdict says so."""


@dataclass(frozen=True)
class Ranked:
    """A row of the leaderboard: what a recipe is called, its figures, and whether it is the winner."""

    names: tuple[str, ...]
    figure: Figure
    best: bool


def ranked(result: FindResult) -> list[Ranked]:
    """The tested recipes, best test score first; one recipe that is there for several reasons has one row."""
    merged: dict[tuple[str, float], list[tuple[str, Figure]]] = {}
    for name, figure in result.rows():
        merged.setdefault((figure.recipe, figure.test), []).append((name, figure))
    rows = [
        Ranked(
            tuple(_plain_name(name) for name, _ in same),
            next((figure for _, figure in same if figure is result.best), same[0][1]),
            any(figure is result.best for _, figure in same),
        )
        for same in merged.values()
    ]
    return sorted(rows, key=lambda row: (-row.figure.test, not row.best))


def best_default(result: FindResult) -> tuple[str, Figure] | None:
    """The default with the best test score, and its model."""
    if not result.defaults:
        return None
    name, figure = max(result.defaults.items(), key=lambda item: item[1].test)
    return labels.source(name), figure


def sentence(result: FindResult) -> Html:
    """The verdict."""
    best = result.best
    subject = "Choosing this way" if result.nested else _subject(result.selection.winner.recipe)
    opening = join(
        [
            tag("strong", subject),
            " scores ",
            tag("strong", formats.score(best.test)),
            f" {result.metric} on the test part (95 % interval {formats.span(best.interval)})",
        ]
    )
    default = best_default(result)
    if default is None:
        return join([opening, "."])
    name, figure = default
    if figure.recipe == best.recipe and figure.test == best.test:
        return join([opening, f": this is {name} as it comes, and nothing that was tried did better on the dev part."])
    if figure.against is None:
        return join([opening, "."])
    return join([opening, ", ", _against(figure.against, f"the best default, {name} as it comes"), "."])


def _subject(recipe: Composite) -> str:
    first, *after = labels.flat(recipe)
    if not isinstance(first, Concat):
        return labels.short(recipe)
    return " · ".join([f"A concatenation of {len(first.parts)} parts", *map(labels.short, after)])


def second(result: FindResult) -> Html:
    """Whether the concatenation was worth it."""
    best, single = result.best, result.best_single
    if result.selection.winner.is_single and not result.nested:
        tried = result.selection.searches
        return escape("No concatenation did better on the dev part." if tried else "It is a single strand.")
    default = best_default(result)
    if default and (single.test, single.against) == (default[1].test, default[1].against):
        return escape("The best single strand scores the same as that default.")
    if single.against is None or (single.recipe == best.recipe and single.test == best.test):
        return escape("The winner is also the best single strand.")
    return join(["It is ", _against(single.against, "the best single strand"), "."])


def _against(gain: Comparison, other: str) -> Html:
    figures = f"95 % interval {formats.span(gain)}, p {_equals(gain.p_value)}"
    if gain.low <= 0 <= gain.high:
        found = f" from {other} (difference {formats.signed(gain.difference)}, {figures})"
        return join([tag("strong", "not distinguishable"), found])
    word = "better" if gain.difference > 0 else "worse"
    return join([tag("strong", f"{formats.score(abs(gain.difference))} {word}"), f" than {other} ({figures})"])


def _equals(p_value: float) -> str:
    written = formats.p_value(p_value)
    return written if written.startswith("<") else f"= {written}"


@dataclass(frozen=True)
class Notice:
    """Something a reader must know before believing the figures.

    Attributes:
        title: a few words.
        body: the rest.
        alarm: whether it puts the figures in doubt.
    """

    title: str
    body: str
    alarm: bool


def notices(result: FindResult) -> Iterator[Notice]:
    """What stands right under the verdict."""
    if result.task.proxy:
        made_up = result.task.proxy.rstrip(".")
        body = (
            f"{made_up[:1].upper()}{made_up[1:]}. The figures say how well a recipe does that, which may not be what "
            "you want it for. Label some examples and run again."
        )
        yield Notice("The labels are a proxy", body, True)
    cuts = [
        f"{labels.source(name)}: {formats.count(report.cut_items, 'text')} of {report.items:,} "
        f"({formats.share(report.cut_items / report.items)}), {formats.count(report.cut_tokens, 'token')} lost"
        for name, report in result.passes.items()
        if report.cut_items > CUT_ALARM * report.items
    ]
    if cuts:
        body = f"{'; '.join(cuts)}. What was cut off did not count."
        yield Notice("Texts longer than the models take were cut", body, True)
    if result.selection.skipped:
        body = "The time budget ended before they were scored; with more time another recipe may win."
        yield Notice(f"{formats.count(result.selection.skipped, 'candidate')} skipped", body, True)
    if result.nested:
        folds = len(result.protocol.folds)
        body = (
            f"The data has no split, so the whole search ran {folds} times, each time without one part of the data, "
            "and was tested on that part. Test figures are those of the procedure, selection included. The recipe "
            "below was then chosen on all the data."
        )
        yield Notice(f"Nested cross-validation, {folds} folds", body, False)


def _plain_name(name: str) -> str:
    prefix = "default of "
    return prefix + labels.source(name.removeprefix(prefix)) if name.startswith(prefix) else name
