"""One file that says what belongs to a folder of vectors, in which order, and how far it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from plait.bank import write_atomic
from plait.distributed.job import Job, ShardOutcome
from plait.distributed.shards import Shard
from plait.types import DataError

NAME = "manifest.json"
LOCK = ".lock"


def check_manifest(job: Job) -> None:
    """Refuse to mix vectors of two jobs in one folder.

    Raises:
        DataError: if the folder holds something else, or was begun with other settings.
    """
    path = job.folder / NAME
    if not path.exists():
        if job.folder.exists() and not (job.model.is_dir() or _is_empty(job.folder)):
            raise DataError(f"{job.folder} exists and holds no vectors of shards; choose another folder")
        return
    before = read_manifest(path)
    changed = [
        f"{key} was {before.get(key)!r}, is {now!r}" for key, now in job.settings().items() if before.get(key) != now
    ]
    if changed:
        raise DataError(f"cannot go on in {job.folder}: {'; '.join(changed)}; choose another folder")


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and all(path.name == LOCK for path in folder.iterdir())


def read_manifest(path: Path) -> dict[str, Any]:
    """Read it.

    Raises:
        DataError: if it is damaged.
    """
    try:
        read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DataError(f"{path} is damaged ({error}); delete it, and the finished shards are found again") from error
    return read


def write_manifest(job: Job, shards: Sequence[Shard], done: Iterable[ShardOutcome]) -> None:
    """Say which shards there are and which are done; an output stands under its shard's name."""
    outcomes = {outcome.name: outcome for outcome in done if not outcome.error}
    lines = []
    for shard in shards:
        line: dict[str, object] = {"name": shard.name, "source": str(shard.source), "bytes": shard.size}
        if (outcome := outcomes.get(shard.name)) is not None:
            counts = {"rows": outcome.rows, "tokens": outcome.tokens}
            line |= counts | {"cut_texts": outcome.cut_texts, "cut_tokens": outcome.cut_tokens}
        lines.append(line)
    rows = sum(outcome.rows for outcome in outcomes.values())
    facts = {**job.settings(), "rows": rows, "done": len(outcomes), "shards": lines}
    write_atomic(job.folder / NAME, json.dumps(facts, indent=1, ensure_ascii=False).encode())
