"""Which records a search looks at, by their metadata: conditions as data, turned into what LanceDB evaluates.

Metadata lies in one column of binary JSON, and a condition becomes an SQL/JSON path with a predicate, so that the
store itself evaluates it. A path compares like with like: a number never equals a text, records of mixed kinds do no
harm, and a list meets a condition if one of its elements does. Values are written as JSON literals; no text of the user
is ever SQL.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from plait.types import DataError

Scalar: TypeAlias = "str | int | float | bool | None"
Condition: TypeAlias = "Scalar | Sequence[Scalar] | Mapping[str, Scalar | Sequence[Scalar]]"
Where: TypeAlias = Mapping[str, Condition]
"""Conditions by the name of a field; all of them must hold.

A value must be equal, a list must hold the value, ``{">=": 2000, "<": 2010}`` compares. What ``!=`` asks for also holds
where the field is missing; nothing else does. A number with a fraction is not looked for in lists.
"""

OPERATORS = ("==", "!=", ">=", "<=", ">", "<")
_WRITTEN = re.compile(r"\s*(?P<field>[^=!<>]+?)\s*(?P<operator>==|!=|>=|<=|=|>|<)(?P<value>.*)", re.DOTALL)


def sql(where: Where) -> str:
    """The conditions as an SQL expression over the column ``metadata``.

    Args:
        where: conditions by field.

    Raises:
        DataError: if a condition cannot be read; the message shows one that can.

    Example:
        >>> print(sql({"year": {">=": 2000}, "lang": ["en", "de"]}))
        (json_exists(metadata, '$."year"[*] ? (@ >= 2000)')) AND
        (json_exists(metadata, '$."lang"[*] ? (@ == "en")') OR json_exists(metadata, '$."lang"[*] ? (@ == "de")'))
    """
    if not isinstance(where, Mapping):
        raise DataError(f"where is {where!r}; expected conditions by field, such as {{'year': {{'>=': 2000}}}}")
    parts = []
    for field, condition in where.items():
        if not isinstance(field, str) or not field:
            raise DataError(f"{field!r} names no field of the metadata; expected a text that is not empty")
        tests = condition if isinstance(condition, Mapping) else {"==": condition}
        if not tests:
            raise DataError(f"the condition on {field!r} is empty; expected one such as {{'>=': 2000}}")
        parts += [_test(field, operator, value) for operator, value in tests.items()]
    return " AND ".join(parts)


def parse_where(conditions: Sequence[str]) -> dict[str, Condition]:
    """Conditions as one writes them on a command line: ``year>=2000``, ``lang=en,de``, ``title!=draft``.

    A value is a number, ``true``, ``false`` or ``null`` where it reads as one, a text otherwise or in double quotes;
    commas separate the values of which one must be met, and a JSON list does so too.

    Args:
        conditions: one or more; all of them must hold.

    Raises:
        DataError: if one has no operator, or two say different things with the same operator about a field.

    Example:
        >>> parse_where(["year>=2000", "year<2010", "lang=en,de"])
        {'year': {'>=': 2000, '<': 2010}, 'lang': {'==': ['en', 'de']}}
    """
    out: dict[str, dict[str, Scalar | Sequence[Scalar]]] = {}
    for text in conditions:
        match = _WRITTEN.fullmatch(text)
        if match is None:
            raise DataError(f"{text!r} is no condition; expected FIELD=VALUE, FIELD!=VALUE, FIELD>=VALUE, … ")
        operator = "==" if match["operator"] == "=" else match["operator"]
        tests = out.setdefault(match["field"], {})
        if operator in tests:
            raise DataError(f"{match['field']} has two conditions with {operator}; separate their values by a comma")
        tests[operator] = _values(match["value"].strip())
    return dict(out)


def _values(text: str) -> Scalar | Sequence[Scalar]:
    if text.startswith("["):
        try:
            read: Sequence[Scalar] = json.loads(text)
        except ValueError as error:
            raise DataError(f"{text!r} begins like a JSON list and is none: {error}") from error
        return read
    parts = [_scalar(part.strip()) for part in text.split(",")] if not text.startswith('"') else [_scalar(text)]
    return parts[0] if len(parts) == 1 else parts


def _scalar(text: str) -> Scalar:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if value is None or isinstance(value, str | int | float) else text


def _test(field: str, operator: str, value: Scalar | Sequence[Scalar]) -> str:
    if operator not in OPERATORS:
        raise DataError(f"{operator!r} compares nothing; expected one of {', '.join(OPERATORS)}")
    values = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    equality = operator in ("==", "!=")
    if not equality and (len(values) != 1 or isinstance(values[0], bool | None) or values[0] == ""):
        raise DataError(f"{field!r} {operator} {value!r} compares nothing; expected one number, or a text with letters")
    tests = [_compared(field, "==" if equality else operator, one) for one in values]
    # One path for all values would be shorter, but LanceDB 0.40 finds nothing with four of them.
    met = f"({' OR '.join(tests)})" if tests else "false"
    return f"NOT {met}" if operator == "!=" else met


def _compared(field: str, operator: str, value: object) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        value = int(value)
    path = f"$.{_quoted(field)}"
    if isinstance(value, float) and math.isfinite(value):  # which no path can hold
        number = f"TRY_CAST(json_extract(metadata, {_text(path)}) AS DOUBLE)"
        return f"COALESCE({number} {operator.replace('==', '=')} {value!r}, false)"
    if value == "":  # nor this
        return f"COALESCE(json_extract(metadata, {_text(path)}) = '\"\"', false)"
    if value is None or isinstance(value, str | bool | int):
        literal = _quoted(value) if isinstance(value, str) else json.dumps(value)
        return f"json_exists(metadata, {_text(f'{path}[*] ? (@ {operator} {literal})')})"
    raise DataError(f"the condition on {field!r} holds {value!r}; expected a text, a number, true, false or null")


def _text(path: str) -> str:
    return "'" + path.replace("'", "''") + "'"


def _quoted(text: str) -> str:
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False)
