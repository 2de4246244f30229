"""Running the command line: in this process for speed, in its own where signals and exit statuses matter."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from plait.cli.app import main


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


class Cli:
    """Calls `main` and catches what it prints."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self.capture = capture

    def __call__(self, *arguments: str | Path) -> Outcome:
        self.capture.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        said = self.capture.readouterr()
        code = stop.value.code
        return Outcome(code if isinstance(code, int) else 0, said.out, said.err)


def process(*arguments: str | Path, folder: Path, code: str | None = None) -> subprocess.Popen[str]:
    """The command in a process of its own; ``code`` is Python that runs it in another way."""
    command = [sys.executable, *(["-m", "plait"] if code is None else ["-c", code])]
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(running: subprocess.Popen[str]) -> Outcome:
    out, err = running.communicate(timeout=120)
    return Outcome(running.returncode, out, err)
