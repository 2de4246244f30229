"""The catalogue against the list of systems, the names that the rooms export, and the files in the source tree."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import plait
from plait.papers import paper, papers
from plait.papers.catalogue import FOLDER, ROOMS, STATUSES, _entry
from plait.papers.result import RESULTS
from plait.types import DataError

ROOT = Path(__file__).parents[2]
SLUGS = (Path(__file__).parent / "slugs.txt").read_text().split()
KEYS = {
    "title", "year", "arxiv", "code", "room", "kind", "components", "check", "source", "claim", "published", "note",
}  # fmt: skip
KINDS = {"method", "model", "training recipe", "analysis", "benchmark", "theory", "tool", "survey"}


def exported() -> set[str]:
    """Every public name that a room's table holds."""
    names: set[str] = set()
    for room in pkgutil.iter_modules(plait.__path__):
        if room.ispkg and (FOLDER.parent / room.name / "__init__.py").exists():
            names |= set(getattr(importlib.import_module(f"plait.{room.name}"), "NAMES", {}))
    return names


def test_every_system_has_an_entry_and_no_entry_is_left_over() -> None:
    assert len(SLUGS) == 174
    assert {path.stem for path in FOLDER.glob("*.toml")} == set(SLUGS)
    assert {p.slug for p in papers()} == set(SLUGS)


def test_entries_have_exactly_the_known_keys() -> None:
    for slug in SLUGS:
        assert set(tomllib.loads((FOLDER / f"{slug}.toml").read_text(encoding="utf-8"))) == KEYS, slug


def test_entries_are_sound() -> None:
    for p in papers():
        assert re.fullmatch(r"\d{4}\.\d{5}|", p.arxiv), p.slug
        assert p.arxiv in p.source or "arxiv.org" in p.source, p.slug
        assert re.fullmatch(r"[\w.-]+/[\w.-]+|", p.code), p.slug
        assert p.kind in KINDS, p.slug
        assert 2010 < p.year < 2030, p.slug
        assert p.title.strip() == p.title != "", p.slug
        assert 40 < len(p.claim) <= 220 and p.claim.endswith("."), p.slug
        assert "not confirmed" not in p.claim + p.published, p.slug
    assert len({p.claim for p in papers()}) == len({p.title for p in papers()}) == 174


def test_listed_in_the_order_of_the_rooms() -> None:
    found = [(ROOMS.index(p.room), p.slug) for p in papers()]
    assert found == sorted(found)
    assert {p.room for p in papers()} == set(ROOMS)


def test_components_are_names_that_a_room_exports() -> None:
    names = exported()
    unknown = {(p.slug, name) for p in papers() for name in p.components if name not in names}
    assert not unknown


def test_a_named_check_exists_and_every_check_is_named() -> None:
    named = {p.check for p in papers() if p.check}
    assert all(p.check in ("", f"checks/{p.room}/{p.slug}.py") for p in papers())
    assert named == {path.relative_to(ROOT).as_posix() for path in ROOT.glob("checks/*/*.py")}


def test_a_measured_paper_has_a_check_a_component_and_an_ablation() -> None:
    for path in RESULTS.glob("*.json"):
        p = paper(path.stem)
        assert p.result is not None and p.result.slug == p.slug
        assert p.status == "measured" and p.check and p.components
        assert p.result.ablation
        holds = all(c.holds for c in p.result.claims) and all(a.fails for a in p.result.ablation.values())
        assert p.result.holds == holds
        assert (p.result.value, p.result.baseline) == (p.result.claims[0].value, p.result.claims[0].baseline)
        assert p.result.holds or p.result.note, f"{p.slug} does not hold and its check does not say why"
    assert all(p.status in STATUSES for p in papers())


def test_status_follows_components() -> None:
    entry = tomllib.loads((FOLDER / "ace.toml").read_text(encoding="utf-8"))
    assert _entry("no-result", entry | {"components": []}).status == "planned"
    assert _entry("no-result", entry | {"components": ["MeanPool"]}).status == "built"


def test_row_has_exactly_the_promised_keys() -> None:
    keys = [
        "slug",
        "title",
        "room",
        "components",
        "check",
        "status",
        "holds",
        "value",
        "baseline",
        "published",
        "seconds",
    ]
    assert all(list(p.as_dict()) == keys for p in papers())
    planned = next(p for p in papers() if p.status == "planned").as_dict()
    assert [planned[key] for key in ("holds", "value", "baseline", "seconds")] == [None] * 4


@pytest.mark.parametrize(
    ("slug", "close"), [("whiteningbert", "whitening-bert"), ("bert-layerwise", "bert-layerwise-")]
)
def test_unknown_slug_names_close_ones(slug: str, close: str) -> None:
    with pytest.raises(DataError, match=close):
        paper(slug)


@given(st.text(max_size=40))
def test_any_slug_is_found_or_refused(slug: str) -> None:
    if slug in SLUGS:
        assert paper(slug).slug == slug
    else:
        with pytest.raises(DataError, match="no paper"):
            paper(slug)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"year": "2020"}, "year should be int"),
        ({"extra": 1}, "extra is not a known key"),
        ({"room": "attic"}, "attic"),
    ],
)
def test_a_wrong_entry_says_what_is_wrong(change: dict[str, object], message: str) -> None:
    entry = tomllib.loads((FOLDER / "ace.toml").read_text(encoding="utf-8"))
    with pytest.raises(DataError, match=message):
        _entry("ace", entry | change)


def test_an_entry_without_a_key_says_which() -> None:
    entry = tomllib.loads((FOLDER / "ace.toml").read_text(encoding="utf-8"))
    del entry["claim"]
    with pytest.raises(DataError, match="claim should be str"):
        _entry("ace", entry)


def test_papers_load_nothing_heavy() -> None:
    code = (
        "import sys; import plait.cli.papers; from plait.papers import papers; papers(); import plait.papers.check; "
        "print([m for m in ('torch', 'sklearn', 'transformers', 'scipy', 'lancedb', 'pyarrow') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_paper_is_a_value() -> None:
    first, second = paper("ace"), paper("ace")
    assert first == second
    assert hash(first) == hash(second)
