"""Tasks: their names and parts, and the table of what the room exports."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

import plait.data
from plait.data import Labels, Task
from plait.types import DataError


def test_unknown_kind() -> None:
    with pytest.raises(DataError, match="'ranking'; expected one of retrieval"):
        Task("ranking", "t", ())  # type: ignore[arg-type]


@pytest.mark.parametrize("names", [("training",), ("all", "test")])
def test_unknown_parts(names: tuple[str, ...]) -> None:
    part = Labels(np.array([0]), ("a",))
    with pytest.raises(DataError, match="expected some of train, dev, test, or only all"):
        Task("classification", "t", ("x",), parts=dict.fromkeys(names, part))


def test_types_and_table_name_the_same() -> None:
    tree = ast.parse(Path(plait.data.__file__).read_text())
    typed = {(a.asname, node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for a in node.names}
    assert {(name, module) for name, module in typed if name} == set(plait.data.NAMES.items())
    for name in plait.data.NAMES:
        assert getattr(plait.data, name) is not None
