"""Public names: each is where its table says, documented, typed, and reachable from the top."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
from importlib import import_module
from pathlib import Path

import pytest

import plait
from plait import recipe
from tests.contracts.makers import exported, step_names

SOURCE = Path(plait.__file__).parent


def rooms() -> list[str]:
    """Every package in plait that has a table of names."""
    found = [module.name for module in pkgutil.iter_modules([str(SOURCE)]) if module.ispkg]
    return [room for room in found if hasattr(import_module(f"plait.{room}"), "NAMES")]


def tables() -> list[tuple[str, str, str]]:
    return [(room, name, module) for room in rooms() for name, module in import_module(f"plait.{room}").NAMES.items()]


def test_recipes_are_read_with_the_rooms_at_the_top() -> None:
    assert recipe.ROOMS == plait.ROOMS
    assert recipe.vocabulary() == exported()


@pytest.mark.parametrize(("room", "name", "module"), tables())
def test_name_is_where_its_table_says(room: str, name: str, module: str) -> None:
    value = getattr(import_module(module), name)
    assert getattr(import_module(f"plait.{room}"), name) is value
    assert getattr(value, "__module__", module) == module


def test_no_name_stands_in_two_rooms_for_two_things() -> None:
    seen: dict[str, str] = {}
    for _, name, module in tables():
        assert seen.setdefault(name, module) == module


def test_top_level_names_and_the_type_checkers_block_agree() -> None:
    tree = ast.parse((SOURCE / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    typed = {
        alias.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert None not in typed, "write `from module import Name as Name`: other forms are not re-exported"
    assert typed == exported() | {name: _home(name) for name in plait.FRAME}


def _home(name: str) -> str:
    """The module that defines a name of the frame (a room's table may stand between)."""
    return str(getattr(plait, name).__module__)


def test_every_top_level_name_is_there() -> None:
    for name in [*exported(), *plait.FRAME]:
        assert name in dir(plait)
        assert getattr(plait, name) is getattr(plait, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="MedianPoolx"):
        plait.MedianPoolx  # noqa: B018


def test_rooms_are_reached_without_an_import_of_their_own() -> None:
    assert plait.pooling is import_module("plait.pooling")


@pytest.mark.parametrize("name", sorted({*exported(), *plait.FRAME}))
def test_docstring_says_what_takes_what_and_shows_it(name: str) -> None:
    value = getattr(plait, name)
    text = inspect.getdoc(value) or ""
    assert re.match(r"\S.*[.:]$", text.splitlines()[0]), f"{name}: the first line is one sentence"
    parameters = [p for p in inspect.signature(value).parameters if p not in ("self", "args", "kwargs")]
    if parameters and name != "Step":
        assert "Args:" in text
        for parameter in parameters:
            assert re.search(rf"^ +{parameter}( \(.*\))?: ", text, re.MULTILINE), (
                f"{name}: {parameter} is not described"
            )
    if name in set(step_names()):
        assert "Example:" in text
        assert ">>> " in text
