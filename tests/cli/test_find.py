from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.cli.running import Cli, finished, process


def test_find_prints_what_to_do_next(cli: Cli, tiny_table: Path) -> None:
    done = cli("find", "demo:stsb", "--models", tiny_table, "--out", "run")
    assert done.status == 0, done.err
    run = json.loads(Path("run/run.json").read_text())
    assert f"recipe   {run['best']['recipe']}" in done.out
    assert "plait embed run/model texts.jsonl -o vectors.parquet" in done.out
    assert str(Path("run/report.html")) in done.out
    assert cli("eval", "run", "demo:stsb", "--json").out
    evaluated = json.loads(cli("eval", "run/model", "demo:stsb", "--json").out)
    assert evaluated["value"] == pytest.approx(run["best"]["test"], abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.csv"], "none.csv"),
        (["demo:stsb", "--models", "no-such-model"], "no-such-model"),
        (["demo:stsb", "--models", "TABLE", "--strategy", "luck"], "luck"),
        (["demo:stsb", "--models", "TABLE", "--max-bytes", "1"], "bytes"),
        (["demo:stsb", "--max-bytes", "0"], "--max-bytes"),
        (["demo:stsb", "--models", "TABLE", "--space", "none.toml"], "none.toml"),
        (["demo:stsb", "--models", "TABLE", "--out", "file"], "cannot write"),
    ],
)
def test_what_goes_wrong_is_said(
    cli: Cli, tiny_table: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "file").touch()
    done = cli("find", *(argument.replace("TABLE", str(tiny_table)) for argument in arguments))
    assert done.status == 2
    assert message in done.err
    assert "Traceback" not in done.err


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_stopped_it_says_how_to_go_on(tiny_table: Path, tmp_path: Path) -> None:
    running = process("find", "demo:stsb", "--models", tiny_table, "--out", "run", folder=tmp_path)
    for _ in range(600):
        if (tmp_path / "run" / "scores.jsonl").exists() or running.poll() is not None:
            break
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    done = finished(running)
    if done.status == 0:
        pytest.skip("it was done before it could be stopped")
    assert done.status == 130
    assert "What was computed is in run; go on with the same command and --resume" in done.err
    assert "Traceback" not in done.err
