"""`Diagnosis`: what every function of this room returns that measures more than one number."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import ClassVar, TypeAlias

Row: TypeAlias = dict[str, float]


class Diagnosis(ABC):
    """A table of figures that can be printed, kept and drawn.

    Attributes:
        axes: columns of the table that a drawing puts on x and y; of a third one it makes colours.
    """

    axes: ClassVar[tuple[str, ...]]

    @abstractmethod
    def table(self) -> list[Row]:
        """One row an observation; ``pandas.DataFrame(result.table())`` is the same as a frame."""

    def to_json(self) -> str:
        """The table as JSON."""
        return json.dumps(self.table(), indent=1, allow_nan=False)

    def plot(self) -> dict[str, object]:
        """A drawing of the table as a Vega-Lite chart, which ``altair.Chart.from_dict`` and notebooks show."""
        channels = zip(("x", "y", "color"), self.axes, strict=False)
        return {
            "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
            "data": {"values": self.table()},
            "mark": {"type": "line", "point": True},
            "encoding": {
                channel: {"field": name, "type": "nominal" if channel == "color" else "quantitative"}
                for channel, name in channels
            },
        }
