from __future__ import annotations

import sys
import time

import numpy as np
import pytest

from plait.evaluation.speed import Contender, race, start_up
from plait.types import DataError


def busy(seconds: float) -> np.ndarray:
    """Spend CPU time, whatever the machine's load."""
    start = time.process_time()
    while time.process_time() - start < seconds:
        pass
    return np.array([seconds])


def contender(seconds: float, calls: list[float]) -> Contender:
    def work() -> np.ndarray:
        calls.append(seconds)
        return busy(seconds)

    return Contender("waiting", f"{seconds}", 10, "items", work, lambda a, b: float(a[0] == b[0]))


def test_rates_are_items_a_cpu_second() -> None:
    slow, fast = race([contender(0.02, []), contender(0.01, [])], rounds=3)
    assert slow.median == pytest.approx(10 / 0.02, rel=0.2)
    assert fast.median == pytest.approx(10 / 0.01, rel=0.2)
    assert (slow.agreement, fast.agreement, slow.unit) == (None, 0.0, "items/CPU-s")


def test_sleeping_costs_nothing() -> None:
    def sleep() -> np.ndarray:
        time.sleep(0.05)
        return busy(0.01)

    (timing,) = race([Contender("w", "w", 10, "items", sleep, lambda a, b: 1.0)], rounds=1)
    assert timing.median == pytest.approx(1000, rel=0.3)


def test_contenders_take_turns() -> None:
    calls: list[float] = []
    seen: list[tuple[int, int]] = []
    race(
        [contender(n / 10_000, calls) for n in (1, 2, 3)], rounds=2, told=lambda done, total: seen.append((done, total))
    )
    assert [round(call * 10_000) for call in calls] == [1, 2, 3, 1, 2, 3, 2, 3, 1]
    assert seen == [(n, 6) for n in range(1, 7)]


def test_no_rounds() -> None:
    with pytest.raises(DataError, match="rounds is 0"):
        race([], rounds=0)


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource")
def test_start_up_measures_fresh_processes() -> None:
    plain, large = start_up({"plain": ["-c", "pass"], "large": ["-c", "x = bytes(80_000_000)[::-1]"]}, rounds=1)
    assert 0 < plain.median < 2
    assert large.megabytes is not None and plain.megabytes is not None
    assert large.megabytes > plain.megabytes + 70
    with pytest.raises(DataError, match="python -c 1/0 failed: ZeroDivisionError"):
        start_up({"broken": ["-c", "1/0"]}, rounds=1)
