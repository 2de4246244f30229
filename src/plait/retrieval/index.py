"""`Index`: a table of vectors, searched by meaning and by words together."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from plait.chunks import cuts
from plait.retrieval.chunking import SEPARATOR, Passages, by_document
from plait.retrieval.hypothetical import HypotheticalDocuments
from plait.retrieval.lexical import Bm25
from plait.retrieval.rank_fusion import NOTHING, Ranking, fuse
from plait.retrieval.rescoring import CrossEncoder, Scorer, rescore
from plait.retrieval.settings import Settings
from plait.step import Composite
from plait.store.blocks import Told, batched, block_size, encode_queries, float_part
from plait.store.ranking import Hit
from plait.store.records import Record
from plait.store.table import Table
from plait.store.where import Where
from plait.types import DataError, Ints, RecipeError

WORDS = "words"
"""Folder of the index of words, in that of the table."""
PER_DOCUMENT = 5
"""Passages looked at for each document wanted."""


class Index:
    """A table that is searched by meaning, by words, or by both, and whose documents may lie in it as passages.

    Any table opens as an index; one that `create` made has settings and an index of words beside it. What changes the
    table later is seen: the index of words is made anew, which takes seconds for 100,000 texts.

    Attributes:
        table: the table.
        settings: how it is searched.

    Example:
        >>> from plait import MeanPool, StaticTable
        >>> records = [Record("A plane takes off. It is loud.", "plane"), Record("A man plays the flute.", "man")]
        >>> recipe = StaticTable("wordllama") | MeanPool()
        >>> index = Index.create("index", recipe, records, Settings(cut="sentences:1", words=0.5))
        >>> [(hit.id, hit.text) for hit in index.search("loud aircraft", k=2)]
        [('plane#1', 'It is loud.'), ('man#0', 'A man plays the flute.')]
    """

    def __init__(self, table: Table, settings: Settings) -> None:
        self.table, self.settings = table, settings

    @classmethod
    def create(
        cls,
        path: str | Path,
        recipe: Composite,
        records: Iterable[str | Record],
        settings: Settings | None = None,
        overwrite: bool = False,
        told: Told = lambda texts, tokens: None,
        resume: bool = False,
    ) -> Self:
        """Make an index of documents; it appears once it is whole.

        Args:
            path: its folder.
            recipe: fitted. One that ends in `SpanPool` cuts the documents itself, after reading them whole.
            records: documents; those without ids are numbered.
            settings: None searches whole documents by both.
            overwrite: replace a table that is there.
            told: how many texts are done, and how many tokens were read.
            resume: go on with what a stopped call has written; the documents must be the same.

        Raises:
            DataError: if something is there already, or there is no text.
            RecipeError: if the recipe is not fitted or gives no vectors, or documents were to be cut twice.
        """
        settings = settings or Settings()
        late = any(cuts(strand.pool) for strand in recipe.strands())
        if late and settings.cut:
            raise RecipeError(f"{recipe} cuts documents itself; leave the cut {settings.cut!r} out")
        named = _named(records)
        if late:
            table = _create_late(Path(path), recipe, named, overwrite, told)
        else:
            cut = Passages(settings.cut, settings.context).of(named, float_part(recipe)) if settings.cut else named
            table = Table.create(path, recipe, cut, overwrite, told, resume)
        index = cls(table, settings)
        settings.write(table.folder)
        index.refresh()
        return index

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open an index, or a table that is no more than that.

        Raises:
            DataError: if there is none, or it is damaged.
        """
        table = Table.open(path)
        return cls(table, Settings.read(table.folder) or Settings(words=0))

    def __len__(self) -> int:
        return len(self.table)

    def add(self, records: Iterable[str | Record], told: Told = lambda texts, tokens: None) -> int:
        """Add documents; gives how many records (documents, or passages) came in.

        Raises:
            DataError: if an id is there already.
        """
        before = len(self)
        self._write(list(_named(records, len(self))), told)
        return len(self) - before

    def upsert(self, records: Iterable[str | Record], told: Told = lambda texts, tokens: None) -> int:
        """As `add`, but a document whose id is there already takes the place of the old one, with all its passages."""
        given = list(_named(records, len(self)))
        if self._in_passages:
            self.delete([str(record.id) for record in given])
            before = len(self)
            self._write(given, told)
            return len(self) - before
        return self._changed(self.table.upsert(given, told))

    def delete(self, ids: Sequence[str]) -> int:
        """Delete documents, with all their passages; gives how many records went."""
        found: list[str] = list(ids)
        if self._in_passages:
            found = [name for part in batched(ids, 500) for name in self.table.ids({"document": part})]
        return self._changed(self.table.delete(found))

    def _write(self, records: Sequence[Record], told: Told) -> None:
        settings, recipe = self.settings, self.table.recipe
        if self._late:
            _add_late(self.table, records, told)
        else:
            cut = Passages(settings.cut, settings.context).of(records, float_part(recipe)) if settings.cut else records
            self.table.add(cut, told)
        self._changed(0)

    def _changed(self, count: int) -> int:
        self.refresh()
        return count

    def refresh(self) -> None:
        """Bring the index of words up to the table's newest state."""
        self.table.refresh()
        vars(self).pop("_words", None)
        if self.settings.words and len(self.table):
            _ = self._words

    def search(self, query: str, k: int = 10, where: Where | None = None) -> list[Hit]:
        """The k documents that answer a query best; of a document in passages the best passage.

        Args:
            query: a text.
            k: how many.
            where: conditions on the metadata, as `Table.search` takes them.
        """
        return self.search_many([query], k, where)[0]

    def search_many(
        self,
        queries: Sequence[str],
        k: int = 10,
        where: Where | None = None,
        hyde: HypotheticalDocuments | None = None,
    ) -> list[list[Hit]]:
        """As `search`, for many queries.

        Args:
            queries: Q texts.
            k: how many.
            where: as in `search`.
            hyde: searches by meaning with the vectors of documents that are written for each query.
        """
        if k < 1:
            raise RecipeError(f"k is {k}; expected how many results to return, 1 or more")
        if not queries:
            return []
        settings, recipe = self.settings, self.table.recipe
        wanted = (max(k, settings.rescored) if settings.rescore else k) * (PER_DOCUMENT if self._in_passages else 1)
        vectors = encode_queries(recipe, queries) if hyde is None else hyde.transform(queries, recipe)
        depth = wanted if not settings.words else max(wanted, settings.depth)
        found = Ranking(*self.table.best(vectors, depth, where))
        if settings.words:
            found = fuse([found, self._by_words(queries, depth, where)], self._weights, settings.norm, wanted)
        hits = self.table.hits(found.numbers, found.scores)
        if self._scorer is not None:
            hits = [rescore(q, line, self._scorer, wanted) for q, line in zip(queries, hits, strict=True)]
        return [by_document(line, k) if self._in_passages else line[:k] for line in hits]

    @property
    def _weights(self) -> tuple[float, float]:
        return 1 - self.settings.words, self.settings.words

    @property
    def _late(self) -> bool:
        return any(cuts(strand.pool) for strand in self.table.recipe.strands())

    @property
    def _in_passages(self) -> bool:
        return bool(self.settings.cut) or self._late

    @cached_property
    def _scorer(self) -> Scorer | None:
        return CrossEncoder(self.settings.rescore) if self.settings.rescore else None

    def _by_words(self, queries: Sequence[str], depth: int, where: Where | None) -> Ranking:
        rows, words = self._words
        among = None if where is None else np.flatnonzero(np.isin(rows, self.table.rows(where)))
        found = words.search(queries, depth, among)
        return Ranking(np.where(found.numbers == NOTHING, NOTHING, rows[found.numbers]), found.scores)

    @cached_property
    def _words(self) -> tuple[Ints, Bm25]:
        """Numbers of rows, and the index of their words: the one that was kept, if the table is still the same."""
        folder, rows = self.table.folder / WORDS, self.table.rows()
        mark = folder / "state.json"
        if mark.exists() and json.loads(mark.read_text()) == self.table.state:
            return rows, Bm25.load(folder)
        texts = [text for part in self.table.ordered(["text"]) for text in part.column("text").to_pylist()]
        words, state = Bm25().fit(texts), self.table.state
        part = folder.with_name(WORDS + ".part")
        shutil.rmtree(part, ignore_errors=True)
        words.save(part)
        (part / mark.name).write_text(json.dumps(state))
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(part, folder)
        return rows, words


def _named(records: Iterable[str | Record], first: int = 0) -> Iterator[Record]:
    for number, given in enumerate(records, first):
        record = given if isinstance(given, Record) else Record(given)
        yield record if record.id is not None else Record(record.text, str(number), record.metadata)


def _create_late(path: Path, recipe: Composite, records: Iterable[Record], overwrite: bool, told: Told) -> Table:
    """A table of passages whose vectors know the whole document."""
    if path.exists() and not (overwrite and (path / "recipe").is_dir()):
        raise DataError(f"{path} exists; choose another folder, or overwrite a table")
    table = Table.create(path.with_name(path.name + ".part"), recipe, None, overwrite=True)
    if not _add_late(table, records, told):
        shutil.rmtree(table.folder)
        raise DataError("there is no text to store: the input is empty")
    shutil.rmtree(path, ignore_errors=True)
    os.replace(table.folder, path)
    return Table.open(path)


def _add_late(table: Table, records: Iterable[Record], told: Told) -> int:
    """Read documents whole, and store a record for each of their passages; gives how many documents there were."""
    done = 0
    for given in batched(records, block_size(table.recipe)):
        made = table.recipe.encode([record.text for record in given])
        assert made.units is not None and made.spans is not None
        owners = np.repeat(np.arange(len(given)), np.diff(made.units))
        numbers = np.arange(len(owners)) - made.units[:-1][owners]
        ids, texts, facts = list[str](), list[str](), list[Mapping[str, object]]()
        for owner, number, (start, end) in zip(owners.tolist(), numbers.tolist(), made.spans.tolist(), strict=True):
            record = given[owner]
            ids.append(f"{record.id}{SEPARATOR}{number}")
            texts.append(record.text[start:end])
            facts.append({**record.metadata, "document": record.id, "start": start, "end": end})
        table.add_vectors(ids, texts, made.values, facts)
        done += len(given)
        told(done, 0)
    return done
