"""Spans against known cases of every scheme."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.evaluation import spans
from plait.evaluation.bio_tags import looks_spanned

CASES = {
    "": [],
    "O O": [],
    "B-A I-A O": [(0, 2, "A")],
    "B-A B-A I-A": [(0, 1, "A"), (1, 3, "A")],
    "B-A I-B": [(0, 1, "A"), (1, 2, "B")],
    "I-A I-A O I-A": [(0, 2, "A"), (3, 4, "A")],  # IOB1
    "I-A B-A O": [(0, 1, "A"), (1, 2, "A")],  # IOB1: B parts two neighbours
    "O I-A": [(1, 2, "A")],
    "S-A S-A": [(0, 1, "A"), (1, 2, "A")],  # IOBES
    "B-A I-A E-A S-B": [(0, 3, "A"), (3, 4, "B")],
    "B-A E-A I-A": [(0, 2, "A"), (2, 3, "A")],
    "B-A L-A U-B O": [(0, 2, "A"), (2, 3, "B")],  # BILOU
    "E-A": [(0, 1, "A")],
    "B-X-Y I-X-Y": [(0, 2, "X-Y")],
}


@pytest.mark.parametrize("tags", CASES)
def test_known_cases(tags: str) -> None:
    assert spans(tags.split()) == CASES[tags]


def write(found: list[tuple[int, str]], scheme: str) -> tuple[list[str], list[tuple[int, int, str]]]:
    """Tags of spans (length, type), each followed by an O where the type is empty, and the spans."""
    tags: list[str] = []
    expected = []
    for length, kind in found:
        if not kind:
            tags += ["O"] * length
            continue
        expected.append((len(tags), len(tags) + length, kind))
        if scheme == "IOB1":
            first = "B" if tags and tags[-1].endswith(f"-{kind}") else "I"
            tags += [f"{first}-{kind}"] + [f"I-{kind}"] * (length - 1)
        elif scheme == "IOB2":
            tags += [f"B-{kind}"] + [f"I-{kind}"] * (length - 1)
        else:
            last, only = ("E", "S") if scheme == "IOBES" else ("L", "U")
            inner = [f"B-{kind}", *[f"I-{kind}"] * (length - 2), f"{last}-{kind}"]
            tags += [f"{only}-{kind}"] if length == 1 else inner
    return tags, expected


@given(
    found=st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["", "PER", "LOC"])), max_size=8),
    scheme=st.sampled_from(["IOB1", "IOB2", "IOBES", "BILOU"]),
)
def test_what_is_written_is_read(found: list[tuple[int, str]], scheme: str) -> None:
    tags, expected = write(found, scheme)
    assert spans(tags) == expected


@pytest.mark.parametrize(
    ("tags", "expected"),
    [({"O", "B-PER"}, True), ({"I-PER", "E-PER"}, True), ({"O"}, False), (set(), False), ({"NOUN", "B-PER"}, False)],
)
def test_tags_of_spans_are_recognised(tags: set[str], expected: bool) -> None:
    assert looks_spanned(tags) is expected
