"""`Table`: texts, metadata and vectors in LanceDB, with the recipe that made them."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from plait._lazy import need
from plait.recipe import load, save
from plait.rows import checked
from plait.step import Composite, unit_rows
from plait.store.blocks import Layout, Told, block_size, encode_block, encode_queries
from plait.store.exact import Exact
from plait.store.lance import NAME, LanceRows, Version
from plait.store.ranking import Hit, check_same
from plait.store.records import Columns, Record, batched_records, json_of, storable
from plait.store.where import Where, sql
from plait.types import DataError, Floats, Ints, RecipeError

WRITE = 16_384
"""Rows of one write: LanceDB keeps a version for each, and many small ones bloat the table."""
SECONDS = 30.0
"""Time after which fewer rows are written, too: what a kill can cost of a slow encoder's work."""


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
        >>> table.upsert([Record("a woman sings", "1", {"year": 2020})])
        1
        >>> [(hit.id, hit.text) for hit in table.search("music", where={"year": {">=": 2000}})]
        [('1', 'a woman sings')]
    """

    def __init__(self, folder: Path, recipe: Composite, rows: LanceRows) -> None:
        self.folder, self.recipe, self.fingerprint, self._rows = folder, recipe, recipe.fingerprint, rows
        self._exact = Exact(rows, recipe)
        self.cut_texts = 0

    @classmethod
    def create(
        cls,
        path: str | Path,
        recipe: Composite,
        records: Iterable[str | Record] | None = None,
        overwrite: bool = False,
        told: Told = lambda texts, tokens: None,
        resume: bool = False,
    ) -> Table:
        """Embed records into a new table; it appears once it is whole.

        Args:
            path: its folder.
            recipe: a fitted recipe, or one that needs no fitting.
            records: texts, or texts with ids and metadata; read as a stream. None makes an empty table.
            overwrite: replace a table that is there.
            told: how many texts are done, and how many tokens were read.
            resume: go on with what a stopped call has written; the records must be the same.

        Raises:
            DataError: if something is there already, there is no text, or the folder cannot be written.
            RecipeError: if the recipe is not fitted or gives no vectors.
            MissingExtra: if lancedb is not installed.
        """
        path = Path(path)
        if path.exists() and not (overwrite and (path / "recipe").is_dir()):
            hint = "it holds no table" if overwrite else "or overwrite it, or add to it"
            raise DataError(f"{path} exists; choose another folder ({hint})")
        part = path.with_name(path.name + ".part")
        stream = iter(() if records is None else records)
        if resume and (part / "recipe" / "plait.json").exists():
            table = cls.open(part)
            check_same(part, str(table.recipe), table.fingerprint, recipe)
            table._pass_over(stream)
        else:
            table = cls._begin(part, recipe)
        table.add(stream, told)
        if records is not None and not len(table):
            shutil.rmtree(part)
            raise DataError("there is no text to store: the input is empty")
        table.compact(timedelta(0))
        shutil.rmtree(path, ignore_errors=True)
        os.replace(part, path)
        made = cls.open(path)
        made.cut_texts = table.cut_texts
        return made

    @classmethod
    def _begin(cls, folder: Path, recipe: Composite) -> Table:
        need("lancedb", "store")
        layout = Layout.of(recipe)
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        except OSError as error:
            raise DataError(f"cannot write {folder}: {error.strerror or error}; choose another folder") from error
        rows = LanceRows.create(folder, layout)
        save(recipe, folder / "recipe")
        return cls(folder, recipe, rows)

    @classmethod
    def open(cls, path: str | Path, version: int | None = None) -> Table:
        """Open a table.

        Args:
            path: its folder.
            version: one of `versions`, to be searched and copied but not changed; None opens the newest.

        Raises:
            DataError: if there is none, or it is damaged.
            RecipeError: if its recipe's weights are not here or have changed.
            MissingExtra: if lancedb is not installed.
        """
        path = Path(path)
        if not (path / "recipe" / "plait.json").exists() or not (path / f"{NAME}.lance").exists():
            raise DataError(f"{path} is no table of vectors; make one with plait index RECIPE INPUT -o {path}")
        return cls(path, load(path / "recipe"), LanceRows.open(path, version))

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, records: Iterable[str | Record], told: Told = lambda texts, tokens: None) -> int:
        """Embed and store more records, in writes of many rows.

        Args:
            records: texts, or texts with ids and metadata; read as a stream. Those without an id are numbered.
            told: how many texts are embedded, and how many tokens were read; what is stored is ``len(table)``.

        Returns:
            How many were added.

        Raises:
            DataError: if an id is there already, or comes twice; writes before that one are kept.
        """
        return self._ingest(records, told, replace=False)

    def upsert(self, records: Iterable[str | Record], told: Told = lambda texts, tokens: None) -> int:
        """As `add`, but a record whose id is there already takes the place of the old one.

        Returns:
            How many records were read.
        """
        return self._ingest(records, told, replace=True)

    def add_vectors(
        self,
        ids: Sequence[str],
        texts: Sequence[str],
        vectors: ArrayLike,
        metadata: Sequence[Mapping[str, object]] | None = None,
        replace: bool = False,
    ) -> int:
        """Store records whose vectors are there already.

        Args:
            ids: one for each record.
            texts: one for each record.
            vectors: ``[N, D]`` floats as the table's recipe gives them before its compression, or its ``[N, B]`` codes.
            metadata: one for each record.
            replace: put records in the place of those with the same ids.

        Returns:
            How many.

        Raises:
            DataError: if lengths or widths do not fit, rows hold NaN or infinity, or an id is not unique.
        """
        values = self._storable(np.asarray(vectors))
        facts = [{}] * len(ids) if metadata is None else metadata
        if not len(ids) == len(texts) == len(facts) == len(values):
            raise DataError(
                f"got {len(ids)} ids, {len(texts)} texts, {len(facts)} metadata and {len(values)} vectors; "
                "expected as many of each"
            )
        for start in range(0, len(ids), WRITE):
            part = slice(start, start + WRITE)
            lines = [json_of(one, name) for one, name in zip(facts[part], ids[part], strict=True)]
            clean = [[storable(text) for text in column[part]] for column in (ids, texts)]
            self._rows.write(Columns(clean[0], clean[1], lines, values[part]), replace)
        self._changed()
        return len(ids)

    def delete(self, ids: Iterable[str]) -> int:
        """Delete records.

        Returns:
            How many of the ids were there.
        """
        deleted = self._rows.delete([storable(name) for name in ids])
        self._exact.forget()
        return deleted

    def search(self, query: str, recipe: Composite | None = None, k: int = 10, where: Where | None = None) -> list[Hit]:
        """The k texts nearest to a query, by an exact search.

        Args:
            query: a text; it gets the role "query".
            recipe: the recipe that made the table; None takes the copy that is kept in it.
            k: how many.
            where: conditions on the metadata, such as ``{"year": {">=": 2000}, "lang": ["en", "de"]}``.

        Raises:
            RecipeError: if another recipe made the table, with both named; or if k is below 1.
            DataError: if a condition cannot be read.
        """
        if recipe is not None:
            check_same(self.folder, str(self.recipe), self.fingerprint, recipe)
        return self.search_many([query], k, where)[0]

    def search_many(self, queries: Sequence[str], k: int = 10, where: Where | None = None) -> list[list[Hit]]:
        """As `search`, for many queries: they are encoded in one pass, and the table is read once."""
        if not queries:
            return []
        return self.search_vectors(encode_queries(self.recipe, queries), k, where)

    def search_vectors(self, queries: ArrayLike, k: int = 10, where: Where | None = None) -> list[list[Hit]]:
        """As `search_many`, for ``[Q, D]`` floats as the recipe gives them for queries, before its compression."""
        return self.hits(*self.best(queries, k, where))

    def best(self, queries: ArrayLike, k: int, where: Where | None = None) -> tuple[Ints, Floats]:
        """As `search_vectors`, but ``[Q, ≤ k]`` numbers of rows (see `rows`) and scores."""
        if k < 1:
            raise RecipeError(f"k is {k}; expected how many results to return, 1 or more")
        rows = checked(queries, self.recipe).astype(np.float32, copy=False)
        return self._exact.best(rows, k, sql(where) if where else None)

    def hits(self, numbers: Ints, scores: Floats) -> list[list[Hit]]:
        """Records of ``[Q, k]`` rows with their scores; rows below 0 are left out."""
        found = self._rows.take(["id", "text", "metadata"], numbers[numbers >= 0].tolist())
        return [
            [_hit(found[number], score) for number, score in zip(*line, strict=True) if number in found]
            for line in zip(numbers.tolist(), scores.tolist(), strict=True)
        ]

    def sample(self, number: int) -> tuple[list[Record], Floats]:
        """Records spread evenly over the table, all of them if it has no more, and what stands for them in a search.

        Args:
            number: how many at most.

        Returns:
            Records, and their ``[n, D]`` vectors; of codes, what they decode to.
        """
        rows = self.rows()
        chosen = rows[np.linspace(0, len(rows) - 1, min(number, len(rows))).astype(int)].tolist()
        found = self._rows.take(["id", "text", "metadata", "vector"], chosen)
        kept = [found[row] for row in chosen]
        values = np.array([row["vector"] for row in kept], self.layout.dtype)
        if self.recipe.quantiser is not None:
            values = self.recipe.quantiser.inverse_transform(values)
        return [Record(row["text"], row["id"], json.loads(row["metadata"])) for row in kept], values

    def rows(self, where: Where | None = None) -> Ints:
        """Numbers of the rows there are, or of those whose metadata meet the conditions, in their order."""
        return self._rows.numbers(sql(where) if where else None)

    def ids(self, where: Where | None = None) -> list[str]:
        """Ids of the records there are, or of those whose metadata meet the conditions; in no order."""
        return self._rows.ids(sql(where) if where else None)

    @property
    def state(self) -> int:
        """Number of the version that is read: another one after every change."""
        return self._rows.version

    @property
    def stamp(self) -> tuple[int, int]:
        """Another one after every write, whoever wrote; cheap to ask for.

        Raises:
            OSError: if the table is gone, if only for as long as another takes its place.
        """
        return self._rows.stamp

    def versions(self) -> list[Version]:
        """States that can still be opened, oldest first; each write makes one."""
        return self._rows.versions()

    def restore(self, version: int) -> None:
        """Make an old state the newest one; what came after it stays among the versions.

        Raises:
            DataError: if there is no such version.
        """
        self._rows.restore(version)
        self._exact.forget()

    def compact(self, keep: timedelta | None = None) -> None:
        """Join the small files that writes leave behind and drop old versions; large additions do so by themselves.

        Args:
            keep: how long versions are kept; None keeps them for a week. Nobody may be reading one that is dropped.
        """
        self._rows.compact(keep)

    def refresh(self) -> None:
        """See what other processes have written since the table was opened."""
        self._rows.refresh()
        self._exact.forget()

    def reopened(self) -> Table:
        """The table that its folder holds now, made anew or not, with its vectors read and the recipe that is loaded.

        Raises:
            DataError: if there is none, or it is damaged.
            RecipeError: if another recipe made it.
        """
        try:
            facts = json.loads((self.folder / "recipe" / "plait.json").read_text())
        except (OSError, ValueError) as error:
            raise DataError(f"{self.folder} is no table of vectors any more, or damaged; make it again") from error
        if facts.get("fingerprint") != self.fingerprint:
            raise RecipeError(f"{self.folder} was made anew by another recipe than {self.recipe}; open it again")
        table = Table(self.folder, self.recipe, LanceRows.open(self.folder))
        table._exact.hold()
        return table

    def ordered(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Some of the columns id, text, metadata (as JSON) and vector, in the order in which records came, in parts."""
        return self._rows.ordered(columns, WRITE)

    @property
    def layout(self) -> Layout:
        """What one vector looks like."""
        return self._rows.layout

    def _pass_over(self, records: Iterator[str | Record]) -> None:
        """Skip the records that are stored already."""
        number, skipped = len(self), 0
        last: str | Record = ""
        for record in islice(records, number):
            last, skipped = record, skipped + 1
        text = storable(last.text if isinstance(last, Record) else last)
        if number and (skipped < number or self._rows.take(["text"], [number - 1])[number - 1]["text"] != text):
            raise DataError(f"{self.folder} was begun with other texts; leave resume out to start anew")

    def _ingest(self, records: Iterable[str | Record], told: Told, replace: bool) -> int:
        done, tokens, last = 0, 0, time.monotonic()
        pending: list[Columns] = []
        for given in batched_records(records, block_size(self.recipe)):
            block = encode_block(self.recipe, [record.text for record in given], "document")
            pending.append(Columns.of(given, self._storable(block.values)))
            done, tokens = done + len(given), tokens + block.tokens
            self.cut_texts += block.cut_texts
            if sum(map(len, pending)) >= WRITE or time.monotonic() - last > SECONDS:
                self._rows.write(Columns.joined(pending), replace)
                pending, last = [], time.monotonic()
            told(done, tokens)
        if pending:
            self._rows.write(Columns.joined(pending), replace)
        if done:
            self._changed()
        return done

    def _changed(self) -> None:
        self._rows.compact(always=False)
        self._exact.forget()

    def _storable(self, values: NDArray[Any]) -> NDArray[np.generic]:
        """Codes as they are; of floats the codes, or vectors of length one."""
        layout = self.layout
        if layout.is_codes and values.dtype != layout.dtype:
            values = np.asarray(self.recipe.quantiser.transform(checked(values, self.recipe)))  # type: ignore[union-attr]
        elif not layout.is_codes:
            values = unit_rows(checked(values, self.recipe, layout.width).astype(np.float32, copy=False))
        if values.ndim != 2 or values.shape[1] != layout.width:
            raise DataError(f"{self.folder} holds {layout.width} numbers each; got {values.shape} of {values.dtype}")
        return values


def _hit(row: Mapping[str, Any], score: float) -> Hit:
    return Hit(row["id"], row["text"], score, json.loads(row["metadata"]))
