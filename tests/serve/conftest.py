from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import plait
from plait.serve.app import create_app
from plait.serve.limits import Limits
from plait.serve.models import Model
from plait.serve.searching import TableIndex
from plait.step import Composite
from plait.store.table import Record, Table
from tests.store.makers import TEXTS, floats

pytest.importorskip("lancedb")
TOPICS = ["animals", "animals", "science", "weather", "money"]


@pytest.fixture(scope="session")
def recipe(tiny_table: Path) -> Composite:
    return floats(tiny_table)


@pytest.fixture(scope="session")
def tables(tiny_table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of two tables of the same records: ``first`` of the recipe, ``second`` of another one."""
    folder = tmp_path_factory.mktemp("tables")
    other = plait.parse(f'StaticTable("{tiny_table}") | MaxPool()')
    records = [
        Record(f"{text} <b>Case {copy}</b>.", f"{topic}-{number}-{copy}", {"topic": topic, "copy": copy})
        for copy in range(8)
        for number, (text, topic) in enumerate(zip(TEXTS, TOPICS, strict=True))
    ]
    Table.create(folder / "first", floats(tiny_table), records)
    Table.create(folder / "second", other, records)
    return folder


@pytest.fixture(scope="session")
def client(recipe: Composite, tables: Path) -> Iterator[TestClient]:
    """The application without a network between."""
    indexes = [TableIndex(tables / "first", recipe), TableIndex(tables / "second")]
    limits = Limits(texts=8, characters=500, body=20_000, results=20)
    with TestClient(create_app([Model.of("tiny", recipe)], indexes, limits=limits)) as found:
        yield found
