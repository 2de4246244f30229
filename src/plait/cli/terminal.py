"""What every command shares: where text goes, how progress shows, what Ctrl-C says."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

QUIET_SECONDS = 30.0
"""Between two lines about one stage, where there is no terminal to redraw."""


def out() -> Console:
    """Where results go."""
    from rich.console import Console

    return Console(highlight=False, markup=False, soft_wrap=True)


def err() -> Console:
    """Where progress, warnings and errors go."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def complain(message: str) -> None:
    """One error, in red where there is colour."""
    err().print(f"plait: {message}", style="red")


def warn(message: str) -> None:
    """Something the user should know, on stderr."""
    err().print(f"note: {message}", style="yellow")


@contextlib.contextmanager
def interruptible(kept: str) -> Iterator[None]:
    """Say on Ctrl-C what is kept and how to go on, and leave with 130."""
    try:
        yield
    except KeyboardInterrupt as stop:
        err().print(f"\nstopped. {kept}", style="yellow")
        raise typer.Exit(130) from stop


class Stages:
    """Progress of one or more stages: bars on a terminal, a line now and then elsewhere. Use it in a ``with`` block."""

    def __init__(self) -> None:
        self._console = err()
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._begun: dict[str, float] = {}
        self._spoken: dict[str, float] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[count]}", markup=False),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
            )
            self._bars = Progress(*columns, console=self._console)
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, trace: TracebackType | None) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, label: str, done: float, total: float | None, unit: str = "", more: str = "") -> None:
        """Show how far a stage is.

        Args:
            label: of the stage.
            done: how much of it is done.
            total: how much there is; None when nobody knows.
            unit: what is counted.
            more: a further figure.
        """
        now = time.monotonic()
        begun = self._begun.setdefault(label, now)
        count = counted(done, total, unit, now - begun, more)
        whole = total is not None and done >= total
        if self._bars is not None:
            if label not in self._tasks:
                self._tasks[label] = self._bars.add_task(shortened(label), total=total, count="")
            self._bars.update(self._tasks[label], completed=done, total=total, count=count)
        elif label not in self._spoken or whole or now - self._spoken[label] > QUIET_SECONDS:
            if whole and self._spoken.get(label) == float("inf"):
                return
            self._spoken[label] = float("inf") if whole else now
            self._console.print(f"{label}: {count}")


def counted(done: float, total: float | None, unit: str, seconds: float, more: str = "") -> str:
    """Figures of a stage.

    >>> counted(500, 1000, "tokens", 2.0)
    '500 of 1,000 tokens, 250/s'
    """
    share = f"{done:,.0f}" if total is None else f"{done:,.0f} of {total:,.0f}"
    rate = f"{done / seconds:,.0f}/s" if unit and done and seconds > 0.5 else ""
    return ", ".join(part for part in (f"{share} {unit}".strip(), rate, more) if part)


def shortened(text: str, most: int = 44) -> str:
    """The text, cut in the middle where it is too long for a bar's label.

    >>> shortened("abcdefghij", 5)
    'ab…ij'
    """
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


def megabytes(size: float) -> str:
    """A size for people.

    >>> megabytes(1536), megabytes(2_500_000_000)
    ('1.54 kB', '2.50 GB')
    """
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}" if unit != "GB" else f"{size / factor:.2f} {unit}"
    return f"{size:.0f} bytes"
