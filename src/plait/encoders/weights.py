"""Finding weights by name: a path, weights inside an installed package, or a Hugging Face id. Never downloads."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from plait.encoders.checksums import sha256
from plait.encoders.packaged import PACKAGED, locate, named
from plait.encoders.tensors import check_safetensors
from plait.types import ModelError

__all__ = ["Weights", "check_safetensors", "find_weights"]

_PATTERNS = ("*.safetensors", "*.gguf")
_SUFFIXES = (".safetensors", ".gguf", ".bin", ".vec", ".txt", ".gz")
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True)
class Weights:
    """Weights that were found.

    Attributes:
        folder: what a host loads: a folder or a single file; None when ``name`` is an id of the hub.
        name: as it was asked for.
        sha256: of the weights file, or of the sums of several; None for the hub.
        source: "path", "package" or "hub".
        file: the weights file, where there is exactly one.
        tokenizer: the tokenizer file, where it does not lie beside the weights.
        licence: as stated with the weights; None when nothing is.
    """

    folder: Path | None
    name: str
    sha256: str | None = None
    source: str = "hub"
    file: Path | None = None
    tokenizer: Path | None = None
    licence: str | None = None


def find_weights(name: str) -> Weights:
    """Find a model's weights.

    Args:
        name: an existing file or folder, a name of `PACKAGED`, or a Hugging Face id.

    Returns:
        Where they are. Packaged ones were checked against the published sha256.

    Raises:
        ModelError: if there is no such file, the package is not installed or not the published one, or an id is neither
            in the local hub cache nor reachable (``HF_HUB_OFFLINE`` is set).

    Example:
        >>> find_weights("all-MiniLM-L6-v2").source
        'package'
    """
    packaged = named(name)
    path = Path(name).expanduser()
    if path.exists() and (packaged is None or path.is_file() or _weight_files(path)):
        return _on_disk(name, path)
    if packaged is not None:
        file, tokenizer = locate(packaged)
        folder = file.parent if packaged.folder else file
        return Weights(folder, name, packaged.sha256, "package", file, tokenizer, packaged.licence)
    if name.startswith((".", "/", "~")) or name.endswith(_SUFFIXES) or not _HUB_ID.fullmatch(name):
        raise ModelError(f"no model at {name!r}: expected an existing path or a Hugging Face id{_known(name)}")
    if _offline() and not in_hub_cache(name):
        raise ModelError(f"{name!r} is not in the local Hugging Face cache, and HF_HUB_OFFLINE is set{_known(name)}")
    return Weights(None, name)


def in_hub_cache(name: str) -> bool:
    """Whether a snapshot of that Hugging Face id lies on this machine."""
    from huggingface_hub import constants

    snapshots = Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}" / "snapshots"
    return snapshots.is_dir() and any(snapshots.iterdir())


def _on_disk(name: str, path: Path) -> Weights:
    if path.is_file():
        return Weights(path, name, sha256(path), "path", path)
    files = _weight_files(path)
    if not files:
        raise ModelError(f"folder {name!r} holds no weights: expected {', '.join(_PATTERNS)} in it")
    sums = [sha256(file) for file in files]
    whole = sums[0] if len(sums) == 1 else hashlib.sha256("".join(sums).encode()).hexdigest()
    return Weights(path, name, whole, "path", files[0] if len(files) == 1 else None)


def _weight_files(folder: Path) -> list[Path]:
    """Weights in the folder, or one level below it, as sentence-transformers nests static tables."""
    for prefix in ("", "*/"):
        files = sorted(file for pattern in _PATTERNS for file in folder.glob(prefix + pattern))
        if files:
            return files
    return []


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def _known(name: str) -> str:
    """What works without a network, nearest names first."""
    names = [alias for one in PACKAGED for alias in (one.name, *one.aliases)]
    close = difflib.get_close_matches(name, names, n=2, cutoff=0.5)
    guess = f". Did you mean {' or '.join(map(repr, close))}?" if close else "."
    ready = ", ".join(one.name for one in PACKAGED if one.installed) or "none"
    missing = [one.name for one in PACKAGED if not one.installed]
    return f"{guess} Without a network: {ready}{'; once installed: ' + ', '.join(missing) if missing else ''}"
