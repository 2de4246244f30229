"""From rows of tables to tasks: labels, pairs, tags."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np

from plait.data.columns import Plan, check_columns
from plait.data.files import part_of
from plait.data.tables import Table
from plait.data.tally import Tally
from plait.data.tasks import Kind, Labels, Pairs, Part, Tags, Task
from plait.types import DataError, Text

Source = tuple[str, Table]
"""A part's name and a table with its rows."""
Sentence: TypeAlias = tuple[str, str, list[str], list[str]]
"""Part, where it stands, words, tags."""
Item = TypeVar("Item", bound=Text)
POSITIVE = ("1", "1.0", "true", "yes", "y", "positive", "paraphrase", "duplicate", "entailment", "similar")
SEPARATOR = "|"


class Unique(dict[Item, int]):
    """Items to row numbers, in the order in which they came."""

    def row(self, item: Item) -> int:
        """The item's row; a new one for a new item."""
        return self.setdefault(item, len(self))


@dataclass(frozen=True)
class Record:
    """A row: the part it belongs to, where it stands, and its cells by role."""

    part: str
    table: Table
    line: int
    cells: Mapping[str, object]

    @property
    def where(self) -> str:
        """File and line, for messages."""
        return self.table.at(self.line)


def records(sources: Sequence[Source], plan: Plan, tally: Tally) -> Iterator[Record]:
    """All rows of all tables, with the part that the file's name or a split column gives them."""
    roles, columns = list(plan.columns), list(plan.columns.values())
    for part, table in sources:
        check_columns(table, columns)
        for line, values in table.pick(columns):
            cells = dict(zip(roles, values, strict=True))
            given = part
            if "split" in cells:
                found = part_of(tally.text(cells["split"]))[0]
                if found is None:
                    tally.add("row", "whose split is none of train, dev and test dropped")
                    continue
                given = found
            yield Record(given, table, line, cells)


def joined(title: str, text: str) -> str:
    """A document's text: the title, then the text, as BEIR joins them, so that figures compare.

    >>> joined("On owls", "They hoot."), joined("", "They hoot.")
    ('On owls They hoot.', 'They hoot.')
    """
    return f"{title} {text}".strip() if title else text


def text_of(record: Record, tally: Tally, role: str = "text") -> str:
    """The text of a row, with its title in front when there is one."""
    return joined(tally.text(record.cells.get("title")), tally.text(record.cells[role]))


def labels_task(name: str, kind: Kind, sources: Sequence[Source], plan: Plan, tally: Tally) -> Task:
    """Classification or clustering."""
    texts: Unique[str] = Unique()
    rows: dict[str, list[int]] = {}
    labels: dict[str, list[str | tuple[str, ...]]] = {}
    same: dict[str, str] = {}
    for record in records(sources, plan, tally):
        text = text_of(record, tally)
        label = _several(record.cells["label"], tally) if plan.multi else tally.text(record.cells["label"]).strip()
        if not text.strip():
            tally.add("row", "without text dropped")
        elif label == "":
            tally.add("row", "without label dropped")
        else:
            rows.setdefault(record.part, []).append(texts.row(text))
            label = label if isinstance(label, tuple) else same.setdefault(label, label)
            labels.setdefault(record.part, []).append(label)
    _need_rows(rows, sources, tally)
    _check_labels(labels, plan.multi, sources[0][1].name, plan.columns["label"], tally)
    parts = {part: Labels(np.array(rows[part], np.int64), tuple(labels[part])) for part in rows}  # type: ignore[arg-type]
    return Task(kind, name, tuple(texts), parts=parts, notes=tally.notes())


def _several(value: object, tally: Tally) -> tuple[str, ...]:
    found = value if isinstance(value, list) else tally.text(value).split(SEPARATOR)
    return tuple(sorted({label for item in found if (label := tally.text(item).strip())}))


def _check_labels(
    labels: Mapping[str, Sequence[str | tuple[str, ...]]], multi: bool, name: str, column: str, tally: Tally
) -> None:
    counts = Counter(
        one for part in labels.values() for label in part for one in (label if isinstance(label, tuple) else (label,))
    )
    if len(counts) < (1 if multi else 2):
        only = repr(next(iter(counts))) if counts else "nothing"
        raise DataError(
            f"{name}: every label in column {column!r} is {only}; expected at least two labels. "
            "Name another column with columns={'label': …}"
        )
    tally.add("label", "with a single example", sum(number == 1 for number in counts.values()))


def pairs_task(
    name: str, kind: Kind, sources: Sequence[Source], plan: Plan, tally: Tally, chosen: Mapping[str, str]
) -> Task:
    """Graded similarity of pairs, or pairs of two classes."""
    texts: Unique[str] = Unique()
    found: dict[str, list[tuple[int, int, float]]] = {}
    score = _number if kind == "sts" else _two_classes(sources, plan, tally, chosen)
    for record in records(sources, plan, tally):
        left, right = tally.text(record.cells["left"]), tally.text(record.cells["right"])
        gold = tally.text(record.cells["gold"]).strip()
        if not left.strip() or not right.strip():
            tally.add("row", "without text dropped")
        elif not gold:
            tally.add("row", "without score dropped" if kind == "sts" else "without label dropped")
        elif (value := score(gold, record, plan)) is None:
            tally.add("row", "of another class dropped")
        else:
            found.setdefault(record.part, []).append((texts.row(left), texts.row(right), value))
    _need_rows(found, sources, tally)
    parts: dict[str, Part] = {}
    for part, triples in found.items():
        lefts, rights, scores = zip(*triples, strict=True)
        parts[part] = Pairs(np.array(lefts, np.int64), np.array(rights, np.int64), np.array(scores, np.float64))
    return Task(kind, name, tuple(texts), parts=parts, notes=tally.notes())


def _number(gold: str, record: Record, plan: Plan) -> float:
    try:
        value = float(gold)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(
            f"{record.where}: the score in column {plan.columns['gold']!r} is {gold!r}; expected a number. "
            "For labels that are words set task='pair-classification'"
        )
    return value


def _two_classes(
    sources: Sequence[Source], plan: Plan, tally: Tally, chosen: Mapping[str, str]
) -> Callable[[str, Record, Plan], float | None]:
    """What gives 1 for the positive class, 0 for the negative one and None for the rest."""
    column, name = plan.columns["gold"], sources[0][1].name
    quiet = Tally()
    rows = records(sources, Plan(None, {"gold": column}), quiet)
    classes = Counter(quiet.text(row.cells["gold"]).strip() for row in rows)
    del classes[""]
    if "classes" in chosen:
        return _several_classes(chosen["classes"], classes, f"{name}: column {column!r}")
    unknown = [chosen[role] for role in ("positive", "negative") if role in chosen and chosen[role] not in classes]
    if unknown:
        raise DataError(f"{name}: column {column!r} holds no {unknown[0]!r}; its labels are {_shown(classes)}")
    positive, negative = chosen.get("positive"), chosen.get("negative")
    if positive is None and len(classes) == 2:
        positives = [label for label in classes if label.lower() in POSITIVE and label != negative]
        positive = positives[0] if len(positives) == 1 else None
    if positive is None and classes:
        raise DataError(
            f"{name}: column {column!r} holds {len(classes)} labels ({_shown(classes)}), and a pair classification "
            "needs to know which one is positive: columns={'positive': …}, and with 'negative': … one other label "
            "instead of all others. For a graded similarity set task='sts'"
        )
    if len(classes) == 1:
        raise DataError(f"{name}: every label in column {column!r} is {positive!r}; expected two")
    return lambda gold, _record, _plan: 1.0 if gold == positive else 0.0 if negative in (None, gold) else None


def _several_classes(named: str, found: Mapping[str, int], where: str) -> Callable[[str, Record, Plan], float | None]:
    """What gives the place of a label among those that were named, and None for the rest."""
    order = {label.strip(): float(number) for number, label in enumerate(named.split(SEPARATOR))}
    missing = [label for label in order if label not in found]
    if missing or len(order) < 2:
        raise DataError(
            f"{where} was to be read with the classes {named!r}; expected two or more of its labels, separated by "
            f"{SEPARATOR}: {_shown(found)}"
        )
    return lambda gold, _record, _plan: order.get(gold)


def _shown(classes: Mapping[str, int]) -> str:
    shown = [f"{label!r}" for label in list(classes)[:6]]
    return ", ".join(shown) + (", …" if len(classes) > 6 else "")


def tags_task(name: str, sentences: Iterator[Sentence], tally: Tally) -> Task:
    """Tagging, from sentences in any order."""
    items: Unique[tuple[str, ...]] = Unique()
    rows: dict[str, list[int]] = {}
    tags: dict[str, list[tuple[str, ...]]] = {}
    same: dict[str, str] = {}
    for part, where, words, found in sentences:
        if len(words) != len(found):
            raise DataError(f"{where}: {len(words)} words and {len(found)} tags; expected as many of each")
        if not words:
            tally.add("sentence", "without words dropped")
            continue
        rows.setdefault(part, []).append(items.row(tuple([same.setdefault(w, w) for w in words])))
        tags.setdefault(part, []).append(tuple([same.setdefault(t, t) for t in found]))
    if not rows:
        raise DataError(f"{name} holds no sentence{_because(tally)}")
    if len({tag for part in tags.values() for sentence in part for tag in sentence}) < 2:
        only = next(iter(tags.values()))[0][0]
        raise DataError(f"{name}: every word has the tag {only!r}; expected two or more tags")
    parts = {part: Tags(np.array(rows[part], np.int64), tuple(tags[part])) for part in rows}
    return Task("tagging", name, tuple(items), parts=parts, notes=tally.notes())


def sentences_of(sources: Sequence[Source], plan: Plan, tally: Tally) -> Iterator[Sentence]:
    """Sentences of tables whose cells are lists of words and of tags."""
    for record in records(sources, plan, tally):
        yield record.part, record.where, _strings(record, "words", tally), _strings(record, "tags", tally)


def _strings(record: Record, role: str, tally: Tally) -> list[str]:
    cell = record.cells[role]
    if not isinstance(cell, list):
        raise DataError(f"{record.where}: the {role} are {cell!r}; expected a list of strings, one a word")
    return [tally.text(entry) for entry in cell]


def _need_rows(found: Mapping[str, object], sources: Sequence[Source], tally: Tally) -> None:
    if not found:
        raise DataError(f"{sources[0][1].name} holds no row that can be used{_because(tally)}; expected at least two")


def _because(tally: Tally) -> str:
    return f" ({'; '.join(tally.notes())})" if tally.notes() else ""
