"""The record of one run of a check, kept as JSON next to the paper's entry."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from plait.papers.outcome import Ablation, Claim
from plait.types import DataError

RESULTS = Path(__file__).parent / "results"
"""One ``<slug>.json`` for each check that was run; written by `run_check`, never by hand."""


@dataclass(frozen=True)
class CheckResult:
    """What a check measured, where, and on what.

    Attributes:
        slug: which paper.
        holds: every claim holds, and every ablation makes it fail.
        value: main figure with the mechanism.
        baseline: main figure without it, from the same run.
        published: the paper's own figure, empty when none is sure.
        metric: what the figures are.
        data: names of the sets used.
        seeds: random seeds used.
        claims: every claim with its figures and its bar.
        ablation: what was removed or shuffled, to whether the claim then failed and the figure.
        figures: further figures.
        seconds: wall time of the run.
        machine: system, processor and number of cores.
        versions: of Python and the libraries that decide figures.
        date: day of the run, UTC, as YYYY-MM-DD.
        note: what the check had to say.
    """

    slug: str
    holds: bool
    value: float
    baseline: float
    published: str
    metric: str
    data: list[str]
    seeds: list[int]
    claims: list[Claim]
    ablation: dict[str, Ablation]
    figures: dict[str, float]
    seconds: float
    machine: dict[str, str]
    versions: dict[str, str]
    date: str
    note: str

    def to_json(self) -> str:
        """The record as indented JSON."""
        record = asdict(self)
        record["ablation"] = {name: {"fails": a.fails, "value": a.value} for name, a in self.ablation.items()}
        return json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> CheckResult:
        """Read what `to_json` wrote.

        Raises:
            DataError: if the text is not such a record.
        """
        try:
            record = json.loads(text)
            record["claims"] = [Claim(**claim) for claim in record["claims"]]
            record["ablation"] = {name: Ablation(name, **figures) for name, figures in record["ablation"].items()}
            return cls(**record)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            expected = ", ".join(field.name for field in fields(cls))
            raise DataError(f"not the record of a check ({error}); expected JSON with {expected}") from error


def load_result(slug: str, folder: Path = RESULTS) -> CheckResult | None:
    """The last result of a paper's check, or None when it was never run.

    Raises:
        DataError: if the file is damaged.
    """
    path = folder / f"{slug}.json"
    if not path.exists():
        return None
    try:
        return CheckResult.from_json(path.read_text(encoding="utf-8"))
    except DataError as error:
        raise DataError(f"{path}: {error}; run `plait papers check {slug}` again") from error
