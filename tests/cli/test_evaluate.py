from __future__ import annotations

import json

import pytest

from tests.cli.running import Cli


def test_prints_the_figure_and_its_interval(cli: Cli, recipe: str) -> None:
    done = cli("eval", recipe, "demo:stsb")
    assert done.status == 0
    facts = json.loads(cli("eval", recipe, "demo:stsb", "--json").out)
    low, high = facts["interval"]
    assert low < facts["value"] < high
    assert done.out.startswith(f"spearman {facts['value']:.4f}  95 % interval {low:.4f} to {high:.4f}")
    assert (facts["metric"], facts["part"], facts["fitted_on_train"]) == ("spearman", "test", False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.csv"], "none.csv"),
        (["demo:none"], "samples are"),
        (["demo:stsb", "--part", "tset"], "expected one of test, dev"),
        (["demo:stsb", "--task", "rhyming"], "expected one of"),
        (["demo:stsb", "--column", "label"], "expected ROLE=COLUMN"),
    ],
)
def test_what_goes_wrong_is_said(cli: Cli, recipe: str, arguments: list[str], message: str) -> None:
    done = cli("eval", recipe, *arguments)
    assert done.status == 2
    assert message in done.err
