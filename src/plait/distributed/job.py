"""The one function that every engine calls: the path of a shard in, a finished file of vectors out."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from plait.data.streams import stream_texts
from plait.distributed.shards import Shard
from plait.step import Composite
from plait.store.embedding import embed
from plait.types import PlaitError


@dataclass(frozen=True)
class Job:
    """What is the same for all shards.

    Attributes:
        folder: where the outputs go; every worker sees it under this path.
        recipe: text of the recipe.
        fingerprint: of the recipe.
        role: "query" or "document".
        block: texts that are encoded at once; it decides the last bits of vectors, so that all engines share it.
        column: of the texts; None recognises it.
    """

    folder: Path
    recipe: str
    fingerprint: str
    role: str
    block: int
    column: str | None

    @property
    def model(self) -> Path:
        """The saved recipe that workers load."""
        return self.folder / "recipe"

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self) | {"folder": str(self.folder)})

    @classmethod
    def from_json(cls, line: str) -> Job:
        """What `to_json` wrote."""
        facts = json.loads(line)
        return cls(**facts | {"folder": Path(facts["folder"])})

    def settings(self) -> dict[str, object]:
        """All that decides the vectors."""
        return {name: value for name, value in asdict(self).items() if name != "folder"}


@dataclass(frozen=True)
class ShardOutcome:
    """What became of a shard.

    Attributes:
        name: of the shard.
        rows: texts, and vectors.
        tokens: that the encoders read.
        cut_texts: texts that a length limit cut.
        cut_tokens: tokens they lost.
        seconds: that a worker spent on it.
        cpu_seconds: that its cores were at work for it.
        error: why there is no output; empty if there is one.
    """

    name: str
    rows: int = 0
    tokens: int = 0
    cut_texts: int = 0
    cut_tokens: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    error: str = ""


def embed_shard(job: Job, recipe: Composite, shard: Shard) -> ShardOutcome:
    """Embed one shard into one Parquet file, as `plait.store.embed` does; it appears once it is whole.

    What a killed worker left of the shard is used.

    Args:
        job: what is the same for all shards.
        recipe: the job's recipe, loaded.
        shard: what to embed.
    """
    started, used, out = time.monotonic(), time.process_time(), shard.output(job.folder)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        texts = stream_texts(shard.source, job.column)
        made = embed(recipe, texts, out, job.role, job.block, resume=True, facts=_about(job, shard))
    except (PlaitError, OSError) as error:
        return ShardOutcome(shard.name, seconds=time.monotonic() - started, error=str(error))
    counts = (made.rows, made.tokens, made.cut_texts, made.cut_tokens)
    return ShardOutcome(shard.name, *counts, time.monotonic() - started, time.process_time() - used)


def _about(job: Job, shard: Shard) -> dict[str, object]:
    """What an output says of its input."""
    return {"shard": shard.stamp, "column": job.column}


def finished(job: Job, shard: Shard) -> ShardOutcome | None:
    """What became of a shard whose output is there, made from this very file; None if it is yet to be made."""
    try:
        metadata = pq.read_schema(shard.output(job.folder)).metadata or {}
    except (OSError, pa.ArrowInvalid):
        return None
    facts = json.loads(metadata.get(b"plait", b"{}"))
    wanted = _about(job, shard) | {"fingerprint": job.fingerprint, "role": job.role, "block": job.block}
    if any(facts.get(name) != value for name, value in wanted.items()):
        return None
    return ShardOutcome(shard.name, facts["rows"], facts["tokens"], facts["cut_texts"], facts["cut_tokens"])
