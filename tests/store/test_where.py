from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.store.records import JSON_COLUMN, json_of
from plait.store.where import parse_where, sql
from plait.types import DataError

lancedb = pytest.importorskip("lancedb")

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
ODD = [
    "",
    "a",
    "it's",
    'q"q',
    "back\\slash",
    "new\nline",
    "\x01",
    "a\x00b",
    "ü",
    "日本",
    "😀",
    "2020",
    "true",
    "null",
    "%",
]
ODD += ["a) || (@ == 1", "'; DROP TABLE items --", "$", "@"]
NUMBERS = [0, 1, -1, 1.5, -2.25e-7, 1e300, 2**53 + 1, 2**62, -(2**63), -0.0, 3.0]
FIELDS = ["k", "a.b", 'q"', "it's", "ü", "back\\s", "n\nl", "$x", "a b", "[0]", "\x01"]
RECORDS: list[dict[str, Any]] = [
    *({field: value} for field in FIELDS for value in [*ODD, *NUMBERS, True, False, None]),
    {}, {"k": [1, "a"]}, {"k": ["ü", 2]}, {"k": {"x": 1}}, {"k": []}, {"k": 1, "a.b": 2}, {"k": "1"},
]  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Any:
    schema = pa.schema([pa.field("row", pa.int64()), JSON_COLUMN])
    columns = [pa.array(range(len(RECORDS))), pa.array([json_of(record, "x") for record in RECORDS])]
    return lancedb.connect(str(tmp_path_factory.mktemp("where"))).create_table("t", pa.table(columns, schema=schema))


def found(table: Any, where: Any) -> list[int]:
    return sorted(table.search().where(sql(where)).select(["row"]).to_arrow().column("row").to_pylist())


def kind(value: object) -> str:
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def meets(record: dict[str, Any], field: str, how: str, value: Any) -> bool:
    """What the conditions mean, in Python."""
    if how == "!=":
        return not meets(record, field, "==", value)
    if field not in record:
        return False
    mine = record[field] if isinstance(record[field], list) else [record[field]]
    wanted = value if isinstance(value, list) else [value]
    return any(kind(a) == kind(b) and COMPARE[how](a, b) for a in mine for b in wanted)


def expected(field: str, how: str, value: Any) -> list[int]:
    return [number for number, record in enumerate(RECORDS) if meets(record, field, how, value)]


@pytest.mark.parametrize("value", [*ODD, *NUMBERS, True, False, None], ids=repr)
def test_equality_with_anything(table: Any, value: Any) -> None:
    for field in ("k", 'q"'):
        assert found(table, {field: value}) == expected(field, "==", value)
        assert found(table, {field: {"!=": value}}) == expected(field, "!=", value)


@pytest.mark.parametrize("field", FIELDS, ids=repr)
def test_any_field_and_any_of_several_values(table: Any, field: str) -> None:
    values = [1, "it's", True, 1.5, "", None, "ü", "日本"]
    assert found(table, {field: values}) == expected(field, "==", values)
    assert found(table, {field: {"!=": values}}) == expected(field, "!=", values)


@pytest.mark.parametrize("how", [">=", "<=", ">", "<"])
def test_order(table: Any, how: str) -> None:
    for value in (0, 1, -1, 1.5, 1e300, 2**62, "a", "it's", "2020", "ü"):
        assert found(table, {"a.b": {how: value}}) == expected("a.b", how, value)
    assert found(table, {"k": {how: 1}}) == expected("k", how, 1)


def test_all_conditions_must_hold(table: Any) -> None:
    assert [RECORDS[n] for n in found(table, {"k": 1, "a.b": {">": 1, "<": 3}})] == [{"k": 1, "a.b": 2}]
    assert found(table, {"k": []}) == []
    assert found(table, {"k": {"!=": []}}) == list(range(len(RECORDS)))


@settings(max_examples=60, deadline=None)
@given(
    field=st.text(min_size=1, max_size=6), value=st.one_of(st.text(max_size=12), st.integers(), st.floats(), st.none())
)
def test_no_text_escapes(table: Any, field: str, value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        with pytest.raises(DataError, match="expected a text, a number"):
            sql({field: value})
    elif isinstance(value, int) and abs(value) >= 2**63:
        assert isinstance(sql({field: value}), str)
    else:
        known = json.loads(json_of({field: value}, "x"))
        clean = next(iter(known))
        assert found(table, {field: value}) == expected(clean, "==", known[clean])


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("year=2000", "expected conditions by field"),
        ({"": 1}, "names no field"),
        ({"k": {}}, "is empty"),
        ({"k": {"~": 1}}, "'~' compares nothing; expected one of =="),
        ({"k": {">": [1, 2]}}, "expected one number"),
        ({"k": {">": None}}, "expected one number"),
        ({"k": object()}, "expected a text, a number"),
        ({"k": float("nan")}, "expected a text, a number"),
    ],
)
def test_what_cannot_be_read_is_said(where: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        sql(where)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["year=2020"], {"year": {"==": 2020}}),
        (["year == 2020.5"], {"year": {"==": 2020.5}}),
        (["year>=2000", "year<2010", "lang!=en"], {"year": {">=": 2000, "<": 2010}, "lang": {"!=": "en"}}),
        (["lang=en, de"], {"lang": {"==": ["en", "de"]}}),
        (['year="2020"'], {"year": {"==": "2020"}}),
        (['title="a, b"'], {"title": {"==": "a, b"}}),
        (['title=["a, b", 3]'], {"title": {"==": ["a, b", 3]}}),
        (["draft=true"], {"draft": {"==": True}}),
        (["gone=null"], {"gone": {"==": None}}),
        (["note="], {"note": {"==": ""}}),
        (["url=http://x?a=b"], {"url": {"==": "http://x?a=b"}}),
    ],
)
def test_written_conditions(written: list[str], read: dict[str, Any]) -> None:
    assert parse_where(written) == read


@pytest.mark.parametrize(
    ("written", "message"),
    [(["year"], "is no condition"), (["=3"], "is no condition"), (["a=1", "a=2"], "comma"), (["a=[1"], "JSON list")],
)
def test_written_badly(written: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_where(written)
