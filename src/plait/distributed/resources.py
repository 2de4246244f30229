"""How many workers there are and what each may use."""

from __future__ import annotations

import os
from dataclasses import dataclass

from plait.types import DataError


@dataclass(frozen=True)
class Resources:
    """Workers side by side.

    Args:
        workers: processes; None takes as many as the cores allow.
        threads: arithmetic threads of each. One is fastest for the throughput of many workers; more save memory, since
            each worker holds the model.
        gpus: of each Ray worker; a part of one, such as 0.5, lets several share it. Local workers use what they see.
        address: of a running Ray cluster; None starts Ray on this machine.

    Raises:
        DataError: if workers × threads are more than the cores of this machine (a cluster's cores are its own matter).
    """

    workers: int | None = None
    threads: int = 1
    gpus: float = 0
    address: str | None = None

    def __post_init__(self) -> None:
        if (self.workers is not None and self.workers < 1) or self.threads < 1:
            raise DataError(f"{self.workers} workers of {self.threads} threads; expected at least one of each")
        if self.address is None and (self.workers or 1) * self.threads > cores():
            raise DataError(
                f"{self.workers or 1} workers of {self.threads} threads are more than the {cores()} cores there are, "
                "and would wait for each other; give fewer"
            )

    @property
    def count(self) -> int:
        """Workers on this machine."""
        return self.workers or max(1, cores() // self.threads)

    @property
    def environment(self) -> dict[str, str]:
        """Variables that bind a worker's libraries to its threads."""
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
        return dict.fromkeys(names, str(self.threads)) | {"TOKENIZERS_PARALLELISM": "false"}


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
