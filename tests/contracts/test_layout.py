"""The house: light to import, floors kept, no pickle, no file that wants to be two."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import plait

SOURCE = Path(plait.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
HEAVY = {"torch", "transformers", "sentence_transformers", "sklearn", "scipy", "lancedb", "pyarrow", "datasets"}
HEAVY |= {"fastapi", "uvicorn", "prometheus_client"}
NETWORKING = {"socket", "requests", "httpx", "urllib", "urllib3", "http", "aiohttp"}
PICKLING = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}

IMPORT = "import plait"
HELP = """
import sys
sys.argv = ["plait", *[ARGUMENTS]]
from plait.cli import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
"""
REPORT = """
import resource, sys
usage = resource.getrusage(resource.RUSAGE_SELF)
print("\\n@", usage.ru_utime + usage.ru_stime, *sys.modules)
"""
COMMANDS = ["find", "embed", "eval", "index", "search", "info", "inspect", "papers", "bench", "serve"]


def measure(code: str, tries: int = 3) -> tuple[float, set[str]]:
    """Least CPU-seconds of a fresh interpreter that runs ``code``, start-up included, and the modules it loaded."""
    runs = []
    for _ in range(tries):
        done = subprocess.run([sys.executable, "-c", code + REPORT], capture_output=True, text=True, check=True)
        seconds, *modules = done.stdout.rpartition("@")[2].split()
        runs.append((float(seconds), {module.partition(".")[0] for module in modules}))
    return min(runs, key=lambda run: run[0])


def test_import_is_light() -> None:
    seconds, modules = measure(IMPORT)
    assert not modules & HEAVY
    assert seconds < 0.3


def test_help_is_light() -> None:
    seconds, modules = measure(HELP.replace("ARGUMENTS", '"--help"'))
    assert not modules & HEAVY
    assert seconds < 0.4


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_is_light(command: str) -> None:
    _, modules = measure(HELP.replace("ARGUMENTS", f'"{command}", "--help"'), tries=1)
    assert not modules & HEAVY


def test_the_papers_table_is_light() -> None:
    _, modules = measure(HELP.replace("ARGUMENTS", '"papers"'), tries=1)
    assert not modules & (HEAVY - {"scipy", "pyarrow"})


def nodes(path: Path) -> Iterator[ast.AST]:
    yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def imported(path: Path) -> Iterator[tuple[int, str]]:
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_is_pickled_or_evaluated(path: Path) -> None:
    for line, module in imported(path):
        assert module.partition(".")[0] not in PICKLING, f"{path.name}:{line} imports {module}"
    for node in nodes(path):
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert ast.unparse(node.value) == "False", f"{path.name}:{node.value.lineno}"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("eval", "exec", "torch.load", "torch.save"), f"{path.name}:{node.lineno} {called}"
            if called == "np.load":
                assert any(keyword.arg == "allow_pickle" for keyword in node.keywords), f"{path.name}:{node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_is_one_idea(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


ENDPOINTS = {"retrieval/generation.py"}
"""Files that speak to an address, which a user has to name."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_local_code_opens_no_socket(path: Path) -> None:
    """No telemetry, nothing fetched on the side: a hub is reached through its own library, when a user names it."""
    if str(path.relative_to(SOURCE)) in ENDPOINTS:
        return
    for line, module in imported(path):
        assert module.partition(".")[0] not in NETWORKING, f"{path.name}:{line} imports {module}"


def test_network_is_blocked_in_tests() -> None:
    import socket

    with pytest.raises(RuntimeError, match="connect"), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.connect(("192.0.2.1", 80))
    with pytest.raises(RuntimeError, match="look-up"):
        socket.getaddrinfo("example.org", 80)
