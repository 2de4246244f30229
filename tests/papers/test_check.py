"""Checks run end to end on scripts written here: one that holds, and every way in which one can fail to."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.papers import Ablation, CheckResult, Claim, Outcome, run_check
from plait.papers.result import load_result
from plait.types import DataError

SCRIPT = """
from pathlib import Path
import numpy as np
from plait.papers import Claim, Outcome

def check(data: Path) -> Outcome:
    numbers = np.array([float(line) for line in (data / "numbers.txt").read_text().split()])
    claim = Claim.above("the sorted copy starts lower", numbers[0], np.sort(numbers)[0], bar={bar})
    return Outcome([claim], [claim.without("no sorting", {ablated})], "first number", ["numbers"], seeds=[3], note="n")
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data and room for one check."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "numbers.txt").write_text("5 1 4")
    (tmp_path / "checks" / "transforms").mkdir(parents=True)
    monkeypatch.setenv("PLAIT_DATA", str(tmp_path / "data"))
    return tmp_path


def run(tree: Path, script: str) -> CheckResult:
    (tree / "checks" / "transforms" / "whitening-bert.py").write_text(script)
    return run_check("whitening-bert", tree / "checks", tree / "results")


def test_a_check_that_holds_is_recorded(tree: Path) -> None:
    result = run(tree, SCRIPT.format(bar=3, ablated="numbers.min()"))
    assert result.holds
    assert (result.value, result.baseline, result.seeds, result.data) == (5.0, 1.0, [3], ["numbers"])
    assert result.ablation == {"no sorting": Ablation("no sorting", True, 1.0)}
    assert result.versions["python"] and result.machine["cores"] and result.seconds >= 0
    record = json.loads((tree / "results" / "whitening-bert.json").read_text())
    assert record["ablation"] == {"no sorting": {"fails": True, "value": 1.0}}
    assert record["claims"][0]["bar"] == 3.0
    assert load_result("whitening-bert", tree / "results") == result
    assert [path.name for path in (tree / "results").iterdir()] == ["whitening-bert.json"]


def test_a_claim_below_its_bar_does_not_hold(tree: Path) -> None:
    assert not run(tree, SCRIPT.format(bar=4, ablated="numbers.min()")).holds


def test_an_ablation_that_does_not_break_the_claim_makes_it_not_hold(tree: Path) -> None:
    result = run(tree, SCRIPT.format(bar=3, ablated="numbers[0]"))
    assert result.claims[0].holds and not result.holds


def test_a_second_run_replaces_the_first(tree: Path) -> None:
    run(tree, SCRIPT.format(bar=3, ablated="numbers.min()"))
    run(tree, SCRIPT.format(bar=4, ablated="numbers.min()"))
    kept = load_result("whitening-bert", tree / "results")
    assert kept is not None and not kept.holds


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("", "has no function `check`"),
        ("def check(data): return 0.7", "gave float; it must return"),
        ("def check(data): open(data / 'gone.tsv')", "did not find .*gone.tsv"),
        (SCRIPT.format(bar="float('nan')", ablated=0), "bar of the claim .* is nan"),
    ],
)
def test_a_broken_check_says_what_is_wrong_and_leaves_no_result(tree: Path, script: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        run(tree, script)
    assert not (tree / "results").exists()


def test_without_a_script_the_error_names_the_ones_there(tree: Path) -> None:
    (tree / "checks" / "transforms" / "length-collapse.py").write_text("")
    with pytest.raises(DataError, match=r"ace has no check yet .* there are: length-collapse"):
        run_check("ace", tree / "checks", tree / "results")


def test_unknown_paper_is_refused(tree: Path) -> None:
    with pytest.raises(DataError, match="did you mean"):
        run_check("whitening-bort", tree / "checks", tree / "results")


@pytest.mark.parametrize(("value", "message"), [(None, "PLAIT_DATA is not set"), ("/no/such", "is not a folder")])
def test_data_folder_must_be_named(
    tree: Path, monkeypatch: pytest.MonkeyPatch, value: str | None, message: str
) -> None:
    monkeypatch.delenv("PLAIT_DATA")
    if value:
        monkeypatch.setenv("PLAIT_DATA", value)
    with pytest.raises(DataError, match=message):
        run(tree, SCRIPT.format(bar=3, ablated=0))


def test_an_outcome_needs_a_claim_and_an_ablation() -> None:
    claim = Claim.above("c", 2, 1)
    with pytest.raises(DataError, match="0 ablations"):
        Outcome([claim], [], "m", [])
    with pytest.raises(DataError, match="0 claims"):
        Outcome([], [claim.without("a", 0)], "m", [])
    with pytest.raises(DataError, match="same text"):
        Outcome([claim], [claim.without("a", 0), claim.without("a", 3)], "m", [])
    with pytest.raises(DataError, match="'f' is inf"):
        Outcome([claim], [claim.without("a", 0)], "m", [], figures={"f": math.inf})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"slug": "ace", "claims": [], "ablation": {}}'])
def test_a_damaged_result_says_how_to_mend_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "ace.json").write_text(text)
    with pytest.raises(DataError, match=r"ace.json: .* `plait papers check ace` again"):
        load_result("ace", tmp_path)


FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(FINITE, FINITE, st.floats(0, 100), FINITE, st.text(), st.lists(st.integers(0), max_size=3))
def test_any_result_survives_json(
    value: float, baseline: float, bar: float, ablated: float, note: str, seeds: list[int]
) -> None:
    claim = Claim.above("c", value, baseline, bar)
    ablation = claim.without("a", ablated)
    assert claim.holds == (value - baseline > bar) and ablation.fails == (ablated - baseline <= bar)
    outcome = Outcome([claim], [ablation], "m", ["d"], seeds, {"f": value}, note)
    assert outcome.holds == (claim.holds and ablation.fails)
    result = CheckResult(
        "ace", outcome.holds, value, baseline, "", "m", ["d"], seeds, [claim], {"a": ablation}, {"f": value},
        1.5, {"cores": "2"}, {"python": "3"}, "2026-01-01", note,
    )  # fmt: skip
    assert CheckResult.from_json(result.to_json()) == result
