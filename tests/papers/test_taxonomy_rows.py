"""Every row of every taxonomy against what the rooms export and the catalogue holds."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import plait
from plait.papers import paper, taxonomies, taxonomy
from plait.papers.taxonomy_rows import Row
from plait.types import DataError


def exported() -> dict[str, str]:
    """Public names of all rooms, and the module of each."""
    rooms = [room.name for room in pkgutil.iter_modules(plait.__path__) if room.ispkg]
    tables = [getattr(importlib.import_module(f"plait.{room}"), "NAMES", {}) for room in rooms]
    return {name: module for table in tables for name, module in table.items()}


@pytest.mark.parametrize("name", taxonomies())
def test_every_component_can_be_imported(name: str) -> None:
    known = exported()
    for row in taxonomy(name):
        for component in row.components:
            assert component in known, f"{name}: {row.fields} names {component}, which no room exports"
            assert hasattr(importlib.import_module(known[component]), component)
        assert row.status == ("available" if row.components else "described only")


@pytest.mark.parametrize("name", taxonomies())
def test_every_card_is_in_the_catalogue(name: str) -> None:
    for row in taxonomy(name):
        assert all(paper(slug).slug == slug for slug in row.cards)


@pytest.mark.parametrize("name", taxonomies())
def test_no_row_is_there_twice_and_no_cell_is_empty(name: str) -> None:
    rows = [tuple(row.fields.items()) for row in taxonomy(name)]
    assert len(set(rows)) == len(rows)
    assert all(value for row in rows for _, value in row)


def test_the_axes_of_a_language_model_embedder_are_all_there() -> None:
    axes = {row.fields["axis"] for row in taxonomy("llm-embedding")}
    expected = "host strategy prompt layer pooling attention objective parameters data output dimension length reach"
    assert axes >= set(expected.split())


def test_a_row_can_be_printed() -> None:
    row = Row({"axis": "pooling", "value": "mean"}, ("MeanPool", "MaxPool"), ("whitening-bert",))
    assert row.as_dict() == {
        "axis": "pooling",
        "value": "mean",
        "components": "MeanPool, MaxPool",
        "cards": "whitening-bert",
        "status": "available",
    }


def test_an_unknown_table_is_refused_with_those_there_are() -> None:
    with pytest.raises(DataError, match=r"no taxonomy 'llm'; there are .*llm-embedding"):
        taxonomy("llm")
