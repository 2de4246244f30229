"""Where prepared weights are kept, and their sha256, worked out once a file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from plait.bank import digest, write_atomic

_CHUNK = 1 << 22


def cache_folder() -> Path:
    """Folder of prepared weights: ``$PLAIT_CACHE/weights``, or ``~/.cache/plait/weights``."""
    root = os.environ.get("PLAIT_CACHE")
    return (Path(root) if root else Path.home() / ".cache" / "plait") / "weights"


def sha256(path: Path) -> str:
    """The file's sha256; remembered by path, size and time of change, so that a start does not read it all again."""
    stat = path.stat()
    key = [str(path.resolve()), stat.st_size, stat.st_mtime_ns]
    note = cache_folder() / "sums" / f"{digest(str(path.resolve()))}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(note.read_text())
        if known["key"] == key:
            return str(known["sha256"])
    with path.open("rb") as file:
        hasher = hashlib.sha256()
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time, nothing else
        note.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(note, json.dumps({"key": key, "sha256": hasher.hexdigest()}).encode())
    return hasher.hexdigest()
