"""Figures of a search that survive a kill."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path


class Scoreboard:
    """Figures that survive a kill: one JSON line each, found again by fold, share, kind and recipe.

    Args:
        path: the file; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._known: dict[str, float] = {}
        for line in path.read_text().splitlines() if path and path.exists() else []:
            try:
                key, value = json.loads(line)
            except (ValueError, TypeError):  # the line a kill cut short
                continue
            self._known[key] = value
        if path and path.exists():
            path.write_text("".join(json.dumps(item) + "\n" for item in self._known.items()))

    def get(self, key: str, compute: Callable[[], float]) -> float:
        """The figure under ``key``, computed if it is not there."""
        if key not in self._known:
            value = float(compute())
            self._known[key] = value
            if self.path:
                with self.path.open("a") as file:
                    file.write(json.dumps([key, value]) + "\n")
        return self._known[key]
