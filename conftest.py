"""What holds for every test and every example: no network, one set of names, nothing written into the project."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import importlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

LOCAL = {"localhost", "127.0.0.1", "::1", "", None}


class NetworkBlocked(RuntimeError):
    """A test tried to leave this machine."""


def _is_local(family: int, address: object) -> bool:
    if family not in (socket.AF_INET, socket.AF_INET6):
        return True
    return isinstance(address, tuple) and (address[0] in LOCAL or str(address[0]).startswith("127."))


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connect, connect_ex, resolve = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def checked_connect(self: socket.socket, address: object) -> None:
        if not _is_local(self.family, address):
            raise NetworkBlocked(f"connect to {address}")
        connect(self, address)  # type: ignore[arg-type]

    def checked_connect_ex(self: socket.socket, address: object) -> int:
        if not _is_local(self.family, address):
            raise NetworkBlocked(f"connect to {address}")
        return connect_ex(self, address)  # type: ignore[arg-type]

    def checked_resolve(host: object, *args: object, **kwargs: object) -> object:
        if not _is_local(socket.AF_INET, (host,)):
            raise NetworkBlocked(f"look-up of {host!r}")
        return resolve(host, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", checked_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", checked_connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", checked_resolve)


@pytest.fixture(autouse=True)
def _examples(request: pytest.FixtureRequest) -> Iterator[None]:
    """Docstring examples see numpy and every public name, and run in a folder of their own."""
    if not isinstance(request.node, pytest.DoctestItem):
        yield
        return
    names: dict[str, object] = request.getfixturevalue("doctest_namespace")
    names.update(_public_names())
    tmp_path: Path = request.getfixturevalue("tmp_path")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        yield


def _public_names() -> dict[str, object]:
    import plait

    return {"np": importlib.import_module("numpy"), "plait": plait} | {
        name: getattr(plait, name) for name in dir(plait) if name[0].isupper() and not name.isupper()
    }
