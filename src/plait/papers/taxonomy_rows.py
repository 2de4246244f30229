"""`taxonomy`: the tables of surveys, each row with the component that serves it, as data in ``taxonomies/``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from plait.types import DataError

DESCRIBED = "described only"
"""Status of a row that no component serves."""


@dataclass(frozen=True)
class Row:
    """One entry of a taxonomy.

    Attributes:
        fields: what its columns say, by name; the same names in every row of a table.
        components: exported names that serve it; none where it is only described.
        cards: slugs of the published systems that it stands for.
    """

    fields: Mapping[str, str]
    components: tuple[str, ...]
    cards: tuple[str, ...]

    @property
    def status(self) -> str:
        """Whether it is "available" or "described only"."""
        return "available" if self.components else DESCRIBED

    def as_dict(self) -> dict[str, str]:
        """The row as it is printed."""
        joined = {"components": ", ".join(self.components), "cards": ", ".join(self.cards)}
        return {**self.fields, **joined, "status": self.status}


def taxonomies() -> list[str]:
    """Names of the tables that there are.

    Example:
        >>> "llm-embedding" in taxonomies()
        True
    """
    return sorted(path.name.removesuffix(".toml") for path in _folder().iterdir() if path.name.endswith(".toml"))


def taxonomy(name: str) -> list[Row]:
    """The rows of a table.

    Args:
        name: one of `taxonomies`.

    Raises:
        DataError: if there is no such table, or its rows do not have the same columns.

    Example:
        >>> [row.fields["value"] for row in taxonomy("llm-embedding") if row.fields["axis"] == "pooling"][:2]
        ['last token', 'mean']
    """
    if name not in taxonomies():
        raise DataError(f"there is no taxonomy {name!r}; there are {', '.join(taxonomies())}")
    entries = tomllib.loads((_folder() / f"{name}.toml").read_text(encoding="utf-8"))["row"]
    rows = [_row(name, entry) for entry in entries]
    columns = {tuple(row.fields) for row in rows}
    if len(columns) > 1:
        raise DataError(f"the rows of {name}.toml have different columns: {'; '.join(map(', '.join, sorted(columns)))}")
    return rows


def _row(name: str, entry: Mapping[str, object]) -> Row:
    lists = {key: entry.get(key, []) for key in ("components", "cards")}
    fields = {key: value for key, value in entry.items() if key not in lists}
    if not all(isinstance(value, list) for value in lists.values()) or not all(
        isinstance(value, str) for value in fields.values()
    ):
        raise DataError(f"a row of {name}.toml is {entry}; components and cards are lists, all else is text")
    return Row({key: str(value) for key, value in fields.items()}, *(tuple(value) for value in lists.values()))  # type: ignore[arg-type]


def _folder() -> Traversable:
    return files("plait.papers").joinpath("taxonomies")
