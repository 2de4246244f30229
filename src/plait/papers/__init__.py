"""The literature as runnable checks: one entry a published system, with its claim and what was measured here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plait._lazy import exports

if TYPE_CHECKING:
    from plait.papers.catalogue import Paper as Paper
    from plait.papers.catalogue import paper as paper
    from plait.papers.catalogue import papers as papers
    from plait.papers.check import run_check as run_check
    from plait.papers.outcome import Ablation as Ablation
    from plait.papers.outcome import Claim as Claim
    from plait.papers.outcome import Outcome as Outcome
    from plait.papers.result import CheckResult as CheckResult
    from plait.papers.taxonomy_rows import Row as Row
    from plait.papers.taxonomy_rows import taxonomies as taxonomies
    from plait.papers.taxonomy_rows import taxonomy as taxonomy

NAMES = {
    "Ablation": "plait.papers.outcome",
    "CheckResult": "plait.papers.result",
    "Claim": "plait.papers.outcome",
    "Outcome": "plait.papers.outcome",
    "Paper": "plait.papers.catalogue",
    "paper": "plait.papers.catalogue",
    "papers": "plait.papers.catalogue",
    "Row": "plait.papers.taxonomy_rows",
    "run_check": "plait.papers.check",
    "taxonomies": "plait.papers.taxonomy_rows",
    "taxonomy": "plait.papers.taxonomy_rows",
}
__getattr__, __dir__ = exports(__name__, NAMES)
