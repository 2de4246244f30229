"""Runs `find` in child processes and kills them at random moments; prints what is left as JSON.

Called by `test_kill` in a process of its own: forking is safe there, since nothing has run yet when it forks.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch  # noqa: F401
import transformers  # noqa: F401

import plait.encoders.hosts  # noqa: F401  (what children would import each for themselves)
from plait.encoders.transformer import Transformer
from plait.selection.finding import find
from plait.types import States, Tokens
from tests.selection.small import outcome, pairs, space

PAUSE = 0.02
"""Seconds that every forward call takes longer, so that kills meet the pass as often as the search."""


def slowed() -> None:
    states = Transformer.states

    def slow(self: Transformer, tokens: Tokens, layers: tuple[int, ...]) -> States:
        time.sleep(PAUSE)
        return states(self, tokens, layers)

    Transformer.states = slow  # type: ignore[method-assign]


def start(model: str, out: Path, resume: bool) -> int:
    """A child that runs `find`; its process id."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            find(
                pairs(60),
                space=space(model, transforms=("",), quantisers=("", "Int8()"), parts=3),
                out=out,
                resume=resume,
            )
            code = 0
        finally:
            os._exit(code)
    return pid


def ended(pid: int, seconds: float) -> bool:
    """Whether the child ends by itself within that time; it is killed otherwise."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0, "find failed"
            return True
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False


def main(model: str, folder: Path, kills: int, seed: int) -> None:
    slowed()
    rng = random.Random(seed)
    began = time.monotonic()
    assert ended(start(model, folder / "whole", False), 600)
    whole = time.monotonic() - began
    expected = outcome(folder / "whole")
    landed: list[dict[str, object]] = []
    differing: list[str] = []
    runs = 0
    while len(landed) < kills:
        out = folder / f"killed{runs}"
        resumed = False
        while True:
            # the last one needed is followed by a run to the end
            patience = 600 if len(landed) >= kills else rng.uniform(0.05, 0.8) * whole
            if ended(start(model, out, resumed), patience):
                break
            found = [path.suffix or path.name for path in out.rglob("*") if path.is_file()] if out.exists() else []
            landed.append({"run": runs, "log": ".log" in found, "scores": (out / "scores.jsonl").exists()})
            resumed = True
        left = outcome(out)
        differing += [f"{runs}: {name}" for name in expected if left[name] != expected[name]]
        differing += [f"{runs}: {path.name}" for path in out.rglob("*.part")]
        runs += 1
    run = json.loads((folder / "whole" / "run.json").read_text())
    sys.stdout.write(json.dumps({"landed": landed, "runs": runs, "differing": differing, "run": run, "seconds": whole}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
