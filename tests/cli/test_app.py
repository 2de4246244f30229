from __future__ import annotations

import errno
from pathlib import Path

import pytest

import plait
from plait.cli.app import main
from plait.types import PlaitError
from tests.cli.running import Cli, finished, process

COMMANDS = ["find", "embed", "eval", "index", "search", "dump", "table", "export", "serve", "info", "bench", "papers"]


def test_help_lists_every_command(cli: Cli) -> None:
    done = cli("--help")
    assert done.status == 0
    assert all(command in done.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(cli: Cli, command: str) -> None:
    done = cli(command, "--help")
    assert done.status == 0
    assert "Usage: plait" in done.out
    if command not in ("papers", "table"):
        assert "Examples:" in done.out
        assert f"plait {command}" in done.out.split("Examples:")[1]


def test_version(cli: Cli) -> None:
    assert cli("--version").out.strip() == f"plait {plait.__version__}"


def test_unknown_command_and_option(cli: Cli) -> None:
    done = cli("fidn")
    assert done.status == 2
    assert "find" in done.err
    done = cli("find", "x.csv", "--sede", "3")
    assert done.status == 2
    assert "--sede" in done.err


def test_missing_argument(cli: Cli) -> None:
    done = cli("embed", "x")
    assert done.status == 2
    assert "INPUT" in done.err


def test_an_error_is_one_clean_line(cli: Cli, recipe: str) -> None:
    done = cli("embed", recipe, "none.txt", "-o", "v.parquet")
    assert done.status == 2
    assert done.out == ""
    assert done.err.startswith("plait: none.txt is not there")
    assert "Traceback" not in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("how", ["option", "variable"])
def test_debug_shows_where(cli: Cli, recipe: str, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["embed", recipe, "none.txt", "-o", "v.parquet"]
    if how == "option":
        arguments.append("--debug")
    else:
        monkeypatch.setenv("PLAIT_DEBUG", "1")
    with pytest.raises(PlaitError, match="is not there"):
        main(arguments)


def test_a_system_error_is_one_line_too(cli: Cli, recipe: str, texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "somewhere")

    monkeypatch.setattr("plait.store.embedding.embed", full)
    done = cli("embed", recipe, texts, "-o", "v.parquet")
    assert (done.status, done.err) == (2, "plait: somewhere: No space left on device\n")


def test_module_runs(tmp_path: Path) -> None:
    done = finished(process("--version", folder=tmp_path))
    assert (done.status, done.out.strip()) == (0, f"plait {plait.__version__}")
