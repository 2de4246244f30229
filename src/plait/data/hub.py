"""Data sets of the Hugging Face hub, through the `datasets` library (the extra ``plait[hf]``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from plait._lazy import need
from plait.data.files import part_of
from plait.data.tables import Row, Table
from plait.types import DataError


def hub_tables(name: str) -> list[tuple[str, Table]]:
    """Each split of a data set as a part's name and a table; class numbers become class names.

    Args:
        name: ``owner/name``, or ``owner/name:configuration``; a local folder in the hub's layout works as well.

    Raises:
        MissingExtra: if `datasets` is not installed.
        DataError: if the data set cannot be loaded, or none of its splits is called train, validation or test.
    """
    datasets: Any = need("datasets", "hf")
    identifier, _, configuration = name.partition(":")
    try:
        loaded = datasets.load_dataset(identifier, configuration or None)
    except (OSError, ValueError, RuntimeError, LookupError) as error:
        raise DataError(f"the data set {name!r} cannot be loaded: {_first_line(error)}") from error
    except datasets.exceptions.DatasetsError as error:
        raise DataError(f"the data set {name!r} cannot be loaded: {_first_line(error)}") from error
    splits = [(part_of(split)[0], split) for split in loaded]
    known = [(part, split) for part, split in splits if part]
    if not known and len(splits) > 1:
        raise DataError(f"{name!r} has the splits {', '.join(loaded)}; expected train, validation, test, or only one")
    return [(part or "all", _table(f"{name} ({split})", loaded[split])) for part, split in known or splits]


def _table(name: str, split: Any) -> Table:
    columns = tuple(split.column_names)
    classes = {column: _class_names(split.features[column]) for column in columns}

    def pick(wanted: Sequence[str]) -> Iterator[Row]:
        for number, record in enumerate(split.select_columns(list(dict.fromkeys(wanted))), 1):
            yield number, tuple([_named(record[column], classes[column]) for column in wanted])

    lists = frozenset(column for column in columns if _is_list(split.features[column]))
    return Table(name, columns, pick, lists, unit="row")


def _is_list(feature: Any) -> bool:
    return isinstance(feature, list) or getattr(feature, "feature", None) is not None


def _class_names(feature: Any) -> list[str] | None:
    inner = feature[0] if isinstance(feature, list) else getattr(feature, "feature", feature)
    names = getattr(inner, "names", None)
    return list(names) if names else None


def _named(value: object, names: list[str] | None) -> object:
    """A class number as its name; −1, which stands for no label on the hub, as nothing."""
    if names is None:
        return value
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else None


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
