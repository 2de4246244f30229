"""A worker's process: shards come in as lines of JSON, what became of them goes out in the same way."""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import asdict
from queue import SimpleQueue

from plait.distributed.job import Job, embed_shard
from plait.distributed.shards import Shard
from plait.recipe import load


def main() -> None:
    """Read the job, then shards, until whoever gives them out is gone."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    lines: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    job = Job.from_json(lines.get())
    recipe = load(job.model)
    while True:
        outcome = embed_shard(job, recipe, Shard.from_json(lines.get()))
        print(json.dumps(asdict(outcome)), file=answers, flush=True)


def _listen(lines: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)  # nobody waits for the shard at hand, and the next run would write it at the same time


if __name__ == "__main__":
    main()
