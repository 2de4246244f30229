"""The published systems that the library answers to, one TOML file each."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias

from plait.papers.result import CheckResult, load_result
from plait.types import DataError

FOLDER = Path(__file__).parent
ROOMS = (
    "tokenization",
    "input_embeddings",
    "positions",
    "words",
    "encoders",
    "layers",
    "prompting",
    "pooling",
    "transforms",
    "fusion",
    "compression",
    "training",
    "retrieval",
    "evaluation",
    "analysis",
    "privacy",
    "language_models",
    "modalities",
)
"""Rooms in the order in which papers are listed: the way data flows."""

Status: TypeAlias = Literal["planned", "built", "measured"]
STATUSES: tuple[Status, ...] = ("planned", "built", "measured")


@dataclass(frozen=True)
class Paper:
    """One published system.

    Attributes:
        slug: short name, also that of its check.
        title: the publication's title.
        year: of publication.
        arxiv: arXiv number, empty when there is none.
        code: the authors' GitHub repository as owner/name, empty when there is none.
        room: the room that serves it.
        kind: method, model, training recipe, analysis, benchmark, theory, tool or survey.
        components: public names that serve it; none while it is planned.
        check: path of its check in the source tree, empty while there is none.
        source: where to read it.
        claim: what it claims, in a sentence of ours.
        published: its main figure, empty when none is sure.
        note: corrections and caveats.
    """

    slug: str
    title: str
    year: int
    arxiv: str
    code: str
    room: str
    kind: str
    components: tuple[str, ...]
    check: str
    source: str
    claim: str
    published: str
    note: str

    @cached_property
    def result(self) -> CheckResult | None:
        """The last run of its check, if there was one."""
        return load_result(self.slug)

    @property
    def status(self) -> Status:
        """``measured`` once its check was run, ``built`` once a component serves it, else ``planned``."""
        if self.result is not None:
            return "measured"
        return "built" if self.components else "planned"

    def as_dict(self) -> dict[str, object]:
        """The row that ``plait papers --json`` prints; figures are None while nothing was measured."""
        result = self.result
        return {
            "slug": self.slug,
            "title": self.title,
            "room": self.room,
            "components": list(self.components),
            "check": self.check,
            "status": self.status,
            "holds": result.holds if result else None,
            "value": result.value if result else None,
            "baseline": result.baseline if result else None,
            "published": self.published,
            "seconds": result.seconds if result else None,
        }


def papers() -> list[Paper]:
    """All published systems, by room and then by slug.

    Example:
        >>> len(papers())
        174
    """
    found = [_read(path) for path in FOLDER.glob("*.toml")]
    return sorted(found, key=lambda paper: (ROOMS.index(paper.room), paper.slug))


def paper(slug: str) -> Paper:
    """One published system.

    Raises:
        DataError: if there is none of this slug; the message names close ones.

    Example:
        >>> paper("whitening-bert").arxiv
        '2104.01767'
    """
    slugs = sorted(path.stem for path in FOLDER.glob("*.toml"))
    if slug in slugs:
        return _read(FOLDER / f"{slug}.toml")
    close = difflib.get_close_matches(slug, slugs, n=3, cutoff=0.5) or [s for s in slugs if slug and slug in s][:3]
    hint = f"did you mean {' or '.join(close)}?" if close else "`plait papers` lists them all"
    raise DataError(f"there is no paper {slug!r}; {hint}")


def _read(path: Path) -> Paper:
    try:
        return _entry(path.stem, tomllib.loads(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path.name} is not TOML: {error}") from error


def _entry(slug: str, entry: Mapping[str, object]) -> Paper:
    """An entry with exactly the known keys, each of its type."""
    wrong = [
        f"{name} should be {kind.__name__}" for name, kind in _KEYS.items() if not isinstance(entry.get(name), kind)
    ]
    wrong += [f"{name} is not a known key" for name in sorted(set(entry) - set(_KEYS))]
    if not wrong and entry["room"] not in ROOMS:
        wrong = [f"room is {entry['room']!r}, expected one of {', '.join(ROOMS)}"]
    if wrong:
        raise DataError(f"{slug}.toml is not an entry of the catalogue: {'; '.join(wrong)}")
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    return Paper(slug, **values)  # type: ignore[arg-type]


_KEYS: dict[str, type] = {
    "title": str,
    "year": int,
    "arxiv": str,
    "code": str,
    "room": str,
    "kind": str,
    "components": list,
    "check": str,
    "source": str,
    "claim": str,
    "published": str,
    "note": str,
}
