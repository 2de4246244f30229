"""A stream of texts to a file of vectors: bounded memory, resumable, whole or not there at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa

from plait.bank import write_atomic
from plait.step import Composite
from plait.store.blocks import Layout, Told, batched, block_size, encode_block
from plait.store.packed_recipe import pack
from plait.store.shards import Counts, Shards, matrix, need_space, read_shard
from plait.store.vector_file import vector_writer
from plait.types import DataError, RecipeError

SUFFIXES = (".parquet", ".npy")


@dataclass(frozen=True)
class Embedding:
    """What `embed` wrote.

    Attributes:
        path: the file.
        rows: texts, and vectors.
        layout: of a vector.
        tokens: that the encoders read.
        cut_texts: texts that a length limit cut (equal ones in a block count once).
        cut_tokens: tokens they lost.
        reused: texts that an earlier, stopped run had done.
        fingerprint: of the recipe.
    """

    path: Path
    rows: int
    layout: Layout
    tokens: int
    cut_texts: int
    cut_tokens: int
    reused: int
    fingerprint: str


def embed(
    recipe: Composite,
    texts: Iterable[str],
    out: str | Path,
    role: str = "document",
    block: int | None = None,
    resume: bool = False,
    told: Told = lambda texts, tokens: None,
    facts: Mapping[str, object] | None = None,
) -> Embedding:
    """Encode texts of any number into a file.

    Finished blocks lie in ``OUT.part`` until the last one is there; then they are joined and the file appears, whole.

    Args:
        recipe: a fitted recipe, or one that needs no fitting.
        texts: what to encode; read as a stream.
        out: a ``.parquet`` file (columns row, text, vector; the recipe in its metadata) or a ``.npy`` file (with the
            recipe's name and fingerprint in a ``.json`` file beside it). A file that is there is replaced.
        role: "query" or "document".
        block: texts that are encoded at once; None takes 8,192 for static tables and 1,024 for transformers.
        resume: use the blocks that a stopped run left.
        told: how it goes on.
        facts: what else to keep in the file's metadata.

    Raises:
        DataError: if there is no text, or the file cannot be written.
        RecipeError: if the recipe is not fitted or gives no vectors.

    Example:
        >>> from plait import MeanPool, StaticTable
        >>> written = embed(StaticTable("wordllama") | MeanPool(), ["a text", "another"], "vectors.parquet")
        >>> written.rows, written.layout.width
        (2, 256)
    """
    out, size = Path(out), block_size(recipe) if block is None else block
    if out.suffix not in SUFFIXES:
        raise DataError(f"{out} is neither .parquet nor .npy; name the output one of the two")
    if size < 1:
        raise RecipeError(f"block is {size}; expected how many texts to encode at once, 1 or more")
    texts = iter(texts)
    first = next(texts, None)
    if first is None:
        raise DataError("there is no text to embed: the input is empty")
    texts = chain([first], texts)
    layout = Layout.of(recipe, role)
    fingerprint = recipe.fingerprint
    settings = {"recipe": str(recipe), "fingerprint": fingerprint, "role": role, "block": size}
    shards = Shards(out.with_name(out.name + ".part"), layout, settings, resume)
    paths, counts, reused = _blocks(recipe, texts, role, size, shards, told)
    rows, tokens = sum(count.rows for count in counts), sum(count.tokens for count in counts)
    cut_texts, cut_tokens = sum(count.cut_texts for count in counts), sum(count.cut_tokens for count in counts)
    about = {
        **(facts or {}),
        **settings,
        "rows": rows,
        "dtype": layout.dtype,
        "width": layout.width,
        "tokens": tokens,
        "cut_texts": cut_texts,
        "cut_tokens": cut_tokens,
    }
    need_space(shards.folder, sum(path.stat().st_size for path in paths))
    if out.suffix == ".npy":
        _join_npy(paths, rows, layout, shards.folder / "whole.npy")
        write_atomic(out.with_suffix(".json"), json.dumps(about, indent=1, ensure_ascii=False).encode())
        os.replace(shards.folder / "whole.npy", out)
    else:
        _join_parquet(paths, layout, about, pack(recipe), shards.folder / "whole.parquet")
        os.replace(shards.folder / "whole.parquet", out)
    shutil.rmtree(shards.folder)
    return Embedding(out, rows, layout, tokens, cut_texts, cut_tokens, reused, fingerprint)


def _blocks(
    recipe: Composite, texts: Iterable[str], role: str, size: int, shards: Shards, told: Told
) -> tuple[list[Path], list[Counts], int]:
    """Encode every block that is not there yet; what there is then, and how many texts of it were there before."""
    paths: list[Path] = []
    counts: list[Counts] = []
    row = tokens = reused = 0
    for number, given in enumerate(batched(texts, size)):
        block = [_storable(text) for text in given]
        path = shards.path(number, block)
        if path.exists():
            reused += len(block)
        else:

            def within(share: float, read: int, row: int = row, tokens: int = tokens, size: int = len(block)) -> None:
                told(row + share * size, tokens + read)

            made = encode_block(recipe, block, role, within)
            shards.write(path, row, block, made)
        counts.append(read_shard(path)[1])
        paths.append(path)
        row += len(block)
        tokens += counts[-1].tokens
        told(row, tokens)
    return paths, counts, reused


def _storable(text: str) -> str:
    """The text without lone surrogates, which no file can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _join_parquet(paths: Sequence[Path], layout: Layout, facts: dict[str, object], model: str, where: Path) -> None:
    """One row group a block."""
    with vector_writer(where, layout, facts, model) as writer:
        for path in paths:
            batch, _ = read_shard(path)
            writer.write_table(pa.Table.from_batches([batch]).cast(writer.schema), row_group_size=len(batch))


def _join_npy(paths: Sequence[Path], rows: int, layout: Layout, where: Path) -> None:
    whole = np.lib.format.open_memmap(where, "w+", np.dtype(layout.dtype), (rows, layout.width))
    row = 0
    for path in paths:
        values = matrix(read_shard(path)[0].column("vector"), layout)
        whole[row : row + len(values)] = values
        row += len(values)
    whole.flush()
