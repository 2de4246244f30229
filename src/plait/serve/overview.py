"""What is in a collection: the fields to filter by, and a map of a sample on its two principal components."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plait.serve.searching import Sample, Searchable, Value
from plait.store.records import Record
from plait.transforms.principal import Pca
from plait.types import Floats

POINTS = 2000
"""Records on the map: what a browser draws at every step of the mouse."""
MOST_VALUES = 24
"""A field with more different values is a text rather than a choice."""
SHOWN = 160
"""Characters of a text on the map."""


@dataclass(frozen=True, eq=False)
class Overview:
    """What the page shows of a collection.

    Attributes:
        name: of the collection.
        recipe: its text.
        rows: records in it.
        fields: of the metadata, with the values to choose from, the frequent ones first.
        records: of the sample.
        points: ``[n, 2]`` between -1 and 1.
    """

    name: str
    recipe: str
    rows: int
    fields: dict[str, list[Value]]
    records: Sequence[Record]
    points: Floats

    @classmethod
    def of(cls, index: Searchable, number: int = POINTS) -> Overview:
        """Look at a collection.

        Args:
            index: the collection.
            number: records to sample.
        """
        sample = index.sample(number)
        return cls(index.name, str(index.recipe), len(index), choices(sample.records), sample.records, plane(sample))

    def card(self) -> dict[str, object]:
        """What can be asked of it, as JSON."""
        return {"name": self.name, "recipe": self.recipe, "rows": self.rows, "fields": self.fields}

    def map(self) -> dict[str, object]:
        """The points, as JSON."""
        records = self.records
        return {
            "x": [round(float(x), 4) for x in self.points[:, 0]],
            "y": [round(float(y), 4) for y in self.points[:, 1]],
            "id": [record.id for record in records],
            "text": [record.text[:SHOWN] for record in records],
            "fields": {name: [record.metadata.get(name) for record in records] for name in self.fields},
        }


def choices(records: Sequence[Record]) -> dict[str, list[Value]]:
    """Fields with two values or more, but few enough to choose from.

    >>> choices([Record("a", metadata={"lang": "en"}), Record("b", metadata={"lang": "de", "note": "…"})])
    {'lang': ['en', 'de']}
    """
    counts: dict[str, Counter[Value]] = {}
    for record in records:
        for name, value in record.metadata.items():
            if isinstance(value, str | int | float | bool):
                counts.setdefault(name, Counter())[value] += 1
    return {name: [v for v, _ in c.most_common()] for name, c in counts.items() if 2 <= len(c) <= MOST_VALUES}


def plane(sample: Sample) -> Floats:
    """``[n, 2]`` principal components, scaled alike to lie between -1 and 1; zeros where there is nothing to spread."""
    rows, width = sample.vectors.shape
    points = np.zeros((rows, 2), np.float32)
    if rows > 1:
        count = min(2, width)
        points[:, :count] = Pca(count).fit(sample.vectors).transform(sample.vectors)
    return points / max(float(np.abs(points).max(initial=0)), 1e-12)
