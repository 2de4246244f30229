"""The `papers` command: its table, its JSON and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from plait.cli.papers import app
from plait.papers import papers
from plait.papers.outcome import Claim
from plait.papers.result import CheckResult
from plait.types import DataError

KEYS = ["slug", "title", "room", "components", "check", "status", "holds", "value", "baseline", "published", "seconds"]
runner = CliRunner()


def call(*arguments: str, status: int = 0) -> str:
    done = runner.invoke(app, list(arguments), env={"COLUMNS": "160", "PLAIT_DATA": ""})
    assert done.exit_code == status, done.output
    return done.stdout


def test_json_is_one_object_a_paper() -> None:
    rows = json.loads(call("--json"))
    assert len(rows) == 174
    assert all(list(row) == KEYS for row in rows)
    assert rows == [p.as_dict() for p in papers()]


def test_filters() -> None:
    rows = json.loads(call("--json", "--room", "pooling", "--status", "planned"))
    assert {row["room"] for row in rows} <= {"pooling"} and {row["status"] for row in rows} <= {"planned"}
    assert len(json.loads(call("--json", "--room", "pooling"))) == 7


@pytest.mark.parametrize("option", ["--room", "--status"])
def test_a_wrong_filter_is_refused(option: str) -> None:
    done = runner.invoke(app, [option, "attic"])
    assert isinstance(done.exception, DataError) and f"{option} is 'attic'" in str(done.exception)


def test_table_has_a_row_a_paper_and_the_counts() -> None:
    text = call()
    assert all(p.slug in text for p in papers())
    assert "174 papers" in text
    assert max(map(len, text.splitlines())) <= 160


def test_show_prints_claim_and_source() -> None:
    text = call("show", "moee")
    assert "https://arxiv.org/abs/2410.10814" in text and "Router weights" in text
    assert json.loads(call("show", "moee", "--json"))[0]["slug"] == "moee"


def test_show_of_an_unknown_paper() -> None:
    done = runner.invoke(app, ["show", "moeee"])
    assert isinstance(done.exception, DataError) and "moee" in str(done.exception)


def test_check_needs_a_paper() -> None:
    done = runner.invoke(app, ["check"])
    assert isinstance(done.exception, DataError)


def test_a_check_that_cannot_run_is_reported_and_the_rest_goes_on() -> None:
    done = runner.invoke(app, ["check", "no-such-paper", "moee", "--json"])
    assert done.exit_code == 1
    assert "no-such-paper: there is no paper" in done.stderr and "moee: " in done.stderr
    assert json.loads(done.stdout) == []


def test_a_finished_check_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = Claim.above("state and router beat the state", 43.3, 35.4, 2)
    result = CheckResult(
        "moee", True, 43.3, 35.4, "", "Spearman × 100", ["sts/stsb"], [0], [claim],
        {"shuffled router": claim.without("shuffled router", 35.0)}, {}, 2.0, {}, {}, "2026-01-01", "a note",
    )  # fmt: skip
    monkeypatch.setattr("plait.papers.check.run_check", lambda slug: result)
    monkeypatch.setattr("plait.papers.catalogue.load_result", lambda slug: result if slug == "moee" else None)
    text = call("check", "moee")
    assert "holds (Spearman × 100; sts/stsb; 2026-01-01, 2 s)" in text
    assert "✓  state and router beat the state: 43.3 against 35.4, bar +2" in text
    assert "✓  without it (shuffled router): 35" in text and "a note" in text
    assert json.loads(call("check", "moee", "--json"))[0]["holds"] is True
    assert [row["slug"] for row in json.loads(call("--json", "--status", "measured"))] == ["moee"]


def test_page_lists_every_paper() -> None:
    import runpy

    script = Path(__file__).parents[2] / "scripts" / "papers_table.py"
    text = runpy.run_path(str(script))["page"](papers())
    rows = [line for line in text.splitlines() if line.startswith("| [") or line.startswith("| binary-paragraph")]
    assert len(rows) == 174 and all(row.count(" | ") == 4 for row in rows)
