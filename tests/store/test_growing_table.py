"""A table that changes: upsert, delete, versions, filters, vectors that are there already, and what goes wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import plait
from plait.store import Record, Table, exact, lance
from plait.types import DataError
from tests.store.makers import TEXTS, codes, floats, many

pytest.importorskip("lancedb")

ODD_IDS = [
    "it's",
    'a "quoted" id',
    "two\nlines",
    "tab\t",
    "日本",
    "😀",
    "'; DELETE FROM items --",
    "a\\b",
    " ",
    "%",
    "\x01",
]


def made(table: Path, at: Path, kind: str = "") -> Table:
    recipe = codes(table, kind) if kind else floats(table)
    return Table.create(at, recipe, [Record(text, f"d{n}", {"n": n}) for n, text in enumerate(many(50))])


def contents(table: Table) -> dict[str, tuple[str, Any]]:
    found = [row for part in table.ordered(["id", "text", "metadata"]) for row in part.to_pylist()]
    assert len({row["id"] for row in found}) == len(found) == len(table)
    return {row["id"]: (row["text"], row["metadata"]) for row in found}


@pytest.mark.parametrize("kind", ["", "Int8", "Binary"])
def test_upsert_replaces_in_place_and_appends(tiny_table: Path, tmp_path: Path, kind: str) -> None:
    table = made(tiny_table, tmp_path / "t", kind)
    before = list(contents(table))
    assert table.search(TEXTS[0], k=3)  # what is held in memory must not outlive a change
    changed = [Record("something about whales", "d7", {"n": -7}), Record("a new one", "new"), Record(TEXTS[1], "d3")]
    assert table.upsert(changed) == 3
    assert list(contents(table)) == [*before, "new"]
    assert contents(table)["d7"] == ("something about whales", '{"n":-7}')
    assert len(table) == 51
    hit = table.search("something about whales", k=1)[0]
    assert (hit.id, hit.metadata) == ("d7", {"n": -7})
    assert Table.open(tmp_path / "t").search("something about whales", k=1) == [hit]


def test_ties_keep_the_order_of_insertion_after_changes(tiny_table: Path, tmp_path: Path) -> None:
    table = Table.create(tmp_path / "t", floats(tiny_table), [Record(TEXTS[n % 2], f"d{n}") for n in range(12)])
    table.upsert([Record(TEXTS[1], "d3"), Record(TEXTS[1], "d12"), Record(TEXTS[0], "d5")])
    table.delete(["d1"])
    assert [hit.id for hit in table.search(TEXTS[1], k=6)] == ["d3", "d7", "d9", "d11", "d12", "d0"]


def test_of_several_records_with_one_id_the_last_counts(tiny_table: Path, tmp_path: Path) -> None:
    table = Table.create(tmp_path / "t", floats(tiny_table), [Record("one", "a")])
    table.upsert([Record("two", "b"), Record("three", "a"), Record("four", "b"), Record("five", "a")])
    assert {name: text for name, (text, _) in contents(table).items()} == {"a": "five", "b": "four"}


@pytest.mark.parametrize("kind", ["", "Int8", "Binary"])
def test_delete(tiny_table: Path, tmp_path: Path, kind: str) -> None:
    table = made(tiny_table, tmp_path / "t", kind)
    assert table.search(TEXTS[0], k=1)
    assert table.delete([f"d{n}" for n in range(0, 50, 2)] + ["nobody"]) == 25
    assert list(contents(table)) == [f"d{n}" for n in range(1, 50, 2)]
    assert all(int(hit.id[1:]) % 2 for hit in table.search(TEXTS[0], k=50))
    assert table.delete(["d0"]) == 0
    assert table.add([Record("back again", "d0")]) == 1
    assert table.search("back again", k=1)[0].id == "d0"


def test_ids_are_unique(tiny_table: Path, tmp_path: Path) -> None:
    table = made(tiny_table, tmp_path / "t")
    for records, message in [
        ([Record("x", "d3")], r"'d3' is in .*t already.*upsert"),
        ([Record("x", "n"), Record("y", "n")], "'n' came twice"),
        ([Record("x", "50"), "numbered 51", Record("y", "51")], "'51' came twice"),
    ]:
        with pytest.raises(DataError, match=message):
            table.add(records)
    assert len(table) == 50
    with pytest.raises(DataError, match="came twice"):
        Table.create(tmp_path / "u", floats(tiny_table), [Record("x", "n"), Record("y", "n")])
    assert not (tmp_path / "u").exists()


def test_odd_ids_and_texts(tiny_table: Path, tmp_path: Path) -> None:
    records = [Record(f"text of\n{name}\ud800", name, {name: name}) for name in ODD_IDS]
    table = Table.create(tmp_path / "t", floats(tiny_table), records)
    table.upsert([Record("other", name, {"k'\"": name}) for name in ODD_IDS])
    assert list(contents(table)) == ODD_IDS
    assert {hit.id: hit.metadata for hit in table.search("other", k=20)} == {n: {"k'\"": n} for n in ODD_IDS}
    assert [hit.id for hit in table.search("x", where={"k'\"": "it's"})] == ["it's"]
    assert table.delete(ODD_IDS[:6]) == 6
    assert list(contents(table)) == ODD_IDS[6:]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changes_give_what_a_dictionary_gives(data: st.DataObject, tiny_table: Path, tmp_path: Path) -> None:
    name = st.sampled_from(["a", "b", "c", "d'", "e\n", "ü"])
    steps = data.draw(
        st.lists(st.tuples(st.booleans(), st.lists(name, min_size=1, max_size=4)), min_size=1, max_size=5)
    )
    recipe, model = floats(tiny_table), {"first": "0"}
    table = Table.create(tmp_path / "t", recipe, [Record("0", "first")], overwrite=True)
    for number, (removes, names) in enumerate(steps, 1):
        if removes:
            assert table.delete(names) == sum(model.pop(one, None) is not None for one in names)
        else:
            table.upsert(Record(str(number), one) for one in names)
            model |= dict.fromkeys(names, str(number))
    assert {one: text for one, (text, _) in contents(table).items()} == model
    assert list(contents(Table.open(tmp_path / "t"))) == list(contents(table))


@pytest.mark.parametrize("kind", ["", "Int8", "Binary"])
def test_where_is_a_search_among_those_records(tiny_table: Path, tmp_path: Path, kind: str) -> None:
    recipe = codes(tiny_table, kind) if kind else floats(tiny_table)
    records = [Record(text, str(n), {"n": n, "odd": bool(n % 2)}) for n, text in enumerate(many(60))]
    table = Table.create(tmp_path / "t", recipe, records)
    some = Table.create(tmp_path / "u", recipe, [r for r in records if r.metadata["odd"] and r.metadata["n"] < 40])  # type: ignore[operator]
    for query in (TEXTS[1], "whales"):
        assert table.search(query, k=7, where={"odd": True, "n": {"<": 40}}) == some.search(query, k=7)
    assert table.search(TEXTS[0], where={"n": 1000}) == []


@pytest.mark.parametrize("kind", ["", "Int8", "Binary"])
def test_many_queries_are_many_searches(tiny_table: Path, tmp_path: Path, kind: str) -> None:
    table = made(tiny_table, tmp_path / "t", kind)
    queries = [*many(30), "", "whales"]
    found = table.search_many(queries, k=4, where={"n": {">": 5}})
    assert found == [table.search(query, k=4, where={"n": {">": 5}}) for query in queries]
    assert table.search_many([]) == []
    with pytest.raises(DataError, match="takes an \\[N, D\\] array"):
        table.search_vectors(np.zeros(16))


def test_a_table_too_large_for_memory_gives_the_same(
    tiny_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = made(tiny_table, tmp_path / "t")
    table.upsert([Record(TEXTS[2], "d0"), Record(TEXTS[2], "d49")])
    held = table.search_many(TEXTS, k=9), table.search(TEXTS[2], k=9, where={"n": {">": 20}})
    monkeypatch.setattr(exact, "HELD", 0)
    streamed = Table.open(tmp_path / "t")
    assert (streamed.search_many(TEXTS, k=9), streamed.search(TEXTS[2], k=9, where={"n": {">": 20}})) == held


def test_metadata_of_mixed_kinds_comes_back(tiny_table: Path, tmp_path: Path) -> None:
    kinds = [{"v": 1}, {"v": "1"}, {"v": [1, None, {"a": "ü"}]}, {}, {"v": {"deep": {"er": -0.5}}}, {"v": True, "": 0}]
    table = Table.create(tmp_path / "t", floats(tiny_table), [Record(TEXTS[0], str(n), m) for n, m in enumerate(kinds)])
    assert [hit.metadata for hit in table.search(TEXTS[0])] == kinds
    assert [hit.id for hit in table.search(TEXTS[0], where={"v": 1})] == ["0", "2"]
    for bad in ({"v": float("nan")}, {"v": {1, 2}}, {"v": b"x"}):
        with pytest.raises(DataError, match="cannot be kept as JSON"):
            table.add([Record("x", metadata=bad)])


def test_versions(tiny_table: Path, tmp_path: Path) -> None:
    table = made(tiny_table, tmp_path / "t")
    start = table.versions()[-1].number
    table.delete(["d0", "d1"])
    table.upsert([Record("later", "d5")])
    assert [one.rows for one in table.versions()][-3:] == [50, 48, 48]
    old = Table.open(tmp_path / "t", start)
    assert len(old) == 50
    assert contents(old)["d5"][0] != "later"
    for change in (lambda: old.delete(["d3"]), lambda: old.add(["x"]), old.compact):
        with pytest.raises(DataError, match=f"opened at version {start}, which cannot change"):
            change()
    table.restore(start)
    assert len(table) == len(Table.open(tmp_path / "t")) == 50
    assert table.search("later", k=1)[0].text != "later"
    assert table.add(["after the restoration"]) == 1
    with pytest.raises(DataError, match=r"no version 99; it has \d"):
        table.restore(99)
    with pytest.raises(DataError, match="no version 99"):
        Table.open(tmp_path / "t", 99)
    table.compact(timedelta(0))
    assert [one.rows for one in table.versions()] == [51]


def test_small_writes_are_joined(tiny_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lance, "FRAGMENTS", 4)
    table = Table.create(tmp_path / "t", floats(tiny_table), TEXTS)
    for number in range(9):
        table.add([f"text {number}"])
    assert table._rows._handle.stats()["fragment_stats"]["num_fragments"] <= 4
    assert [text for text, _ in contents(table).values()] == [*TEXTS, *(f"text {number}" for number in range(9))]


def test_two_writers(tiny_table: Path, tmp_path: Path) -> None:
    one = made(tiny_table, tmp_path / "t")
    two = Table.open(tmp_path / "t")
    one.add([Record("x", "same")])
    with pytest.raises(DataError, match="'same' is in"):
        two.add([Record("y", "same")])
    two.add(["from the second"])
    one.add(["from the first"])
    two.refresh()
    assert contents(one) == contents(two)
    assert len(one) == 53


@pytest.mark.parametrize("kind", ["", "Int8", "Binary"])
def test_vectors_that_are_there_already(tiny_table: Path, tmp_path: Path, kind: str) -> None:
    recipe = codes(tiny_table, kind) if kind else floats(tiny_table)
    texts, ids = many(40), [str(n) for n in range(40)]
    encoded = Table.create(tmp_path / "t", recipe, texts)
    unquantised = plait.parse(str(recipe).split(" | Int8")[0].split(" | Binary")[0]).fit(many(100))
    given = Table.create(tmp_path / "u", recipe)
    assert (len(given), given.search("x"), given.search_many(["x", "y"])) == (0, [], [[], []])
    given.add(texts[:1])
    facts = [{"n": n} for n in range(40)]
    vectors = unquantised.encode(texts).values
    assert given.add_vectors(ids, texts, vectors, facts, replace=True) == 40
    assert [h.id for h in given.search(TEXTS[1], k=9)] == [h.id for h in encoded.search(TEXTS[1], k=9)]
    assert [h.id for h in given.search(TEXTS[1], k=9, where={"n": [3, 6]})] == ["6", "3"]
    assert given.add_vectors(["codes"], ["x"], recipe.encode(["x"]).values) == 1
    for arguments, message in [
        ((["a"], [], np.zeros((1, 16))), "1 ids, 0 texts, 1 metadata and 1 vectors"),
        ((["a"], ["a"], np.zeros((1, 9))), "9"),
        ((["a"], ["a"], np.full((1, 16), np.nan)), "NaN"),
        ((["1"], ["a"], np.ones((1, 16))), "'1' is in"),
    ]:
        with pytest.raises((DataError, plait.types.RecipeError), match=message):
            given.add_vectors(*arguments)  # type: ignore[arg-type]
    assert given.add_vectors([], [], np.zeros((0, 16))) == 0


def test_empty_input(tiny_table: Path, tmp_path: Path) -> None:
    table = made(tiny_table, tmp_path / "t")
    versions = len(table.versions())
    assert (table.add([]), table.upsert([]), table.delete([])) == (0, 0, 0)
    assert len(table.versions()) == versions


WRITER = """
    import sys
    import plait
    from plait.store import Record, Table
    table = Table.open(sys.argv[1])
    for number in range(10_000):
        table.upsert(Record(f"text {number} {n}", f"{number}-{n}") for n in range(20))
        print(number, flush=True)
"""


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_killed_while_it_writes_it_keeps_what_was_acknowledged(tiny_table: Path, tmp_path: Path) -> None:
    made(tiny_table, tmp_path / "t")
    writer = child(WRITER, tmp_path / "t")
    assert writer.stdout is not None
    acknowledged = -1
    for line in writer.stdout:
        acknowledged = int(line)
        if acknowledged == 12:
            break
    writer.send_signal(signal.SIGKILL)
    acknowledged = max([acknowledged, *map(int, writer.communicate(timeout=60)[0].split())])
    table = Table.open(tmp_path / "t")
    kept = contents(table)
    assert {f"{number}-{n}" for number in range(acknowledged + 1) for n in range(20)} <= kept.keys()
    assert (len(table) - 50) % 20 == 0  # a write is there whole or not at all
    assert "text 3 7" in [hit.text for hit in table.search("text 3 7", k=2)]  # the other is "text 7 3"
    table.upsert([Record("it goes on", "0-0")])
    assert len(table) == len(kept)


CREATOR = """
    import sys, time
    import plait
    from plait.store import Table, table
    table.WRITE, table.block_size = 20, lambda recipe: 10
    def texts():
        for n in range(1000):
            if n % 20 == 0 and n:
                print(n, flush=True)
                time.sleep(0.05)
            yield f"text {n}"
    Table.create(sys.argv[1], plait.parse(sys.argv[2]), texts())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_killed_while_it_is_made_it_goes_on(tiny_table: Path, tmp_path: Path) -> None:
    writer = child(CREATOR, tmp_path / "t", floats(tiny_table))
    assert writer.stdout is not None
    next(line for line in writer.stdout if int(line) >= 100)
    writer.send_signal(signal.SIGKILL)
    writer.communicate(timeout=60)
    assert not (tmp_path / "t").exists()
    with pytest.raises(DataError, match="begun with other texts"):
        Table.create(tmp_path / "t", floats(tiny_table), many(200), resume=True)
    seen: list[float] = []
    texts = [f"text {n}" for n in range(150)]
    table = Table.create(tmp_path / "t", floats(tiny_table), texts, resume=True, told=lambda n, _: seen.append(n))
    assert [text for text, _ in contents(table).values()] == texts
    assert seen[-1] < 150
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


FULL = """
    import resource, sys
    from plait.store import Table
    from plait.types import DataError
    table = Table.open(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        table.add(f"text {n}" for n in range(20_000))
    except DataError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on files")
def test_full_disk_while_it_writes(tiny_table: Path, tmp_path: Path) -> None:
    before = contents(made(tiny_table, tmp_path / "t"))
    out, err = child(FULL, tmp_path / "t").communicate(timeout=60)
    assert "cannot write" in out, err
    assert "what was stored before is kept" in out
    table = Table.open(tmp_path / "t")
    assert contents(table) == before
    assert table.add(["there is space again"]) == 1


@pytest.mark.parametrize("what", ["data", "manifest", "manifests", "recipe"])
def test_damaged_table(tiny_table: Path, tmp_path: Path, what: str) -> None:
    made(tiny_table, tmp_path / "t")
    rows = tmp_path / "t" / "items.lance"
    if what == "data":
        for path in rows.glob("data/*"):
            path.write_bytes(path.read_bytes()[:100])
    elif what == "manifest":
        for path in rows.glob("_versions/*.manifest"):
            path.write_bytes(b"no manifest")
    elif what == "manifests":
        for path in rows.glob("_versions/*"):
            path.unlink()
    else:
        (tmp_path / "t" / "recipe" / "recipe.txt").write_text("no recipe")
    with pytest.raises((DataError, plait.types.RecipeError), match=r"damaged|not a recipe") as caught:
        Table.open(tmp_path / "t").search("x")
    assert "\n" not in str(caught.value)
