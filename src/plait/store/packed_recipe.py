"""A fitted recipe inside a file's metadata, so that the file alone is enough to search it."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from plait.recipe import load, save
from plait.step import Composite

FILES = ("recipe.txt", "model.safetensors", "plait.json")


def pack(recipe: Composite) -> str:
    """The saved recipe as one line of JSON."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = save(recipe, Path(scratch) / "model")
        return json.dumps({name: base64.b64encode((folder / name).read_bytes()).decode() for name in FILES})


def unpack(text: str | bytes) -> Composite:
    """The recipe that was packed, fitted.

    Raises:
        RecipeError: if it is damaged, or its weights are not here.
    """
    files: Mapping[str, str] = json.loads(text)
    with tempfile.TemporaryDirectory() as scratch:
        for name in FILES:
            (Path(scratch) / name).write_bytes(base64.b64decode(files[name]))
        return load(scratch)
