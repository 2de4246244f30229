"""Shards on Ray Data: a pool of actors that hold the model, on this machine or on a cluster."""

from __future__ import annotations

import json
import logging
import os
import secrets
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from plait._lazy import need
from plait.distributed.job import Job, ShardOutcome, embed_shard
from plait.distributed.resources import Resources
from plait.distributed.shards import Shard
from plait.recipe import load
from plait.types import DataError

STORE = 128 << 20
"""Bytes of Ray's object store on this machine: nothing but names and counts goes through it."""


def run_on_ray(job: Job, shards: Sequence[Shard], resources: Resources) -> Iterator[ShardOutcome]:
    """What becomes of each shard, as it comes.

    Inputs and outputs are read and written by the actors, so that every machine must see them under the same paths.

    Args:
        job: what is the same for all shards.
        shards: what to embed.
        resources: workers, threads and the cluster's address.

    Raises:
        DataError: if Ray cannot be reached, or gives up; finished shards are kept.
        MissingExtra: if Ray is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if resources.address is None and "ray" not in sys.modules:  # it reads these once; else it leaves a token at home
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    ray: Any = need("ray", "ray")
    data: Any = need("ray.data", "ray")
    begun = not ray.is_initialized()
    try:
        if begun:
            _start(ray, resources)
        data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        workers = resources.workers or int(ray.cluster_resources()["CPU"] // resources.threads)
        lines = [{"shard": shard.to_json()} for shard in shards]
        outcomes = data.from_items(lines, override_num_blocks=len(lines)).map_batches(
            _Worker,
            fn_constructor_args=(job.to_json(),),
            batch_size=1,
            batch_format="pyarrow",
            compute=data.ActorPoolStrategy(size=max(1, min(workers, len(shards)))),
            num_cpus=resources.threads,
            num_gpus=resources.gpus,
            runtime_env={"env_vars": resources.environment},
        )
        for row in outcomes.iter_rows():
            yield ShardOutcome(**json.loads(row["outcome"]))
    except (ray.exceptions.RayError, ConnectionError, RuntimeError) as error:
        last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise DataError(f"Ray gave up: {last}; finished shards are kept, and the same call goes on") from error
    finally:
        if begun:
            ray.shutdown()


def _start(ray: Any, resources: Resources) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if resources.address is not None:
        ray.init(address=resources.address, **quiet)
        return
    ray.init(
        num_cpus=resources.count * resources.threads,
        include_dashboard=False,
        object_store_memory=STORE,
        _node_ip_address="127.0.0.1",
        **quiet,
    )


class _Worker:
    """Holds the recipe for as long as the actor lives."""

    def __init__(self, job: str) -> None:
        self._job = Job.from_json(job)
        self._recipe = load(self._job.model)

    def __call__(self, batch: pa.Table) -> pa.Table:
        shards = map(Shard.from_json, batch.column("shard").to_pylist())
        outcomes = [embed_shard(self._job, self._recipe, shard) for shard in shards]
        return pa.table({"outcome": [json.dumps(asdict(outcome)) for outcome in outcomes]})
