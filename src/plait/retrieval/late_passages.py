"""Passages whose vectors know the whole document: read first, cut afterwards."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from plait.retrieval.chunking import SEPARATOR
from plait.step import Composite
from plait.store.blocks import Told, batched, block_size, encode_block
from plait.store.records import Record
from plait.store.table import Table
from plait.types import DataError


def late_table(path: Path, recipe: Composite, records: Iterable[Record], overwrite: bool, told: Told) -> Table:
    """A table of the passages of documents; it appears once it is whole.

    Raises:
        DataError: if something is there already, or there is no text.
    """
    if path.exists() and not (overwrite and (path / "recipe").is_dir()):
        raise DataError(f"{path} exists; choose another folder, or overwrite a table")
    table = Table.create(path.with_name(path.name + ".part"), recipe, None, overwrite=True)
    if not add_late(table, records, told):
        shutil.rmtree(table.folder)
        raise DataError("there is no text to store: the input is empty")
    shutil.rmtree(path, ignore_errors=True)
    os.replace(table.folder, path)
    made = Table.open(path)
    made.cut_texts = table.cut_texts
    return made


def add_late(
    table: Table, records: Iterable[Record], told: Told = lambda texts, tokens: None, replace: bool = False
) -> list[str]:
    """Store a record for each passage that the table's recipe makes of documents; gives their ids.

    Args:
        table: of a recipe that ends in `SpanPool`.
        records: documents with ids.
        told: how many documents are done, and how many tokens were read.
        replace: put passages in the place of those with the same ids.
    """
    done = tokens = 0
    made: list[str] = []
    for given in batched(records, block_size(table.recipe)):
        block = encode_block(table.recipe, [record.text for record in given], "document", chunks=True)
        assert block.chunks is not None
        units, spans = block.chunks
        owners = np.repeat(np.arange(len(given)), np.diff(units))
        numbers = np.arange(len(owners)) - units[:-1][owners]
        ids, texts, facts = list[str](), list[str](), list[Mapping[str, object]]()
        for owner, number, (start, end) in zip(owners.tolist(), numbers.tolist(), spans.tolist(), strict=True):
            record = given[owner]
            ids.append(f"{record.id}{SEPARATOR}{number}")
            texts.append(record.text[start:end])
            facts.append({**record.metadata, "document": record.id, "start": start, "end": end})
        table.add_vectors(ids, texts, block.values, facts, replace)
        table.cut_texts += block.cut_texts
        made += ids
        done, tokens = done + len(given), tokens + block.tokens
        told(done, tokens)
    return made
