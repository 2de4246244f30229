"""Pictures of the report, as SVG: cost against quality, and search strategies against each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from plait.selection import formats
from plait.selection.axes import LINE, Box, Placed, Scale, place, powers
from plait.selection.markup import Html, join, line, svg, tag, text

SHADES = 5
"""Steps of the colour scale; more could not be told apart in a small dot."""
TITLED = 400
"""Dots that name their recipe under the pointer; the page stays small with thousands of candidates."""


@dataclass(frozen=True)
class Dot:
    """A candidate in the cost/quality picture.

    Attributes:
        bytes: of one vector.
        score: on dev.
        milliseconds: of one text.
        name: shown under the pointer.
        label: written beside it if there is room; "" for none.
        mark: "" for one of many, "front", "default" or "winner".
    """

    bytes: int
    score: float
    milliseconds: float
    name: str
    label: str = ""
    mark: str = ""


class Shade:
    """Milliseconds as one of `SHADES` classes, equally wide on a log scale.

    >>> shade = Shade([0.1, 10.0])
    >>> shade(0.1), shade(1.0), shade(10.0)
    (0, 2, 4)
    """

    def __init__(self, milliseconds: Sequence[float]) -> None:
        positive = [value for value in milliseconds if value > 0] or [1.0]
        self.low, self.high = math.log(min(positive)), math.log(max(positive))
        self.steps = SHADES if self.high - self.low > math.log(1.1) else 1

    def __call__(self, value: float) -> int:
        if self.steps == 1 or value <= 0:
            return 0
        place = (math.log(value) - self.low) / (self.high - self.low)
        return min(SHADES - 1, max(0, int(place * SHADES)))

    def key(self) -> Html:
        """What each colour stands for."""
        edges = np.exp(np.linspace(self.low, self.high, self.steps + 1))
        items = [
            tag("li", tag("span", "", class_=f"dot s{n}", aria_hidden="true"), f"{a} to {b}")
            for n, (a, b) in enumerate(pairwise(formats.milliseconds(float(edge)) for edge in edges))
        ]
        return tag("ul", tag("li", "ms a text:"), *items, class_="key")


WIDTH, HEIGHT = 1040.0, 540.0
PLOT = Box(66, 12, 1030, 480)


def front_chart(dots: Sequence[Dot], metric: str, description: str) -> tuple[Html, int]:
    """Every candidate by bytes (log₂) and dev score; returns the picture and how many dots lie below its lower edge."""
    marked = [dot for dot in dots if dot.mark]
    floor = _floor(dots)
    shown, marked = ([dot for dot in some if dot.score >= floor] for some in (dots, marked))
    ticks, first, last = powers(min(d.bytes for d in shown), max(d.bytes for d in shown))
    across = Scale(first, last, PLOT.left + 18, PLOT.right - 18)
    up = Scale.over([dot.score for dot in shown], PLOT.bottom, PLOT.top)
    shade = Shade([dot.milliseconds for dot in dots])

    def at(dot: Dot) -> tuple[float, float]:
        return across(math.log2(max(1, dot.bytes))), up(dot.score)

    frame = [
        *_grid(up),
        *(line(across(math.log2(b)), PLOT.bottom, across(math.log2(b)), PLOT.bottom + 5, "axis") for b in ticks),
        *(text(across(math.log2(b)), PLOT.bottom + 22, formats.binary_size(b), "middle", "tick") for b in ticks),
        line(PLOT.left, PLOT.bottom, PLOT.right, PLOT.bottom, "axis"),
        text((PLOT.left + PLOT.right) / 2, HEIGHT - 8, "bytes of one stored vector (log scale)", "middle", "title"),
        _upright(metric, (PLOT.top + PLOT.bottom) / 2),
    ]
    crowd = _crowd([dot for dot in shown if not dot.mark], at, shade)
    marks = [_mark(dot, at(dot), shade) for dot in sorted(marked, key=lambda dot: dot.mark == "winner")]
    taken = [Box(x - 6, y - 6, x + 6, y + 6) for x, y in map(at, marked)]
    labels = place([(*at(dot), dot.label) for dot in marked if dot.label], PLOT, taken)
    winners = {dot.label for dot in marked if dot.mark == "winner"}
    words = [_named(label, label.words in winners) for label in labels]
    title = "Quality against size of every candidate"
    picture = svg("front", (WIDTH, HEIGHT), title, description, *frame, *crowd, _staircase(shown, at), *marks, *words)
    return join([picture, shade.key()]), len(dots) - len(shown)


def _floor(dots: Sequence[Dot]) -> float:
    """The lowest score worth room: far below the crowd and the defaults, tiny codes would press the rest together."""
    scores = [dot.score for dot in dots]
    kept = [float(np.quantile(scores, 0.1)), *(dot.score for dot in dots if dot.mark in ("winner", "default"))]
    return max(min(scores), max(scores) - 3 * (max(scores) - min(kept)))


def _grid(up: Scale, left: float = PLOT.left, right: float = PLOT.right) -> list[Html]:
    out = []
    for value, words in up.ticks():
        out += [line(left, up(value), right, up(value), "grid"), text(left - 8, up(value) + 4, words, "end", "tick")]
    return out


def _named(label: Placed, best: bool) -> Html:
    leader = line(*label.point, label.x, label.y - 4, "leader") if label.apart else Html()
    return join([leader, text(label.x, label.y, label.words, label.anchor, "name win" if best else "name")])


def _upright(words: str, middle: float) -> Html:
    """The title of an axis that points up."""
    turn = f"translate(14 {middle:.0f}) rotate(-90)"
    return tag("text", words, transform=turn, text_anchor="middle", class_="title")


def _crowd(dots: Sequence[Dot], at: Callable[[Dot], tuple[float, float]], shade: Shade) -> list[Html]:
    """The dots that are no more than dots; those that would cover each other are drawn once."""
    seen: dict[tuple[float, float, int], Dot] = {}
    for dot in sorted(dots, key=lambda dot: -dot.score):
        x, y = at(dot)
        seen.setdefault((round(x, 1), round(y * 2) / 2, shade(dot.milliseconds)), dot)
    return [
        tag("circle", *([_tip(dot)] if number < TITLED else []), cx=x, cy=y, r=2.6, class_=f"dot s{n}")
        for number, ((x, y, n), dot) in enumerate(seen.items())
    ]


def _mark(dot: Dot, where: tuple[float, float], shade: Shade) -> Html:
    x, y = where
    if dot.mark == "winner":
        return tag("path", _tip(dot), d=f"M{x:.1f} {y - 8:.1f}l8 8-8 8-8-8z", class_="best")
    colour = f"mark s{shade(dot.milliseconds)}"
    if dot.mark == "default":
        return tag("rect", _tip(dot), x=x - 4.5, y=y - 4.5, width=9, height=9, class_=colour)
    return tag("circle", _tip(dot), cx=x, cy=y, r=5, class_=colour)


def _tip(dot: Dot) -> Html:
    figures = [formats.score(dot.score), formats.binary_size(dot.bytes), f"{formats.milliseconds(dot.milliseconds)} ms"]
    return tag("title", f"{dot.name[:240]}\n{', '.join(figures)}")


def _staircase(dots: Sequence[Dot], at: Callable[[Dot], tuple[float, float]]) -> Html:
    """The best score to be had for so many bytes or fewer."""
    path, best = "", -math.inf
    for dot in sorted(dots, key=lambda dot: (dot.bytes, -dot.score)):
        if dot.score > best:
            x, y = at(dot)
            path += f"H{x:.1f}V{y:.1f}" if path else f"M{x:.1f} {y:.1f}"
            best = dot.score
    return tag("path", d=f"{path}H{PLOT.right:.1f}", class_="stairs")


def strategies_chart(scores: Mapping[str, Sequence[float]], metric: str, description: str) -> Html:
    """The best score so far of every strategy, by evaluations."""
    best = {name: np.maximum.accumulate(np.nan_to_num(values)) for name, values in scores.items() if len(values)}
    top, bottom, left, right = 12.0, 270.0, PLOT.left, 850.0
    low = min(float(values[values > 0].min(initial=values[-1])) for values in best.values())
    up = Scale.over([low, *(float(values[-1]) for values in best.values())], bottom, top)
    across = Scale(1, max(2, *(len(values) for values in best.values())), left + 6, right)
    ticks = [(value, words) for value, words in across.ticks(6) if value >= 1 and value == int(value)]
    drawn = [
        *_grid(up, left, right),
        *(text(across(value), bottom + 22, f"{value:.0f}", "middle", "tick") for value, _ in ticks),
        line(left, bottom, right, bottom, "axis"),
        text((left + right) / 2, bottom + 46, "evaluations", "middle", "title"),
        _upright(f"best {metric} so far", (top + bottom) / 2),
    ]
    ends = _apart([up(float(values[-1])) for values in best.values()])
    for number, ((name, values), end) in enumerate(zip(best.items(), ends, strict=True)):
        places = [(across(n + 1), up(max(low, float(value)))) for n, value in enumerate(values)]
        path = f"M{places[0][0]:.1f} {places[0][1]:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in places[1:])
        x, y = places[-1]
        drawn += [
            tag("path", d=path, class_=f"run r{number % 4}"),
            tag("circle", cx=x, cy=y, r=3.5, class_=f"end r{number % 4}"),
            tag("path", d=f"M{x + 5:.1f} {y:.1f}L{right + 12:.1f} {end:.1f}", class_="leader"),
            text(right + 18, end + 4, f"{name} {formats.score(float(values[-1]))}", class_=f"name r{number % 4}"),
        ]
    return svg("strategies", (WIDTH, 324), "Search strategies compared", description, *drawn)


def _apart(heights: Sequence[float]) -> list[float]:
    """Heights moved down until a line of text fits between any two.

    >>> _apart([10.0, 11.0, 50.0])
    [10.0, 28.0, 50.0]
    """
    out, last = list(heights), -math.inf
    for number in sorted(range(len(heights)), key=lambda n: heights[n]):
        out[number] = last = max(heights[number], last + LINE + 1)
    return out
