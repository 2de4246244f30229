from __future__ import annotations

import pytest

from plait.cli import terminal
from plait.cli.terminal import Stages, counted, megabytes


def test_without_a_terminal_a_stage_says_little(capsys: pytest.CaptureFixture[str]) -> None:
    with Stages() as stages:
        for done in range(0, 1001, 10):
            stages("encode x", done, 1000, "texts")
        stages("other", 3, None)
    said = capsys.readouterr().err.splitlines()
    assert said == ["encode x: 0 of 1,000 texts", "encode x: 1,000 of 1,000 texts", "other: 3"]


def test_on_a_terminal_there_are_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    from rich.console import Console

    screen = io.StringIO()
    monkeypatch.setattr(terminal, "err", lambda: Console(file=screen, force_terminal=True, width=120))
    with Stages() as stages:
        stages("encode [x]", 500, 1000, "texts")
        stages("encode [x]", 1000, 1000, "texts")
    assert "encode [x]" in screen.getvalue()
    assert "1,000 of 1,000 texts" in screen.getvalue()


def test_counted() -> None:
    assert counted(5, None, "texts", 0.1) == "5 texts"
    assert counted(1000, 4000, "texts", 2, "9 tokens") == "1,000 of 4,000 texts, 500/s, 9 tokens"


@pytest.mark.parametrize(("size", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1e6, "1 MB"), (32_768_000, "32.8 MB")])
def test_megabytes(size: float, text: str) -> None:
    assert megabytes(size) == text
