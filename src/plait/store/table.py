"""`Table`: texts, metadata and vectors in LanceDB, with the recipe that made them."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from plait._lazy import need
from plait.recipe import load, save
from plait.step import Composite, unit_rows
from plait.store.blocks import Block, Layout, Told, batched, block_size, encode_block, encode_query
from plait.store.ranking import Hit, check_same, top_codes
from plait.store.shards import fixed_lists, matrix, need_space
from plait.types import DataError, Floats, RecipeError

WRITE = 16_384
"""Rows of one write: LanceDB keeps a version for each, and many small ones bloat the table."""
TIES = 100
"""Rows fetched beyond the k asked for, so that equal texts come in the order in which they were added."""
_NAME = "items"


@dataclass(frozen=True)
class Record:
    """A text to store.

    Args:
        text: what is embedded.
        id: its name; None numbers it.
        metadata: what else to keep, as JSON can hold it.
    """

    text: str
    id: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)


class Table:
    """A searchable table of texts. Make it with `create`, open it with `open`.

    Its folder holds the LanceDB table and a copy of the saved recipe, so that a search needs nothing else.

    Attributes:
        folder: where it lies.
        recipe: the fitted recipe that made its vectors.
        fingerprint: of that recipe.
        cut_texts: texts that a length limit cut while this object added them.

    Example:
        >>> from plait import MeanPool, StaticTable
        >>> texts = ["a plane takes off", "a man plays the flute"]
        >>> table = Table.create("table", StaticTable("wordllama") | MeanPool(), texts)
        >>> table.search("aircraft", k=1)[0].text
        'a plane takes off'
    """

    def __init__(self, folder: Path, recipe: Composite, fingerprint: str, handle: Any) -> None:
        self.folder, self.recipe, self.fingerprint, self._handle = folder, recipe, fingerprint, handle
        self.cut_texts = 0

    @classmethod
    def create(
        cls,
        path: str | Path,
        recipe: Composite,
        records: Iterable[str | Record],
        overwrite: bool = False,
        told: Told = lambda texts, tokens: None,
    ) -> Table:
        """Embed records into a new table; it appears once it is whole.

        Args:
            path: its folder.
            recipe: a fitted recipe, or one that needs no fitting.
            records: texts, or texts with ids and metadata; read as a stream.
            overwrite: replace a table that is there.
            told: how many texts are done, and how many tokens were read.

        Raises:
            DataError: if something is there already, there is no text, or the folder cannot be written.
            RecipeError: if the recipe is not fitted or gives no vectors.
            MissingExtra: if lancedb is not installed.
        """
        lancedb: Any = need("lancedb", "store")
        path = Path(path)
        if path.exists() and not (overwrite and (path / "recipe").is_dir()):
            hint = "it holds no table" if overwrite else "or overwrite it, or add to it"
            raise DataError(f"{path} exists; choose another folder ({hint})")
        layout = Layout.of(recipe)
        part = path.with_name(path.name + ".part")
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
        except OSError as error:
            raise DataError(f"cannot write {path}: {error.strerror or error}; choose another folder") from error
        save(recipe, part / "recipe")
        handle = lancedb.connect(str(part)).create_table(_NAME, schema=_schema(layout))
        table = cls(part, recipe, recipe.fingerprint, handle)
        if not table.add(records, told):
            shutil.rmtree(part)
            raise DataError("there is no text to store: the input is empty")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of other readers; nobody else knows of this folder yet
            handle.optimize(cleanup_older_than=timedelta(0))
        shutil.rmtree(path, ignore_errors=True)
        os.replace(part, path)
        made = cls.open(path)
        made.cut_texts = table.cut_texts
        return made

    @classmethod
    def open(cls, path: str | Path) -> Table:
        """Open a table.

        Raises:
            DataError: if there is none.
            RecipeError: if its recipe's weights are not here or have changed.
            MissingExtra: if lancedb is not installed.
        """
        lancedb: Any = need("lancedb", "store")
        path = Path(path)
        if not (path / "recipe" / "plait.json").exists() or not (path / f"{_NAME}.lance").exists():
            raise DataError(f"{path} is no table of vectors; make one with plait index RECIPE INPUT -o {path}")
        recipe = load(path / "recipe")
        return cls(path, recipe, recipe.fingerprint, lancedb.connect(str(path)).open_table(_NAME))

    def __len__(self) -> int:
        return int(self._handle.count_rows())

    def add(self, records: Iterable[str | Record], told: Told = lambda texts, tokens: None) -> int:
        """Embed and store more records, in writes of many rows, then compact the table.

        Returns:
            How many were added.
        """
        start, done, tokens = len(self), 0, 0
        pending: list[pa.RecordBatch] = []
        for given in batched_records(records, block_size(self.recipe)):
            block = encode_block(self.recipe, [record.text for record in given], "document")
            pending.append(self._batch(given, block, start + done))
            done, tokens = done + len(given), tokens + block.tokens
            self.cut_texts += block.cut_texts
            if sum(map(len, pending)) >= WRITE:
                self._write(pending)
                pending = []
            told(done, tokens)
        if pending:
            self._write(pending)
        if done:
            self._handle.optimize()
            vars(self).pop("_codes", None)
        return done

    def search(self, query: str, recipe: Composite | None = None, k: int = 10) -> list[Hit]:
        """The k texts nearest to a query, by an exact search.

        Args:
            query: a text; it gets the role "query".
            recipe: the recipe that made the table; None takes the copy that is kept in it.
            k: how many.

        Raises:
            RecipeError: if another recipe made the table, with both named; or if k is below 1.
        """
        if recipe is not None:
            check_same(self.folder, str(self.recipe), self.fingerprint, recipe)
        if k < 1:
            raise RecipeError(f"k is {k}; expected how many results to return, 1 or more")
        vector = encode_query(self.recipe, query)
        if self.recipe.quantiser is not None:
            blocks = (self._codes[start : start + WRITE] for start in range(0, len(self._codes), WRITE))
            numbers, scores = top_codes(vector, blocks, self.recipe.quantiser, k)
            found = self._handle.take_offsets(numbers.tolist()).to_arrow()
            place = {number: row for row, number in enumerate(found.column("row").to_pylist())}
            return _hits(found.take([place[number] for number in numbers.tolist()]), scores.tolist())
        ask = self._handle.search(unit_rows(vector)[0]).distance_type("dot").bypass_vector_index().limit(k + TIES)
        rows = ask.select(["row", "id", "text", "metadata", "_distance"]).to_arrow()
        rows = rows.sort_by([("_distance", "ascending"), ("row", "ascending")])[:k]
        return _hits(rows, [1 - distance for distance in rows.column("_distance").to_pylist()])

    def sample(self, number: int) -> tuple[list[Record], Floats]:
        """Records spread evenly over the table, all of them if it has no more, and what stands for them in a search.

        Args:
            number: how many at most.

        Returns:
            Records, and their ``[n, D]`` vectors; of codes, what they decode to.
        """
        rows = np.linspace(0, len(self) - 1, min(number, len(self))).astype(int)
        found = self._handle.take_offsets(rows.tolist()).to_arrow().sort_by("row")
        values = matrix(found.column("vector"), Layout.of(self.recipe))
        if self.recipe.quantiser is not None:
            values = self.recipe.quantiser.inverse_transform(values)
        kept = found.select(["text", "id", "metadata"]).to_pylist()
        return [Record(row["text"], row["id"], json.loads(row["metadata"])) for row in kept], values

    @cached_property
    def _codes(self) -> Any:
        layout = Layout.of(self.recipe)
        rows = self._handle.search().select(["row", "vector"]).limit(len(self)).to_arrow()
        return matrix(rows.sort_by("row").column("vector"), layout)

    def _batch(self, records: list[Record], block: Block, first: int) -> pa.RecordBatch:
        numbers = range(first, first + len(records))
        values = block.values
        if values.dtype == np.float32:
            values = unit_rows(values)  # type: ignore[arg-type]
        return pa.record_batch(
            [
                pa.array(numbers, pa.int64()),
                pa.array([record.id or str(n) for n, record in zip(numbers, records, strict=True)], pa.string()),
                pa.array([record.text for record in records], pa.string()),
                pa.array([_json(record) for record in records], pa.string()),
                fixed_lists(values),
            ],
            schema=_schema(Layout(str(values.dtype), values.shape[1])),
        )

    def _write(self, batches: list[pa.RecordBatch]) -> None:
        need_space(self.folder, sum(batch.nbytes for batch in batches))
        self._handle.add(pa.Table.from_batches(batches))


def batched_records(records: Iterable[str | Record], size: int) -> Iterator[list[Record]]:
    """Lists of records, texts alone turned to records."""
    whole = (record if isinstance(record, Record) else Record(record) for record in records)
    clean = (Record(r.text.encode("utf-8", "replace").decode(), r.id, r.metadata) for r in whole)
    yield from batched(clean, size)


def _schema(layout: Layout) -> pa.Schema:
    item = pa.field("item", pa.from_numpy_dtype(np.dtype(layout.dtype)), nullable=False)
    texts = [(name, pa.string()) for name in ("id", "text", "metadata")]
    return pa.schema([("row", pa.int64()), *texts, ("vector", pa.list_(item, layout.width))])


def _json(record: Record) -> str:
    try:
        return json.dumps(record.metadata, ensure_ascii=False)
    except TypeError as error:
        raise DataError(f"the metadata of {record.id or record.text[:40]!r} cannot be kept as JSON: {error}") from error


def _hits(rows: pa.Table, scores: list[float]) -> list[Hit]:
    found = zip(rows.select(["id", "text", "metadata"]).to_pylist(), scores, strict=True)
    return [Hit(row["id"], row["text"], float(score), json.loads(row["metadata"])) for row, score in found]
