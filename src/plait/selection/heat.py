"""Layers against poolings: what each strand is worth untransformed, as a table that is also a picture."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from plait.plan import Strand
from plait.roles import Pooling
from plait.selection import labels
from plait.selection.markup import Html, join, tag
from plait.selection.search import Candidate


@dataclass
class Grid:
    """Scores of one model's strands, or of several models that have no layers.

    Attributes:
        name: the model.
        cells: row and column to candidate.
        corner: what the rows are.
        rows: layers (or models), in order.
        columns: poolings.
    """

    name: str
    corner: str = "layer"
    cells: dict[tuple[str, str], Candidate] = field(default_factory=dict)
    rows: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)

    def put(self, row: str, column: str, candidate: Candidate) -> None:
        """Keep a candidate; of two for the same cell, the one scored on more."""
        if row not in self.rows:
            self.rows.append(row)
        if column not in self.columns:
            self.columns.append(column)
        before = self.cells.get((row, column))
        if before is None or before.share < candidate.share:
            self.cells[row, column] = candidate


def grids(candidates: Iterable[Candidate]) -> list[Grid]:
    """A grid for each model with layers, and one for all that have none."""
    plain = sorted(_plain(candidates), key=lambda item: _order(item[1]))
    several = {strand.source for _, strand in plain if len({s.mix for _, s in plain if s.source == strand.source}) > 1}
    out: dict[str, Grid] = {}
    for candidate, strand in plain:
        name, pooling = labels.source(strand.source), labels.pooling(str(strand.pool))
        if strand.source in several:
            out.setdefault(strand.source, Grid(name)).put(labels.mix(strand), pooling, candidate)
        else:
            out.setdefault("", Grid("Models without a choice of layers", "model")).put(name, pooling, candidate)
    return list(out.values())


def heat(grid: Grid) -> Html:
    """The grid as a table, the better the stronger its colour, the best one framed."""
    scores = [candidate.score for candidate in grid.cells.values()]
    # a pooling that fails altogether would take all the colour
    low, high = float(np.quantile(scores, 0.1)), max(scores)
    best = max(grid.cells.values(), key=lambda c: (c.share, c.score))
    columns = sorted(grid.columns, key=lambda name: -max(c.score for (_, at), c in grid.cells.items() if at == name))
    head = tag("tr", tag("th", grid.corner, scope="col"), *(tag("th", name, scope="col") for name in columns))

    def one(row: str, column: str) -> Html:
        candidate = grid.cells.get((row, column))
        if candidate is None:
            return tag("td", "")
        depth = max(0.0, (candidate.score - low) / (high - low)) if high > low else 1.0
        names = [name for name, on in (("best", candidate is best), ("part", candidate.share < 1)) if on]
        value = f"{candidate.score:.3f}".replace("-", "−")
        return tag("td", value, style=f"--v:{100 * depth:.0f}%", class_=" ".join(names) or None)

    rows = [tag("tr", tag("th", row, scope="row"), *(one(row, column) for column in columns)) for row in grid.rows]
    table = tag("table", tag("caption", grid.name), tag("thead", head), tag("tbody", join(rows)), class_="heat")
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=grid.name)


def _plain(candidates: Iterable[Candidate]) -> Iterable[tuple[Candidate, Strand]]:
    for candidate in candidates:
        last = labels.flat(candidate.recipe)[-1]
        if isinstance(last, Pooling) and math.isfinite(candidate.score):
            yield candidate, next(candidate.recipe.strands())


def _order(strand: Strand) -> tuple[str, bool, int]:
    """By model, single layers before mixes, from the bottom up."""
    return strand.source, len(strand.mix) > 1, strand.mix[0][0]
