"""Small pictures that stand in the cells of a table: intervals on one axis, and bars."""

from __future__ import annotations

import math
from collections.abc import Sequence

from plait.evaluation.statistics import Comparison, Interval
from plait.selection.axes import Scale
from plait.selection.markup import Html, escape, line, tag, text


class Whiskers:
    """Dots with their intervals on one axis, drawn one at a time for the rows of a table.

    Args:
        intervals: all that are to be drawn.
        reference: where a line runs through every row: the winner.
    """

    def __init__(self, intervals: Sequence[Interval | Comparison], reference: float) -> None:
        ends = [end for i in intervals for end in (i.low, i.high) if math.isfinite(end)]
        self.reference = reference if math.isfinite(reference) else next(iter(ends), 0.0)
        self.scale = Scale.over([self.reference, *ends], 6, 154)

    def __call__(self, value: float, interval: Interval, best: bool) -> Html:
        """One dot with its whisker; hidden from screen readers, which have the numbers beside it."""
        if not all(map(math.isfinite, (value, interval.low, interval.high))):
            return Html()
        low, high, middle = self.scale(interval.low), self.scale(interval.high), self.scale(value)
        drawn = [
            line(self.scale(self.reference), 0, self.scale(self.reference), 20, "reference"),
            line(low, 10, high, 10, "whisker"),
            line(low, 6, low, 14, "whisker"),
            line(high, 6, high, 14, "whisker"),
            tag("circle", cx=middle, cy=10, r=4),
        ]
        style = "whiskers best" if best else "whiskers"
        return tag("svg", *drawn, class_=style, viewBox="0 0 160 20", aria_hidden="true")

    def axis(self) -> Html:
        """Its scale, for the head of the column."""
        ticks = [(self.scale(value), words) for value, words in self.scale.ticks(3)]
        drawn = [text(x, 12, words, "middle", "tick") for x, words in ticks if 12 < x < 148]
        return tag("svg", *drawn, class_="whiskers", viewBox="0 0 160 16", aria_hidden="true")


def bar(share: float, words: str, solid: bool) -> Html:
    """A horizontal bar that fills a share of its row."""
    width = 100 * min(1.0, max(0.0, share))
    fill = tag("span", "", style=f"width:{width:.1f}%", class_="fill" if solid else "fill out")
    return tag("span", tag("span", fill, class_="bar", aria_hidden="true"), " ", escape(words), class_="barred")
