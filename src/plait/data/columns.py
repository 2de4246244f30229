"""Recognising from its columns what a table can be used for."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from plait.data.tables import Table
from plait.data.tally import Tally
from plait.data.tasks import KINDS, Kind
from plait.types import DataError

ALIASES: dict[str, tuple[str, ...]] = {
    "text": (
        *("text", "sentence", "content", "document", "doc", "body", "passage", "paragraph", "utterance", "description"),
        *("abstract", "review", "comment", "tweet", "message", "post", "query", "question", "input"),
    ),
    "title": ("title", "headline", "subject", "heading"),
    "label": (
        *("label", "class", "category", "intent", "coarse", "fine", "topic", "sentiment", "emotion", "target"),
        *("label_text", "entailment", "gold_label", "labels", "categories", "topics", "is_duplicate"),
    ),
    "score": (
        *("score", "similarity", "relatedness", "similarity_score", "relatedness_score", "sim", "gold", "gold_score"),
        *("relatedness_gold", "human_score"),
    ),
    "query": ("query", "question", "claim", "anchor", "search"),
    "document": (
        *("document", "doc", "passage", "positive", "pos", "answer", "context", "paragraph", "text", "sentence"),
        *("content", "body", "product", "abstract"),
    ),
    "words": ("tokens", "words", "token"),
    "tags": ("tags", "ner_tags", "pos_tags", "upos", "xpos", "chunk_tags", "tag", "labels"),
    "split": ("split",),
}
_PAIRS = (
    *[
        (f"{stem}{a}", f"{stem}{b}")
        for stem in ("sentence", "text", "question", "sent", "phrase", "title", "word", "s")
        for a, b in (("1", "2"), ("_1", "_2"), ("a", "b"), ("_a", "_b"))
    ],
    ("premise", "hypothesis"),
    ("left", "right"),
    ("first", "second"),
)
_NOT_TEXT = {"id", "idx", "index", "row", "_id", "doc_id", "docid", "url", ""}
MULTI_NAMES = ("labels", "categories", "topics")
"""Columns of a CSV or TSV file whose cells hold several labels, separated by ``|``."""
SETTINGS = {"left", "right", "positive", "negative", "classes", "tag", "word", "labels", *ALIASES}
"""Keys that ``columns`` may have; "positive", "negative" and "classes" name labels, all others name columns."""


@dataclass(frozen=True)
class Plan:
    """What a table is read as.

    Attributes:
        kind: the task; None for texts without labels.
        columns: column of each role that is used.
        multi: whether a text has several labels.
    """

    kind: Kind | None
    columns: Mapping[str, str] = field(default_factory=dict)
    multi: bool = False


def recognise(table: Table, task: Kind | None, chosen: Mapping[str, str], tally: Tally) -> Plan:
    """Find the task and the columns it needs.

    Args:
        table: whose columns are looked at.
        task: the task that was asked for; None to recognise it.
        chosen: columns that were named, by role.
        tally: where a choice between several columns is noted.

    Raises:
        DataError: if nothing fits, or more than one thing does; the message lists the columns and says how to set them.
    """
    check_settings(chosen)
    return _Recogniser(table, dict(chosen), tally).plan(task)


def check_settings(chosen: Mapping[str, str]) -> None:
    """Refuse a key of ``columns`` that means nothing."""
    for key in sorted(set(chosen) - SETTINGS):
        close = difflib.get_close_matches(key, SETTINGS, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise DataError(f"columns has the key {key!r}; {hint}known keys are {', '.join(sorted(SETTINGS))}")


class _Recogniser:
    def __init__(self, table: Table, chosen: dict[str, str], tally: Tally) -> None:
        self.table, self.tally = table, tally
        self.names = {_normal(column): column for column in reversed(table.columns)}
        for old, new in (("tag", "tags"), ("word", "words"), ("labels", "label")):
            if old in chosen:
                chosen.setdefault(new, chosen[old])
        self.chosen = {role: self._known(column, role) for role, column in chosen.items() if role in SETTINGS}
        self.multi_asked = "labels" in chosen

    def plan(self, task: Kind | None) -> Plan:
        kind = task or self._kind()
        if kind is None or (kind == "retrieval" and not self._query()):
            return self._done(None, text=self._text(), title=self._first("title"))
        match kind:
            case "tagging":
                words, tags = self._need(kind, words=self._first("words"), tags=self._first("tags"))
                return self._done(kind, words=words, tags=tags)
            case "sts" | "pair-classification":
                return self._pairs(kind)
            case "retrieval":
                query, document = self._query() or ("", "")
                grade = self._first("score") or self._first("label")
                return self._done(kind, query=query, document=document, score=grade, title=self._first("title"))
            case "classification" | "clustering":
                return self._labelled(kind)

    def _kind(self) -> Kind | None:
        lists = self.table.lists
        if self._first("words") in lists and self._first("tags") in lists:
            return "tagging"
        if self._pair():
            return self._pair_kind()
        if self._query():
            return "retrieval"
        return "classification" if self._first("label") else None

    def _pair_kind(self) -> Kind:
        score, label = self._first("score"), self._first("label")
        if score and label and "score" not in self.chosen and "label" not in self.chosen:
            raise self._error(
                f"pairs have a score ({score!r}) and a label ({label!r}): set task='sts' for the score "
                "or task='pair-classification' for the label"
            )
        if "label" in self.chosen or (label and not score):
            return "pair-classification"
        if not score:
            raise self._error("pairs of texts need a score (sts) or a label (pair-classification): name its column")
        return "sts"

    def _pairs(self, kind: Kind) -> Plan:
        order = ("score", "label") if kind == "sts" else ("label", "score")
        named = [self.chosen[role] for role in order if role in self.chosen]
        gold = next(iter([*named, *filter(None, map(self._first, order))]), None)
        left, right = self._pair() or (None, None)
        left, right, gold = self._need(kind, left=left, right=right, **{order[0]: gold})
        return self._done(kind, left=left, right=right, gold=gold)

    def _labelled(self, kind: Kind) -> Plan:
        (label,) = self._need(kind, label=self._first("label"))
        others = [c for c in self._candidates("label") if c != label]
        if others and "label" not in self.chosen:
            self.tally.remark(f"labels are column {label!r}; columns={{'label': …}} takes {', '.join(others)} instead")
        several = self.multi_asked or label in self.table.lists or _normal(label) in MULTI_NAMES
        return self._done(kind, multi=several, text=self._text(label), title=self._first("title"), label=label)

    def _text(self, label: str | None = None) -> str:
        """The one column of texts; a table with a single column left has its texts there whatever its name."""
        if "text" in self.chosen:
            return self.chosen["text"]
        found = [column for column in self._candidates("text") if column != label]
        if not found:
            taken = {label, self._first("title"), self._first("split"), *self._candidates("label")}
            found = [c for c in self.table.columns if c not in taken and _normal(c) not in _NOT_TEXT]
            found = found or [c for c in [self._first("title")] if c]
        if len(found) == 1:
            return found[0]
        if not found:
            raise self._error("no column holds texts: name it with columns={'text': …}")
        raise self._error(f"{' and '.join(map(repr, found))} could be the text: choose with columns={{'text': …}}")

    def _pair(self) -> tuple[str, str] | None:
        if "left" in self.chosen and "right" in self.chosen:
            return self.chosen["left"], self.chosen["right"]
        return next(((self.names[a], self.names[b]) for a, b in _PAIRS if a in self.names and b in self.names), None)

    def _query(self) -> tuple[str, str] | None:
        query = self._first("query")
        documents = [c for c in self._candidates("document") if c != query]
        document = self.chosen.get("document") or next(iter(documents), None)
        return (query, document) if query and document and query != document else None

    def _first(self, role: str) -> str | None:
        return self.chosen.get(role) or next(iter(self._candidates(role)), None)

    def _candidates(self, role: str) -> list[str]:
        """Columns whose name speaks for the role, in the order of the file."""
        taken = {column for other, column in self.chosen.items() if other != role and other in ALIASES}
        free = [c for c in self.table.columns if c not in taken and self.names[_normal(c)] == c]
        return [column for column in free if _normal(column) in ALIASES[role]]

    def _known(self, column: str, role: str) -> str:
        if role in ("positive", "negative", "classes") or column in self.table.columns:
            return column
        if _normal(column) in self.names:
            return self.names[_normal(column)]
        raise self._error(f"columns names {column!r} as the {role}, and there is no such column")

    def _need(self, kind: Kind, **found: str | None) -> tuple[str, ...]:
        missing = [role for role, column in found.items() if column is None]
        if missing:
            settings = ", ".join(f"'{role}': …" for role in missing)
            raise self._error(f"{kind} needs {' and '.join(missing)}: name the columns with columns={{{settings}}}")
        return tuple(column for column in found.values() if column is not None)

    def _done(self, kind: Kind | None, multi: bool = False, **columns: str | None) -> Plan:
        used = {role: column for role, column in columns.items() if column is not None}
        if used.get("title") in [column for role, column in used.items() if role != "title"]:
            del used["title"]
        split = self._first("split")
        return Plan(kind, used | ({"split": split} if split and split not in used.values() else {}), multi)

    def _error(self, what: str) -> DataError:
        columns = ", ".join(self.table.columns)
        return DataError(f"{self.table.name} has the columns {columns}: {what} (tasks: {', '.join(KINDS)})")


def text_column(table: Table, column: str | None, tally: Tally) -> tuple[str, str | None]:
    """The columns of text and (if no column is asked for) title, whatever else the table holds."""
    if column is not None:
        return _Recogniser(table, {"text": column}, tally).chosen["text"], None
    plan = recognise(table, "retrieval", {}, tally) if len(table.columns) == 1 else _plain(table, tally)
    return plan.columns["text"], plan.columns.get("title")


def _plain(table: Table, tally: Tally) -> Plan:
    recogniser = _Recogniser(table, {}, tally)
    return Plan(None, {"text": recogniser._text(), **({"title": t} if (t := recogniser._first("title")) else {})})


def check_columns(table: Table, columns: Sequence[str]) -> None:
    """Refuse a table that lacks a column which the first table of the set has."""
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise DataError(
            f"{table.name} has the columns {', '.join(table.columns)}, and lacks {', '.join(missing)} "
            "that the other files of the set have"
        )


def _normal(column: str) -> str:
    return re.sub(r"[\s\-]+", "_", column.strip().lower())
