"""Fixtures that every room's tests may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny import write_bert, write_table


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random BERT: 3 layers, 32 wide, 64 positions."""
    return write_bert(tmp_path_factory.mktemp("tiny_bert"))


@pytest.fixture(scope="session")
def tiny_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random static table, 16 wide, laid out as model2vec does."""
    return write_table(tmp_path_factory.mktemp("tiny_table"))
