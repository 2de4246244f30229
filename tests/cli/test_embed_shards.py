"""``plait embed --engine``: many workers, killed and stopped."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

import plait
from plait.distributed import Resources, embed_shards
from tests.cli.running import Cli, finished, process
from tests.distributed.makers import bytes_of, times_of, write

ONE = Resources(workers=1)
needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="needs signals")


def workers_of(parent: int) -> list[psutil.Process]:
    children = psutil.Process(parent).children(recursive=True)
    return [child for child in children if "plait.distributed.worker" in child.cmdline()]


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


COMMAND = ["-o", "out", "--engine", "local", "--workers", "1", "--block", "20", "--json"]


def at_work(folder: Path, shard: str) -> bool:
    return len(list((folder / "out" / f"{shard}.parquet.part").glob("*.arrow"))) >= 5


@needs_signals
def test_a_killed_worker_costs_its_shard_only(recipe: str, tmp_path: Path) -> None:
    write(tmp_path / "in", {"a": 20, "b": 8000, "c": 20})
    running = process("embed", recipe, "in", *COMMAND, folder=tmp_path)
    wait_for(lambda: at_work(tmp_path, "b"))
    first = times_of(tmp_path / "out")
    (worker,) = workers_of(running.pid)
    worker.send_signal(signal.SIGKILL)
    done = finished(running)
    assert done.status == 0, done.err
    facts = json.loads(done.out)
    assert (facts["shards"], facts["rows"], facts["reused"]) == (3, 8040, 0)
    assert first == {"a.parquet": times_of(tmp_path / "out")["a.parquet"]}
    embed_shards(plait.parse(recipe), tmp_path / "in", tmp_path / "whole", resources=ONE, block=20)
    assert bytes_of(tmp_path / "whole") == bytes_of(tmp_path / "out")


@needs_signals
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_goes_on(cli: Cli, recipe: str, tmp_path: Path, how: signal.Signals) -> None:
    write(tmp_path / "in", {"a": 20, "b": 8000, "c": 20})
    running = process("embed", recipe, "in", *COMMAND, folder=tmp_path)
    wait_for(lambda: at_work(tmp_path, "b"))
    (worker,) = workers_of(running.pid)
    running.send_signal(how)
    done = finished(running)
    assert done.status == (130 if how == signal.SIGINT else -signal.SIGKILL)
    wait_for(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    first = times_of(tmp_path / "out")
    assert list(first) == ["a.parquet"]
    facts = json.loads(cli("embed", recipe, "in", *COMMAND).out)
    assert (facts["shards"], facts["rows"], facts["reused"]) == (3, 8040, 1)
    assert times_of(tmp_path / "out")["a.parquet"] == first["a.parquet"]
    assert not list((tmp_path / "out").glob("*.part"))


def test_command(cli: Cli, recipe: str, tmp_path: Path) -> None:
    write(tmp_path / "in", {"a": 20, "b": 10})
    done = cli(
        "embed", f"{recipe} | Whitening(4)", "in/*.jsonl", "-o", "out", "--engine", "local", "--workers", "1", "--fit"
    )
    assert done.status == 0
    assert done.out.startswith("2 shards, 30 texts in ")
    assert pq.read_table(tmp_path / "out" / "b.parquet").num_rows == 10
    for arguments, message in [
        (["in", "--engine", "spark"], "expected one of local, ray"),
        (["none", "--engine", "local"], "names no .parquet"),
        (["in", "--workers", "1"], "belong to --engine"),
        (["in", "--engine", "local", "--workers", "99999"], "more than the"),
    ]:
        done = cli("embed", recipe, *arguments, "-o", "other")
        assert (done.status, done.out) == (2, "")
        assert message in done.err


@pytest.mark.slow
@needs_signals
def test_ray_gives_the_same_bytes_and_outlives_a_killed_actor(recipe: str, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    write(tmp_path / "in", {"a": 20, "b": 8000, "c": 20})
    command = [argument.replace("local", "ray") for argument in COMMAND]
    running = process("embed", recipe, "in", *command, folder=tmp_path)
    wait_for(lambda: at_work(tmp_path, "b"), 120)
    actors = [
        one for one in psutil.Process(running.pid).children(recursive=True) if "_Worker" in " ".join(one.cmdline())
    ]
    assert actors
    for actor in actors:
        actor.send_signal(signal.SIGKILL)
    done = finished(running)
    assert done.status == 0, done.err
    assert json.loads(done.out)["rows"] == 8040
    embed_shards(plait.parse(recipe), tmp_path / "in", tmp_path / "local", resources=ONE, block=20)
    assert bytes_of(tmp_path / "local") == bytes_of(tmp_path / "out")
