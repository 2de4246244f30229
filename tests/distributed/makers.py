"""Folders of shards, and what can be said of folders of vectors."""

from __future__ import annotations

import json
from pathlib import Path

from tests.store.makers import many


def write(folder: Path, sizes: dict[str, int]) -> Path:
    """A JSONL file of so many texts under each name."""
    for name, size in sizes.items():
        path = folder / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps({"text": f"{name}: {text}"}) + "\n" for text in many(size)))
    return folder


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def times_of(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}
