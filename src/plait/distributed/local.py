"""Shards on processes of this machine. One that dies is replaced, and the new one goes on with the shard."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from queue import SimpleQueue

from plait.distributed.job import Job, ShardOutcome
from plait.distributed.resources import Resources
from plait.distributed.shards import Shard

ATTEMPTS = 3
"""Processes that may die over one shard before it counts as failed."""


def run_local(job: Job, shards: Sequence[Shard], resources: Resources) -> Iterator[ShardOutcome]:
    """What becomes of each shard, as it comes.

    Args:
        job: what is the same for all shards.
        shards: what to embed.
        resources: workers and threads.
    """
    workers = [_Worker(job, resources) for _ in range(min(resources.count, len(shards)))]
    idle: SimpleQueue[_Worker] = SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def done(shard: Shard) -> ShardOutcome:
        worker = idle.get()
        try:
            return worker.embed(shard)
        finally:
            idle.put(worker)

    with ThreadPoolExecutor(len(workers)) as pool:
        waiting = [pool.submit(done, shard) for shard in shards]
        try:
            for outcome in as_completed(waiting):
                yield outcome.result()
        finally:
            for one in waiting:
                one.cancel()
            for worker in workers:
                worker.stop()


class _Worker:
    """A process that embeds one shard after the other."""

    def __init__(self, job: Job, resources: Resources) -> None:
        self._job, self._environment = job, resources.environment
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def embed(self, shard: Shard) -> ShardOutcome:
        """What became of the shard."""
        status: int | None = None
        for _ in range(ATTEMPTS):
            process = self._running()
            if process is None:
                break
            line = _asked(process, shard.to_json())
            if line:
                return ShardOutcome(**json.loads(line))
            status = process.wait()
        return ShardOutcome(
            shard.name, error=f"{ATTEMPTS} workers died over it, the last one with exit status {status}"
        )

    def _running(self) -> subprocess.Popen[str] | None:
        """The process, or a new one in the place of a dead one; None once it is stopped."""
        with self._lock:
            if self._stopped:
                return None
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "plait.distributed.worker"],
                    env=os.environ | self._environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    encoding="utf-8",
                    start_new_session=True,  # Ctrl-C is for the one who gives out the shards
                )
                _send(self._process, self._job.to_json())
            return self._process

    def stop(self) -> None:
        """End the process at once: its shard goes on from its last block another time."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()
                self._process.communicate()


def _asked(process: subprocess.Popen[str], line: str) -> str:
    """The answer to a line; empty if the process is dead."""
    _send(process, line)
    assert process.stdout is not None
    try:
        return process.stdout.readline()
    except ValueError:  # closed by `stop`
        return ""


def _send(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(line + "\n")
        process.stdin.flush()
    except (OSError, ValueError):
        return  # it is dead, and its silence will say so
