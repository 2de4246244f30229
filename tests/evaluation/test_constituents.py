"""The probe of top phrases, on trees written by hand."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from plait.data.tasks import Labels
from plait.evaluation.constituents import constituents_task, phrases
from plait.types import DataError

RAINS = "( (S (NP-SBJ (PRP It) )\n    (VP (VBZ rains) )\n    (. .) ))"
TOLD = (
    "( (S (S-TPC-1 (NP (NNS Dogs)) (VP (VBP bark))) (, ,) (NP-SBJ (PRP she)) (VP (VBD said) (S (-NONE- *T*))) (. .)))"
)
HIDDEN = "( (S (NP-SBJ (-NONE- *)) (VP (VB Run) (-LRB- -LRB-) (RB now) (-RRB- -RRB-))) )"
PLAIN = "(S (NP (DT The) (NN cat)) (VP (VBD sat)) (. .))"


def test_labels_are_the_phrases_below_the_sentence(tmp_path: Path) -> None:
    path = tmp_path / "bank.mrg.gz"
    path.write_bytes(gzip.compress("\n\n".join([RAINS, TOLD, HIDDEN, PLAIN]).encode()))
    task = constituents_task(path)
    part = task.parts["all"]
    assert isinstance(part, Labels)
    assert task.name == "bank TopConst"
    assert dict(zip(task.documents, part.labels, strict=True)) == {
        "It rains .": "NP VP .",
        "Dogs bark , she said .": "S , NP VP .",
        "Run ( now )": "VP",
        "The cat sat .": "NP VP .",
    }


def test_rare_patterns_are_one_class(tmp_path: Path) -> None:
    path = tmp_path / "bank.mrg"
    path.write_text("\n".join([RAINS, TOLD, HIDDEN, PLAIN]))
    part = constituents_task(path, patterns=1).parts["all"]
    assert isinstance(part, Labels)
    assert part.labels == ("NP VP .", "other", "other", "NP VP .")
    with pytest.raises(DataError, match="of one pattern"):
        constituents_task(path, patterns=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [("(S (NP it)", "ends inside a tree; 1 brackets"), ("(S))", "closes a bracket"), ("word (S)", "'word' outside")],
)
def test_damage_is_told(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(phrases(text))
