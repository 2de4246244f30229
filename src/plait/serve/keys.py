"""API keys: who may ask."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from plait.types import DataError

VARIABLE = "PLAIT_API_KEYS"
"""Environment variable with keys, commas between them."""


class Keys:
    """The keys that a server accepts; without one it asks for none.

    Only their digests are kept, and a key that is offered is compared with each of them in constant time, so that
    neither a dump of the memory nor the time of an answer tells one.

    Args:
        keys: as clients send them.

    Example:
        >>> keys = Keys(["first-key", "second-key"])
        >>> keys.accept("Bearer second-key"), keys.accept("Bearer guess"), Keys([]).accept(None)
        (True, False, True)
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [_digest(key) for key in keys]

    @classmethod
    def read(cls, file: Path | None = None, environment: Mapping[str, str] = os.environ) -> Keys:
        """Keys of a file (one a line; lines that begin with # are comments) and of `VARIABLE`, together.

        Raises:
            DataError: if the file cannot be read or holds none, or the variable is set and holds none.
        """
        found: list[str] = []
        if file is not None:
            try:
                lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
            except (OSError, UnicodeDecodeError) as error:
                raise DataError(f"{file} cannot be read: {getattr(error, 'strerror', None) or 'no text'}") from error
            found += _some([line for line in lines if not line.startswith("#")], str(file), "one a line")
        if VARIABLE in environment:
            found += _some(environment[VARIABLE].split(","), VARIABLE, "with commas between them, or unset it")
        return cls(found)

    def __bool__(self) -> bool:
        return bool(self._digests)

    def accept(self, authorization: str | None) -> bool:
        """Whether the value of a request's ``Authorization`` header is ``Bearer`` and a key; True if there are none."""
        if not self._digests:
            return True
        scheme, _, key = (authorization or "").partition(" ")
        offered = _digest(key.strip())
        same = [hmac.compare_digest(offered, known) for known in self._digests]
        return scheme.lower() == "bearer" and any(same)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _some(found: Iterable[str], where: str, how: str) -> list[str]:
    """The keys, refused where there is none: a server that was meant to be closed must not stand open."""
    keys = [key.strip() for key in found if key.strip()]
    if not keys:
        raise DataError(f"{where} holds no API key; write some, {how}")
    return keys
