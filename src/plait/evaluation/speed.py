"""Side-by-side timing in CPU-seconds: contenders take turns, so that a busy machine is unfair to none of them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plait.types import DataError

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Contender:
    """Somebody who can do a piece of work.

    Attributes:
        what: the work; contenders for one work are compared.
        who: library and version.
        items: how many things (texts, queries) one call of ``work`` treats.
        unit: what they are.
        work: does it and returns a ``[N, …]`` array to compare.
        agree: gives the likeness of a result to the first contender's.
    """

    what: str
    who: str
    items: int
    unit: str
    work: Callable[[], NDArray[np.generic]]
    agree: Callable[[NDArray[np.generic], NDArray[np.generic]], float]


@dataclass(frozen=True)
class Timing:
    """What was measured of one contender.

    Attributes:
        what: the work.
        who: library and version.
        median: of the rounds, in ``unit``.
        low: worst or least round.
        high: best or largest round.
        unit: such as "texts/CPU-s".
        agreement: likeness to the first contender's result, 1 for the same; None for the first, or where there is none.
        megabytes: peak memory of the process; None where it was not its own.
    """

    what: str
    who: str
    median: float
    low: float
    high: float
    unit: str
    agreement: float | None = None
    megabytes: float | None = None


def race(contenders: Sequence[Contender], rounds: int = 5, told: Told = lambda done, total: None) -> list[Timing]:
    """Time contenders, each once a round, in an order that turns.

    Args:
        contenders: who takes part; results are compared with the first one's.
        rounds: after one that is not counted.
        told: how it goes on.

    Example:
        >>> same = lambda a, b: float((a == b).mean())
        >>> add = Contender("adding", "numpy", 10, "sums", lambda: np.arange(10) + 1, same)
        >>> [timing.agreement for timing in race([add, add], rounds=2)]
        [None, 1.0]
    """
    if rounds < 1:
        raise DataError(f"rounds is {rounds}; expected 1 or more")
    results = [contender.work() for contender in contenders]
    rates: list[list[float]] = [[] for _ in contenders]
    for number in range(rounds):
        for turn in range(len(contenders)):
            place = (number + turn) % len(contenders)
            start = time.process_time()
            contenders[place].work()
            rates[place].append(contenders[place].items / max(time.process_time() - start, 1e-9))
            told(number * len(contenders) + turn + 1, rounds * len(contenders))
    timings = []
    for place, (contender, rate) in enumerate(zip(contenders, rates, strict=True)):
        agreement = contender.agree(results[0], results[place]) if place else None
        spread = (float(np.median(rate)), min(rate), max(rate))
        timings.append(Timing(contender.what, contender.who, *spread, f"{contender.unit}/CPU-s", agreement))
    return timings


def start_up(
    commands: Mapping[str, Sequence[str]], rounds: int = 5, told: Told = lambda done, total: None
) -> list[Timing]:
    """CPU-seconds and peak memory of fresh Python processes.

    Args:
        commands: what each is called, and the interpreter's arguments.
        rounds: how often each is started, in turns.
        told: how it goes on.
    """
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    peak: dict[str, float] = dict.fromkeys(commands, 0.0)
    for number in range(rounds):
        for turn, (name, arguments) in enumerate(commands.items()):
            used, memory = _one_process(arguments)
            seconds[name].append(used)
            peak[name] = max(peak[name], memory)
            told(number * len(commands) + turn + 1, rounds * len(commands))
    return [
        Timing("start-up", name, float(np.median(mine)), min(mine), max(mine), "CPU-s", None, peak[name])
        for name, mine in seconds.items()
    ]


LAUNCH = """
import os, resource, subprocess, sys
done = subprocess.run([sys.executable, *sys.argv[1:]], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(done.returncode)
"""


def _one_process(arguments: Sequence[str]) -> tuple[float, float]:
    """CPU-seconds and peak megabytes of one run.

    A small process starts it: a child's peak memory is never below that of the process which forked it.
    """
    command = [sys.executable, "-c", LAUNCH, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DataError(f"python {' '.join(arguments)} failed: {done.stderr.strip().splitlines()[-1]}")
    seconds, peak = map(float, done.stdout.split())
    return seconds, peak / (1e6 if sys.platform == "darwin" else 1e3)
