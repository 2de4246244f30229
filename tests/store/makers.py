"""A recipe that needs nothing but numpy: a tiny static table on disk."""

from __future__ import annotations

from pathlib import Path

import plait
from plait.step import Composite

TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "Cats and dogs are often kept as pets, and so are rabbits.",
    "The enzyme binds its substrate within 3 milliseconds.",
    "Rain is expected in the north, sunshine in the south.",
    "How long does a transfer to another bank take?",
]


def many(number: int) -> list[str]:
    """Different texts, some of them twice."""
    return [f"{TEXTS[n % len(TEXTS)]} Case {n % (number - number // 10)}." for n in range(number)]


def floats(table: Path) -> Composite:
    """Vectors of 16 numbers."""
    return plait.parse(f'StaticTable("{table}") | MeanPool()')


def codes(table: Path, kind: str) -> Composite:
    """Fitted on some texts, and compressed."""
    return plait.parse(f'StaticTable("{table}") | SifPool() | {kind}()').fit(many(100))
