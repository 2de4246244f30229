from __future__ import annotations

import json
from pathlib import Path

import pytest

from plait.selection import peers
from tests.cli.running import Cli


def test_bench_measures_side_by_side(cli: Cli, tiny_table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("model2vec")
    monkeypatch.setattr(peers, "SECONDS", 0.05)
    monkeypatch.setattr(peers, "VECTORS", 500)
    monkeypatch.setattr(peers, "starters", lambda: {"python": ["-c", "pass"]})
    arguments = ("bench", "--models", str(tiny_table), "--rounds", "2")
    timings = json.loads(cli(*arguments, "--json").out)
    mine, theirs = [timing for timing in timings if timing["what"].startswith("encode")]
    assert mine["who"].startswith("plait")
    assert theirs["who"].startswith("model2vec")
    assert theirs["agreement"] == pytest.approx(1, abs=1e-5)
    assert all(timing["low"] <= timing["median"] <= timing["high"] for timing in timings)
    start = timings[-1]
    assert (start["what"], start["who"]) == ("start-up", "python")
    assert 1 < start["megabytes"] < 100
    out = cli(*arguments).out
    assert "texts/CPU-s" in out
    assert "agreement" in out
