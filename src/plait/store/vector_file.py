"""`VectorFile`: a Parquet file of vectors that names its recipe, searched where it lies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from plait.step import Composite
from plait.store.blocks import Layout, encode_queries
from plait.store.packed_recipe import unpack
from plait.store.ranking import Hit, check_same, top, top_codes
from plait.store.shards import matrix, vector_schema
from plait.types import DataError, Floats, Ints

NUMBERS = "vector.list.element"
"""What Parquet calls the numbers in a column of vectors."""


class VectorFile:
    """A file that `embed` wrote.

    Args:
        path: the ``.parquet`` file.

    Attributes:
        recipe: text of the recipe that made it.
        fingerprint: of that recipe.
        layout: of a vector.
        rows: how many vectors it holds.

    Raises:
        DataError: if there is no such file, it is damaged, or `embed` did not write it.

    Example:
        >>> from plait import MeanPool, StaticTable
        >>> from plait.store import embed
        >>> texts = ["a plane takes off", "a man plays the flute"]
        >>> path = embed(StaticTable("wordllama") | MeanPool(), texts, "v.parquet").path
        >>> VectorFile(path).search("aircraft", k=1)[0].text
        'a plane takes off'
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise DataError(f"{path} is no file; expected a .parquet file that plait embed wrote")
        try:
            self._file = pq.ParquetFile(self.path)
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"{path} cannot be read as Parquet: {error}") from error
        metadata = self._file.schema_arrow.metadata or {}
        if b"plait" not in metadata:
            raise DataError(f"{path} does not name the recipe of its vectors; expected a file that plait embed wrote")
        facts = json.loads(metadata[b"plait"])
        self.recipe, self.fingerprint = str(facts["recipe"]), str(facts["fingerprint"])
        self.layout, self.rows = Layout(facts["dtype"], facts["width"]), int(facts["rows"])
        self._packed = metadata[b"plait.recipe"]

    def load(self) -> Composite:
        """The recipe that made the vectors, fitted."""
        return unpack(self._packed)

    def blocks(self) -> Iterator[np.ndarray]:
        """``[N, B]`` vectors or codes, a row group at a time."""
        for group in range(self._file.num_row_groups):
            yield matrix(self._file.read_row_group(group, ["vector"]).column("vector"), self.layout)

    def search(self, query: str, recipe: Composite | None = None, k: int = 10) -> list[Hit]:
        """The k texts nearest to a query, by an exact search.

        Args:
            query: a text; it gets the role "query".
            recipe: the recipe that made the file; None takes the one kept in it.
            k: how many.

        Raises:
            RecipeError: if another recipe made the file, with both named.
        """
        if recipe is None:
            recipe = self.load()
        else:
            check_same(self.path, self.recipe, self.fingerprint, recipe)
        numbers, scores = self._best(encode_queries(recipe, [query]), recipe, k)
        found = self._rows(numbers[0])
        return [
            Hit(found[n].get("id", str(n)), found[n]["text"], score, json.loads(found[n].get("metadata", "{}")))
            for n, score in zip(numbers[0].tolist(), scores[0].tolist(), strict=True)
        ]

    def _best(self, queries: Floats, recipe: Composite, k: int) -> tuple[Ints, Floats]:
        if recipe.quantiser is None:
            starts = accumulate(self._sizes, initial=0)
            numbered = (
                (np.arange(start, start + len(block)), block)
                for start, block in zip(starts, self.blocks(), strict=False)
            )
            return top(queries, numbered, k)
        codes = np.concatenate(list(self.blocks()))
        return top_codes(queries, np.arange(len(codes)), codes, recipe.quantiser, k)

    @property
    def _sizes(self) -> list[int]:
        """Rows of each row group."""
        groups = range(self._file.num_row_groups)
        return [self._file.metadata.row_group(group).num_rows for group in groups]

    def _rows(self, numbers: Ints) -> dict[int, dict[str, str]]:
        """Texts of some rows, and ids and metadata where there are any; only row groups that hold them are read."""
        ends = np.cumsum(self._sizes)
        columns = [name for name in ("id", "text", "metadata") if name in self._file.schema_arrow.names]
        groups = np.searchsorted(ends, numbers, side="right")
        found: dict[int, dict[str, str]] = {}
        for group in np.unique(groups).tolist():
            mine = numbers[groups == group]
            table = self._file.read_row_group(group, columns).take(mine - (ends[group] - self._sizes[group]))
            found |= dict(zip(mine.tolist(), table.to_pylist(), strict=True))
        return found


def vector_writer(
    where: Path, layout: Layout, facts: Mapping[str, object], model: str, texts: Sequence[str] = ()
) -> pq.ParquetWriter:
    """Begin a file of vectors.

    Args:
        where: the file.
        layout: of a vector.
        facts: about the vectors: recipe, fingerprint, rows, dtype and width at least.
        model: the packed recipe.
        texts: columns of text beyond row, text and vector.
    """
    schema = vector_schema(layout)
    for name in texts:
        schema = schema.append(pa.field(name, pa.string()))
    schema = schema.with_metadata({"plait": json.dumps(facts, ensure_ascii=False), "plait.recipe": model})
    compression = {name: "zstd" for name in ("row", "text", *texts)} | {NUMBERS: "none"}
    # Parquet knows no bytes: without a dictionary of its 256 values a code's number takes four.
    return pq.ParquetWriter(where, schema, compression=compression, use_dictionary=[NUMBERS] if layout.is_codes else [])
