"""`embed_shards`: a folder of texts to a folder of vectors, by whichever engine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from plait.bank import locked
from plait.data.files import listing
from plait.distributed.job import Job, ShardOutcome, finished
from plait.distributed.local import run_local
from plait.distributed.manifest import LOCK, check_manifest, write_manifest
from plait.distributed.on_ray import run_on_ray
from plait.distributed.resources import Resources
from plait.distributed.shards import Shard, find_shards
from plait.recipe import save
from plait.step import Composite
from plait.store.blocks import Layout, block_size
from plait.types import DataError, RecipeError

Engine: TypeAlias = Callable[[Job, Sequence[Shard], Resources], Iterator[ShardOutcome]]
ENGINES: dict[str, Engine] = {"local": run_local, "ray": run_on_ray}
SECONDS = 2.0
"""Between two writings of the manifest."""
Told = Callable[[int, int, int], None]
"""Told how many shards are done, of how many, and how many texts they hold."""


@dataclass(frozen=True)
class EmbeddedShards:
    """What `embed_shards` wrote.

    Attributes:
        folder: one Parquet file for each shard, ``manifest.json`` and the saved recipe.
        shards: how many.
        reused: shards that an earlier call had finished.
        rows: texts, and vectors.
        layout: of a vector.
        tokens: that the encoders read.
        cut_texts: texts that a length limit cut.
        worker_seconds: that workers spent in this call, together, once they had loaded the recipe.
        cpu_seconds: that their cores were at work in this time.
        fingerprint: of the recipe.
    """

    folder: Path
    shards: int
    reused: int
    rows: int
    layout: Layout
    tokens: int
    cut_texts: int
    worker_seconds: float
    cpu_seconds: float
    fingerprint: str


def embed_shards(  # noqa: PLR0913 - what is embedded, how, and by whom
    recipe: Composite,
    source: str | os.PathLike[str],
    folder: str | Path,
    engine: str = "local",
    resources: Resources | None = None,
    column: str | None = None,
    role: str = "document",
    block: int | None = None,
    told: Told = lambda done, total, rows: None,
) -> EmbeddedShards:
    """Embed a folder of Parquet or JSONL files, a file of vectors for each, in the order of its rows.

    A call that was stopped goes on when it is repeated: finished shards are never redone, half-finished ones go on from
    their last block. A shard whose file has changed is made anew. The engines give the same bytes.

    Args:
        recipe: a fitted recipe, or one that needs no fitting.
        source: the folder, or a pattern such as ``texts/*.parquet``.
        folder: where the vectors go.
        engine: "local" for processes of this machine, "ray" for Ray Data (`plait[ray]`).
        resources: workers, threads, and a cluster's address.
        column: of the texts; by default it is recognised in each file.
        role: "query" or "document".
        block: texts that are encoded at once; None takes 8,192 for static tables and 1,024 for transformers.
        told: how it goes on.

    Raises:
        DataError: if there is no shard, the folder belongs to another job, or shards failed; the others are kept then.
        RecipeError: if the recipe is not fitted, gives no vectors, or the engine is another one.
        MissingExtra: if Ray is asked for and not installed.

    Example:
        >>> from plait import MeanPool, StaticTable
        >>> from plait.distributed import cut
        >>> cut("demo:scifact", "texts", rows=600)
        2
        >>> recipe = StaticTable("wordllama") | MeanPool()
        >>> made = embed_shards(recipe, "texts", "vectors", resources=Resources(workers=1))
        >>> made.shards, made.layout.width
        (2, 256)
    """
    if engine not in ENGINES:
        raise RecipeError(f"engine is {engine!r}; expected one of {', '.join(ENGINES)}")
    layout = Layout.of(recipe, role)
    size = block_size(recipe) if block is None else block
    job = Job(Path(folder).absolute(), str(recipe), recipe.fingerprint, role, size, column)
    shards = find_shards(source)
    check_manifest(job)
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror or error}; choose another folder") from error
    with locked(job.folder / LOCK):
        before = {shard.name: outcome for shard in shards if (outcome := finished(job, shard)) is not None}
        write_manifest(job, shards, before.values())
        save(recipe, job.model)
        new = _work(job, shards, before, ENGINES[engine], resources or Resources(), told)
    failed = [outcome for outcome in new if outcome.error]
    if failed:
        raise DataError(
            f"{len(failed)} of {len(shards)} shards failed, and the others are kept: "
            + listing(f"{outcome.name} ({outcome.error})" for outcome in failed)
        )
    done = [*before.values(), *new]
    rows, tokens, cut_texts = (sum(getattr(one, name) for one in done) for name in ("rows", "tokens", "cut_texts"))
    spent = sum(outcome.seconds for outcome in new), sum(outcome.cpu_seconds for outcome in new)
    return EmbeddedShards(
        Path(folder), len(shards), len(before), rows, layout, tokens, cut_texts, *spent, job.fingerprint
    )


def _work(
    job: Job, shards: Sequence[Shard], before: dict[str, ShardOutcome], engine: Engine, resources: Resources, told: Told
) -> list[ShardOutcome]:
    """What became of the shards that were yet to be made."""
    waiting = [shard for shard in shards if shard.name not in before]
    new: list[ShardOutcome] = []
    rows, written = sum(outcome.rows for outcome in before.values()), time.monotonic()
    told(len(before), len(shards), rows)
    try:
        for outcome in engine(job, waiting, resources) if waiting else ():
            new.append(outcome)
            rows += outcome.rows
            told(len(before) + len(new), len(shards), rows)
            if time.monotonic() - written > SECONDS:
                write_manifest(job, shards, [*before.values(), *new])
                written = time.monotonic()
    finally:
        write_manifest(job, shards, [*before.values(), *new])
    return new
