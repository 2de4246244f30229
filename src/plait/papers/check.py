"""Running a paper's check: real data in, one JSON record out."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from plait.papers.catalogue import Paper, paper
from plait.papers.outcome import Outcome
from plait.papers.result import RESULTS, CheckResult
from plait.types import DataError

LIBRARIES = ("plait", "numpy", "scipy", "scikit-learn", "torch", "transformers", "sentence-transformers", "tokenizers")
"""Libraries whose version can change a figure."""
_SET_IT = "set it to the folder that holds sts/, ner/, retrieval/ and the rest"


def run_check(slug: str, checks: Path | None = None, results: Path = RESULTS) -> CheckResult:
    """Run the check of a paper on real data and keep its result.

    Args:
        slug: which paper.
        checks: folder that holds ``<room>/<slug>.py``; None takes the one in the source tree.
        results: folder that the record is written to.

    Returns:
        The result, as it was written.

    Raises:
        DataError: if there is no such paper, no check of it here, no data, or the check gives no usable outcome.
    """
    entry = paper(slug)
    run = _load(entry, checks or source_checks())
    data = data_folder()
    start = time.monotonic()
    try:
        outcome = run(data)
    except FileNotFoundError as error:
        raise DataError(f"the check of {slug} did not find {error.filename}: is PLAIT_DATA complete?") from error
    seconds = time.monotonic() - start
    if not isinstance(outcome, Outcome):
        raise DataError(f"the check of {slug} gave {type(outcome).__name__}; it must return plait.papers.Outcome")
    result = _result(entry, outcome, seconds)
    _write(results, result)
    return result


def source_checks() -> Path:
    """The ``checks`` folder of the source tree.

    Raises:
        DataError: if this is an installed package without one.
    """
    folder = Path(__file__).parents[3] / "checks"
    if not folder.is_dir():
        raise DataError(
            f"there is no folder {folder}: checks come with the source, not with the installed package; "
            "clone the repository, install it with `pip install -e .` and run the check from there"
        )
    return folder


def data_folder() -> Path:
    """The folder of real data that ``PLAIT_DATA`` names.

    Raises:
        DataError: if the variable is not set, or names no folder.
    """
    named = os.environ.get("PLAIT_DATA", "")
    if not named:
        raise DataError(f"checks need real data, but PLAIT_DATA is not set: {_SET_IT}")
    folder = Path(named)
    if not folder.is_dir():
        raise DataError(f"PLAIT_DATA is {named!r}, which is not a folder: {_SET_IT}")
    return folder


def _load(entry: Paper, checks: Path) -> Callable[[Path], object]:
    """The function ``check`` of the paper's script."""
    path = checks / entry.room / f"{entry.slug}.py"
    if not path.is_file():
        there = sorted(other.stem for other in checks.glob("*/*.py"))
        raise DataError(f"{entry.slug} has no check yet ({path} is not there); there are: {', '.join(there) or 'none'}")
    if str(checks) not in sys.path:
        sys.path.append(str(checks))  # what several scripts share lies beside the rooms' folders
    name = f"plait_check_{entry.slug.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while it is being run
    spec.loader.exec_module(module)
    run = getattr(module, "check", None)
    if not callable(run):
        raise DataError(f"{path} has no function `check`; write `def check(data: Path) -> Outcome`")
    found: Callable[[Path], object] = run
    return found


def _result(entry: Paper, outcome: Outcome, seconds: float) -> CheckResult:
    main = outcome.claims[0]
    return CheckResult(
        slug=entry.slug,
        holds=outcome.holds,
        value=main.value,
        baseline=main.baseline,
        published=entry.published,
        metric=outcome.metric,
        data=list(outcome.data),
        seeds=[int(seed) for seed in outcome.seeds],
        claims=list(outcome.claims),
        ablation={ablation.text: ablation for ablation in outcome.ablations},
        figures=dict(outcome.figures),
        seconds=round(seconds, 2),
        machine=_machine(),
        versions=_versions(),
        date=datetime.now(UTC).date().isoformat(),
        note=outcome.note,
    )


def _write(folder: Path, result: CheckResult) -> None:
    from plait.bank import write_atomic

    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / f"{result.slug}.json", result.to_json().encode())
    except OSError as error:
        raise DataError(f"cannot write the result of {result.slug} to {folder}: {error.strerror}") from error


def _machine() -> dict[str, str]:
    return {"system": platform.system(), "processor": _processor(), "cores": str(os.cpu_count() or 0)}


def _processor() -> str:
    """The processor's model name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
