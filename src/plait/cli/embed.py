"""``plait embed``: a file of texts to a file of vectors."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plait.cli.arguments import COLUMN, FIT, INPUT, JSON, RECIPE, ready, recipe_of, rows_of
from plait.cli.terminal import Stages, interruptible, megabytes, out, warn
from plait.types import RecipeError

if TYPE_CHECKING:
    from plait.distributed.embedding import EmbeddedShards
    from plait.distributed.resources import Resources
    from plait.store.embedding import Embedding

EXAMPLES = """
Examples:

plait embed runs/demo/model texts.jsonl -o vectors.parquet

plait embed 'Transformer("all-MiniLM-L6-v2") | MeanPool()' texts.csv --column body -o vectors.npy

plait embed 'StaticTable("wordllama") | SifPool() | Int8()' texts.txt --fit -o codes.parquet

plait embed runs/demo/model shards/ -o vectors/ --engine local --workers 4
"""
OUTPUT = typer.Option("--out", "-o", help="The .parquet or .npy file to write; with --engine a folder.")
ENGINE = typer.Option(help="Embed a folder or pattern of .parquet and .jsonl shards: local (processes) or ray.")
WORKERS = typer.Option(min=1, help="With --engine: processes side by side; else as many as the cores allow.")
THREADS = typer.Option(min=1, help="With --engine: arithmetic threads of each worker.")
GPUS = typer.Option(min=0, help="With --engine ray: GPUs of each worker; 0.5 lets two share one.")
ADDRESS = typer.Option(help="With --engine ray: a running cluster's address [Ray is started on this machine].")
BLOCK = typer.Option(min=1, help="Texts encoded at once; else 8192 for static tables, 1024 for transformers.")


def embed(  # noqa: PLR0913 - the options of a command are its parameters
    recipe: Annotated[str, RECIPE],
    source: Annotated[str, INPUT],
    output: Annotated[Path, OUTPUT],
    column: Annotated[str | None, COLUMN] = None,
    role: Annotated[str, typer.Option(help="Whose prompt to use: document or query.")] = "document",
    block: Annotated[int | None, BLOCK] = None,
    fit: Annotated[bool, FIT] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a stopped run was.")] = False,
    engine: Annotated[str | None, ENGINE] = None,
    workers: Annotated[int | None, WORKERS] = None,
    threads: Annotated[int, THREADS] = 1,
    gpus: Annotated[float, GPUS] = 0,
    address: Annotated[str | None, ADDRESS] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Embed a file of texts; it is read as a stream, so a million lines need little memory.

    With --engine a folder of files is embedded by many workers, one file of vectors each; repeated, it goes on.
    """
    started = time.monotonic()
    if engine is not None:
        from plait.distributed.resources import Resources

        made = _shards(
            recipe, source, output, engine, Resources(workers, threads, gpus, address), (column, role, block), fit
        )
        _report_shards(made, time.monotonic() - started, as_json)
        return
    if workers is not None or address is not None:
        raise RecipeError("--workers and --address belong to --engine; say local or ray")
    kept = f"Finished blocks are in {output}.part; go on with the same command and --resume"
    with interruptible(kept), Stages() as stages:
        from plait.data.streams import stream_texts
        from plait.store.embedding import embed as write

        step = ready(recipe_of(recipe), stream_texts(source, column), fit, recipe)
        total = rows_of(source)

        def told(done: float, tokens: int) -> None:
            stages("embed", done, None if total is None else max(total, done), "texts", f"{tokens:,} tokens")

        written = write(step, stream_texts(source, column), output, role, block, resume, told)
    if as_json:
        facts = asdict(written) | {"path": str(written.path), "seconds": time.monotonic() - started}
        typer.echo(json.dumps(facts, indent=1, ensure_ascii=False))
    else:
        _report(written, time.monotonic() - started)


def _shards(
    recipe: str,
    source: str,
    output: Path,
    engine: str,
    resources: Resources,
    settings: tuple[str | None, str, int | None],
    fit: bool,
) -> EmbeddedShards:
    column = settings[0]
    with interruptible("Finished shards are kept; the same command goes on"), Stages() as stages:
        from plait.data.streams import stream_texts
        from plait.distributed.embedding import embed_shards
        from plait.distributed.shards import find_shards

        texts = (text for shard in find_shards(source) for text in stream_texts(shard.source, column))
        step = ready(recipe_of(recipe), texts, fit, recipe)

        def told(done: int, total: int, rows: int) -> None:
            stages("embed", done, total, "shards", f"{rows:,} texts")

        with contextlib.redirect_stdout(sys.stderr):  # Ray has its say on stdout, where results go
            return embed_shards(step, source, output, engine, resources, *settings, told)


def _report_shards(made: EmbeddedShards, seconds: float, as_json: bool) -> None:
    if as_json:
        typer.echo(
            json.dumps(asdict(made) | {"folder": str(made.folder), "seconds": seconds}, indent=1, ensure_ascii=False)
        )
        return
    if made.cut_texts:
        warn(f"{made.cut_texts:,} texts were cut by the length limit")
    before = f", {made.reused:,} of them done before" if made.reused else ""
    show = out().print
    show(f"{made.shards:,} shards{before}, {made.rows:,} texts in {seconds:.1f} s ({made.cpu_seconds:.1f} CPU-s)")
    show(f"vectors  {made.folder}")


def _report(written: Embedding, seconds: float) -> None:
    if written.cut_texts:
        warn(f"{written.cut_texts:,} texts were cut by the length limit, {written.cut_tokens:,} tokens lost")
    layout = written.layout
    kind = "bytes of codes" if layout.is_codes else "numbers"
    before = f", {written.reused:,} of them done before" if written.reused else ""
    size = megabytes(written.path.stat().st_size)
    show = out().print
    show(f"{written.rows:,} texts{before} in {seconds:.1f} s: {layout.width} {kind} each, {size}")
    show(f"vectors  {written.path}")
    if written.path.suffix == ".parquet":
        show(f'\nplait search {written.path} "your query"')
