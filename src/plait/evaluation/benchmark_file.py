"""Benchmarks as data: lists of tasks, by name."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import cast

import plait.data
from plait.data.reading import read
from plait.data.sampling import sample_task
from plait.data.splits import FOLDS
from plait.data.tasks import Kind, Task
from plait.evaluation.constituents import constituents_task
from plait.evaluation.probing import probing_tasks
from plait.evaluation.specs import TaskSpec
from plait.types import DataError

FILE = Path(plait.data.__file__).parent / "benchmarks.toml"


@dataclass(frozen=True)
class _Entry:
    """A line of the file: a set that `read` reads, or a treebank of dependencies or constituents."""

    name: str = ""
    data: str | Sequence[str] = ""
    treebank: str = ""
    constituents: str = ""
    task: str = ""
    columns: Mapping[str, str] | None = None
    head: str | None = None
    metric: str | None = None
    folds: int = FOLDS
    group: str = ""

    def specs(self, most: Mapping[str, int] | int | None, seed: int) -> list[TaskSpec]:
        if self.treebank:
            tasks = probing_tasks(self.treebank, seed)
        elif self.constituents:
            tasks = [constituents_task(self.constituents)]
        else:
            task = read(cast("str", self.data), cast(Kind, self.task), self.columns, seed)
            tasks = [replace(task, name=self.name)]
        smaller = [_capped(task, most, seed) for task in tasks]
        return [TaskSpec(t, self.head, self.metric, folds=self.folds, group=self.group) for t in smaller]


def suites() -> dict[str, str]:
    """Names of the benchmarks that `suite` knows, each with what it is.

    Example:
        >>> sorted(suites())
        ['mteb-local', 'senteval', 'senteval-probing']
    """
    return {name: str(entry["title"]) for name, entry in _file().items()}


def suite(name: str, most: Mapping[str, int] | int | None = None, seed: int = 0) -> list[TaskSpec]:
    """The tasks of a benchmark, read.

    Args:
        name: one of `suites`.
        most: examples of each part that are kept; a mapping says so part by part, and with "documents" how many
            documents are searched. What it says of test goes for dev where a set is scored on that. None keeps all.
        seed: of what is drawn, and of exchanged words in probes.

    Raises:
        DataError: if there is no such benchmark, or a set of it is not there: named sets lie in the folder that
            ``PLAIT_DATA`` names.
    """
    file = _file()
    if name not in file:
        close = difflib.get_close_matches(name, file, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise DataError(f"there is no benchmark {name!r}; {hint}there are {', '.join(file)}")
    entries = [_Entry(**entry) for entry in cast("list[dict[str, str]]", file[name]["tasks"])]  # type: ignore[arg-type]
    return [spec for entry in entries for spec in entry.specs(most, seed)]


def _capped(task: Task, most: Mapping[str, int] | int | None, seed: int) -> Task:
    if most is None:
        return task
    caps = dict.fromkeys(task.parts, most) if isinstance(most, int) else dict(most)
    if "test" in caps and "test" not in task.parts:
        caps["dev"] = caps["test"]
    names = {*task.parts, *(["documents"] if task.kind == "retrieval" else [])}
    return sample_task(task, {part: count for part, count in caps.items() if part in names}, seed)


@cache
def _file() -> dict[str, dict[str, object]]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))
