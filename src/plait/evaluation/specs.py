"""A task together with how it is scored."""

from __future__ import annotations

from dataclasses import dataclass

from plait.data.splits import FOLDS, LEARNED
from plait.data.tasks import Task
from plait.types import DataError

PARTS = ("test", "dev")


@dataclass(frozen=True, eq=False)
class TaskSpec:
    """A task and everything that decides how it is scored.

    Args:
        task: the data.
        head: as in `plait.evaluation.evaluator`; None takes the task's usual one.
        metric: as in `plait.evaluation.evaluator`; None takes the task's usual one.
        part: "test", or "dev" while choices are still made.
        folds: outer folds of data that has no split of its own.
        group: what the task counts as when means are taken group by group; the kind of the task by default.

    Raises:
        DataError: if the part is not one of the two, or there are fewer than two folds.

    Example:
        >>> from plait.data.tasks import Labels, Task
        >>> task = Task("classification", "two", ("good", "bad"), parts={"all": Labels(np.array([0, 1]), ("+", "-"))})
        >>> TaskSpec(task, head="knn").group
        'classification'
    """

    task: Task
    head: str | None = None
    metric: str | None = None
    part: str = "test"
    folds: int = FOLDS
    group: str = ""

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise DataError(f"part is {self.part!r}; expected one of {', '.join(PARTS)}")
        if self.folds < 2:
            raise DataError(f"folds is {self.folds}; expected 2 or more: what is learned on must not be scored")
        object.__setattr__(self, "group", self.group or self.task.kind)

    @property
    def name(self) -> str:
        """The task's name."""
        return self.task.name

    @property
    def learned(self) -> bool:
        """Whether a head or a threshold learns from the task's examples."""
        return self.task.kind in LEARNED or self.head is not None
