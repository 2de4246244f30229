"""Named sets: samples that come with plait, and the larger sets in the folder that ``PLAIT_DATA`` names."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from plait.types import DataError

SAMPLES = Path(__file__).parent / "samples"


def named(name: str) -> Path:
    """Where a named set lies.

    Args:
        name: ``demo:NAME`` for a sample in the package (`demos` lists them), ``data:PATH`` for a file or folder below
            the folder in the environment variable ``PLAIT_DATA``.

    Raises:
        DataError: if there is no such set, or ``PLAIT_DATA`` is needed and not set.

    Example:
        >>> named("demo:stsb").name
        'stsb'
    """
    kind, _, rest = name.partition(":")
    if kind == "demo":
        if rest not in demos():
            close = difflib.get_close_matches(rest, demos(), n=1)
            hint = f"did you mean demo:{close[0]}? " if close else ""
            raise DataError(f"there is no sample {name!r}; {hint}samples are {', '.join(f'demo:{d}' for d in demos())}")
        return SAMPLES / rest
    if kind != "data":
        raise DataError(f"{name!r} is no named set; expected demo:NAME or data:PATH")
    root = os.environ.get("PLAIT_DATA")
    if not root:
        raise DataError(f"{name!r} is looked for in the folder that the environment variable PLAIT_DATA names: set it")
    return Path(root) / rest


def demos() -> list[str]:
    """Names of the samples in the package."""
    return sorted(child.name for child in SAMPLES.iterdir() if child.is_dir() and not child.name.startswith(("_", ".")))
