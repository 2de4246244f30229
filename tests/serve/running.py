"""A real server in a process of its own, and a recipe that takes as long as a test wants."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil

START = 60.0
"""Seconds within which it has to listen."""


class Server:
    """``plait serve`` on a free port; use it in a ``with`` block."""

    def __init__(self, folder: Path, *arguments: str | Path, keys: str | None = None) -> None:
        self.log = folder / "server.log"
        env = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        if keys is not None:
            env["PLAIT_API_KEYS"] = keys
        with self.log.open("w") as log:
            command = [sys.executable, "-m", "plait", "serve", *map(str, arguments), "--port", "0"]
            self.process = subprocess.Popen(command, cwd=folder, env=env, stderr=log, stdout=log)

    def __enter__(self) -> Self:
        deadline = time.monotonic() + START
        while not (found := re.search(r"serving at http://127\.0\.0\.1:(\d+)", self.text)):
            assert self.process.poll() is None, self.text
            assert time.monotonic() < deadline, self.text
            time.sleep(0.05)
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"
        while True:
            try:
                assert httpx.get(f"{self.url}/health").status_code == 200
                return self
            except httpx.ConnectError:
                assert time.monotonic() < deadline, self.text
                time.sleep(0.05)

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def text(self) -> str:
        """What it logged."""
        return self.log.read_text()

    @property
    def memory(self) -> int:
        """Bytes that it holds."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def figure(self, name: str, **headers: str) -> float:
        """One of its figures."""
        text = httpx.get(f"{self.url}/metrics", headers=headers, timeout=30).text
        return float(next(line.split()[1] for line in text.splitlines() if line.startswith(f"{name} ")))

    def stop(self) -> int:
        """Ask it to stop; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)
