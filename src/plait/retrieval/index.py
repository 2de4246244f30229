"""`Index`: a table of vectors, searched by meaning and by words together."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from plait.bank import locked
from plait.chunks import cuts
from plait.retrieval.chunking import SEPARATOR, Passages, by_document, named
from plait.retrieval.context import context_of
from plait.retrieval.hypothetical import HypotheticalDocuments
from plait.retrieval.late_passages import add_late, late_table
from plait.retrieval.lexical import Bm25
from plait.retrieval.rank_fusion import NOTHING, Ranking, fuse
from plait.retrieval.rescoring import Scorer, rescore, scorer
from plait.retrieval.settings import Settings
from plait.step import Composite
from plait.store.blocks import Told, batched, block_size, encode_queries
from plait.store.ranking import Hit
from plait.store.records import Record
from plait.store.table import Table
from plait.store.where import Where
from plait.types import Ints, RecipeError

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
            RecipeError: if the recipe is not fitted or gives no vectors, documents were to be cut twice, or the best
                are to be looked at token by token by what has no one kind of them.
        """
        settings = settings or Settings()
        if settings.rescore:
            scorer(settings.rescore, recipe)  # who cannot score is refused before anything is read
        late = any(cuts(strand.pool) for strand in recipe.strands())
        if late and (settings.cut or resume):
            what = f"the cut {settings.cut!r}" if settings.cut else "resume"
            raise RecipeError(f"{recipe} cuts documents itself, in one go; leave {what} out")
        if late:
            table = late_table(Path(path), recipe, named(records), overwrite, told)
        elif settings.cut:
            cut = Passages(settings.cut, context_of(settings.context, _written(Path(path))))
            passages = cut.of(named(records), recipe)
            table = Table.create(path, recipe, passages, overwrite, told, resume)
        else:
            table = Table.create(path, recipe, records, overwrite, told, resume)
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
        """Add documents, read as a stream; gives how many records (documents, or passages) came in.

        Raises:
            DataError: if an id is there already.
        """
        before = len(self)
        if self._late:
            add_late(self.table, self._named(records), told)
        elif self.settings.cut:
            self.table.add(self._passages.of(self._named(records), self.table.recipe), told)
        else:
            self.table.add(records, told)
        self.refresh()
        return len(self) - before

    def upsert(self, records: Iterable[str | Record], told: Told = lambda texts, tokens: None) -> int:
        """As `add`, but a document whose id is there already takes the place of the old one, with all its passages.

        New passages are written before old ones go: whatever stops it, a document is there in one form at least.
        """
        if not self._in_passages:
            count = self.table.upsert(records, told)
            self.refresh()
            return count
        count = done = 0
        for part in batched(self._named(records), block_size(self.table.recipe)):
            documents = {str(record.id): record for record in part}  # of several with one id the last counts
            before = set(self._passages_of(documents))
            if self._late:
                ids = add_late(self.table, documents.values(), replace=True)
            else:
                passages = list(self._passages.of(documents.values(), self.table.recipe))
                ids = [str(passage.id) for passage in passages]
                self.table.upsert(passages)
            self.table.delete(sorted(before - set(ids)))
            count, done = count + len(ids), done + len(part)
            told(done, 0)
        self.refresh()
        return count

    def delete(self, ids: Sequence[str]) -> int:
        """Delete documents, with all their passages; gives how many records went."""
        count = self.table.delete(self._passages_of(ids) if self._in_passages else ids)
        self.refresh()
        return count

    def _named(self, records: Iterable[str | Record]) -> Iterator[Record]:
        """Records with ids; a number that is given is above every one that was."""
        rows = self.table.rows()
        return named(records, int(rows[-1]) + 1 if len(rows) else 0)

    def _passages_of(self, documents: Collection[str]) -> list[str]:
        """Ids of the passages of some documents."""
        wanted = set(documents)
        return [name for name in self.table.ids() if name.rpartition(SEPARATOR)[0] in wanted]

    @property
    def _passages(self) -> Passages:
        return Passages(self.settings.cut, context_of(self.settings.context, _written(self.table.folder)))

    def refresh(self) -> None:
        """Bring the index of words up to the table's newest state."""
        self.table.refresh()
        vars(self).pop("_words", None)
        if self.settings.words and len(self.table):
            _ = self._words

    def reopened(self) -> Index:
        """The index that its folder holds now, with its vectors and words read; models that were loaded are kept.

        Raises:
            DataError: if there is none, or it is damaged.
            RecipeError: if another recipe made it.
        """
        index = Index(self.table.reopened(), Settings.read(self.table.folder) or Settings(words=0))
        if index.settings.rescore == self.settings.rescore and "_scorer" in vars(self):
            index._scorer = self._scorer
        if index.settings.words:
            _ = index._words
        return index

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
        wanted = k * (PER_DOCUMENT if self._in_passages else 1)
        if settings.rescore:
            wanted = max(wanted, settings.rescored)
        vectors = encode_queries(recipe, queries) if hyde is None else hyde.transform(queries, recipe)
        depth = wanted if not settings.words else max(wanted, settings.depth)
        found = Ranking(*self.table.best(vectors, depth, where))
        if settings.words:
            found = fuse([found, self._by_words(queries, depth, where)], self._weights, settings.norm, wanted)
        hits = self.table.hits(found.numbers, found.scores)
        if self._scorer is not None:
            look = self._scorer, wanted, settings.share
            hits = [rescore(query, line, *look) for query, line in zip(queries, hits, strict=True)]
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
        return scorer(self.settings.rescore, self.table.recipe) if self.settings.rescore else None

    def _by_words(self, queries: Sequence[str], depth: int, where: Where | None) -> Ranking:
        rows, words = self._words
        if words is None:
            return Ranking.of([(rows, np.zeros(0, np.float32))] * len(queries), depth)
        among = None if where is None else np.flatnonzero(np.isin(rows, self.table.rows(where)))
        found = words.search(queries, depth, among)
        return Ranking(np.where(found.numbers == NOTHING, NOTHING, rows[found.numbers]), found.scores)

    @cached_property
    def _words(self) -> tuple[Ints, Bm25 | None]:
        """Numbers of rows, and the index of their words: the one that was kept, if the table is still the same."""
        folder, rows, state = self.table.folder / WORDS, self.table.rows(), self.table.state
        mark = folder / "state.json"
        if not len(rows):
            return rows, None
        with contextlib.ExitStack() as alone:
            with contextlib.suppress(OSError):  # a table that may only be read is searched all the same
                alone.enter_context(locked(self.table.folder / ".words.lock"))
            if mark.exists() and mark.read_text() == str(state):
                return rows, Bm25.load(folder)
            texts = (text for part in self.table.ordered(["text"]) for text in part.column("text").to_pylist())
            words = Bm25().fit(list(texts))
            with contextlib.suppress(OSError):
                part = folder.with_name(WORDS + ".part")
                shutil.rmtree(part, ignore_errors=True)
                words.save(part)
                (part / mark.name).write_text(str(state))
                shutil.rmtree(folder, ignore_errors=True)
                os.replace(part, folder)
        return rows, words


def _written(table: Path) -> Path:
    """Where sentences that a decoder writes for passages are kept: beside the table, which may be made anew."""
    return table.with_name(f"{table.name}.written")
