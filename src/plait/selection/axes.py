"""From numbers to places on a page: scales, their ticks, and labels that do not run into each other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

CHARACTER = 7.6
"""Width of a letter in a label, in units of the drawing; a little wide, so that estimates err on the safe side."""
LINE = 17.0


@dataclass(frozen=True)
class Scale:
    """A linear map from numbers to places.

    Args:
        low: number at ``start``.
        high: number at ``end``.
        start: place of ``low``.
        end: place of ``high``; below ``start`` on an axis that points up.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    @classmethod
    def over(cls, values: Iterable[float], start: float, end: float, room: float = 0.06) -> Self:
        """A scale on which all values lie, with some room at both ends.

        >>> Scale.over([2.0, 2.0], 0, 100)(2.0)
        50.0
        """
        known = list(values)
        low, high = min(known), max(known)
        margin = room * (high - low) or max(abs(high), 1.0) * 0.01
        return cls(low - margin, high + margin, start, end)

    def ticks(self, number: int = 5) -> list[tuple[float, str]]:
        """Round numbers within the scale, about ``number`` of them, as they are to be written.

        >>> Scale(0.6, 0.85, 0, 1).ticks()
        [(0.6, '0.60'), (0.65, '0.65'), (0.7, '0.70'), (0.75, '0.75'), (0.8, '0.80'), (0.85, '0.85')]
        """
        rough = (self.high - self.low) / number
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough * 0.999)
        digits = max(0, -math.floor(math.log10(step) + 1e-9)) + (1 if f"{step / power:g}" == "2.5" else 0)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [(round(n * step, 12), f"{n * step:.{digits}f}".replace("-", "−")) for n in range(first, last + 1)]


def powers(low: int, high: int, most: int = 9) -> tuple[list[int], int, int]:
    """Powers of two to write on an axis, and the exponents that enclose the numbers.

    >>> powers(48, 1536)
    ([32, 64, 128, 256, 512, 1024, 2048], 5, 11)
    """
    first, last = math.floor(math.log2(max(1, low))), math.ceil(math.log2(max(1, high)))
    last = max(last, first + 1)
    step = math.ceil((last - first + 1) / most)
    return [2**n for n in range(first, last + 1, step)], first, last


@dataclass(frozen=True)
class Box:
    """A rectangle."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether the two overlap."""
        beside = self.right <= other.left or other.right <= self.left
        return not (beside or self.bottom <= other.top or other.bottom <= self.top)

    def holds(self, other: Box) -> bool:
        """Whether the other lies inside."""
        inside = self.left <= other.left and other.right <= self.right
        return inside and self.top <= other.top and other.bottom <= self.bottom


@dataclass(frozen=True)
class Placed:
    """A label that found room: its words, where its baseline begins or ends, and the point that it names."""

    words: str
    x: float
    y: float
    anchor: str
    point: tuple[float, float]

    @property
    def box(self) -> Box:
        """What it covers."""
        width = CHARACTER * len(self.words)
        left = self.x if self.anchor == "start" else self.x - width
        return Box(left, self.y - LINE + 4, left + width, self.y + 4)

    @property
    def apart(self) -> bool:
        """Whether it stands so far from its point that a line should join them."""
        return not -12 <= self.y - self.point[1] <= 12


def place(points: Sequence[tuple[float, float, str]], frame: Box, taken: Sequence[Box]) -> list[Placed]:
    """Labels beside their points, the most important first; one that finds no room is left out.

    Args:
        points: x, y and words, by importance.
        frame: labels stay inside.
        taken: what they must not cover.

    >>> frame = Box(0, 0, 200, 100)
    >>> labels = place([(50, 50, "one"), (52, 50, "two")], frame, [])
    >>> labels[0].box.meets(labels[1].box)
    False
    """
    out: list[Placed] = []
    for x, y, words in points:
        full = [*taken, *(label.box for label in out)]
        for label in _tries(x, y, words):
            if frame.holds(label.box) and not any(label.box.meets(box) for box in full):
                out.append(label)
                break
    return out


def _tries(x: float, y: float, words: str) -> Iterable[Placed]:
    # left of the point and right above it first: there no staircase runs
    near = [(-1, 5.0), (1, -9.0), (-1, -9.0), (1, 20.0), (-1, 20.0), (1, 5.0)]
    far = [(side, rise) for rise in (-28.0, 38.0, -46.0, 56.0) for side in (-1, 1)]
    for side, rise in [*near, *far]:
        yield Placed(words, x + side * 10, y + rise, "start" if side > 0 else "end", (x, y))
