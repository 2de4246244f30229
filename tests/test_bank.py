"""The bank survives a kill, a restart of the machine, and damage."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from plait import bank as banks
from plait.bank import Bank, Shelf, Writer, digest, write_atomic
from plait.types import DataError

ROWS, WIDTH = 6, 3
DIMS = {"one": WIDTH, "two": WIDTH}
VALUES = {name: np.random.default_rng(n).normal(size=(ROWS, WIDTH)).astype(np.float32) for n, name in enumerate(DIMS)}
BATCHES = [np.array([4, 5]), np.array([0, 3]), np.array([1, 2])]


class Usage(NamedTuple):
    total: int
    used: int
    free: int


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Bank(tmp_path).shelf("encoder", ["text"] * ROWS, ROWS)


def fill(shelf: Shelf, stop_after: int | None = None, plan: str = "plan") -> list[int]:
    """Write all missing batches; return those that were written."""
    written = []
    with shelf.writer(DIMS, plan) as writer:
        for number, rows in enumerate(BATCHES):
            if number in writer.done:
                continue
            for name in DIMS:
                writer.write(name, rows, VALUES[name][rows])
            writer.commit(number)
            written.append(number)
            if len(written) == stop_after:
                raise Killed
    return written


def half(shelf: Shelf, batches: int = 2) -> Path:
    """Leave a run that was killed after some batches; return its log."""
    with pytest.raises(Killed):
        fill(shelf, batches)
    (log,) = shelf.folder.glob("*.log")
    return log


def check(shelf: Shelf) -> None:
    for name, values in VALUES.items():
        np.testing.assert_array_equal(shelf.get(name), values)


def test_nothing_is_there_until_all_of_it_is(shelf: Shelf) -> None:
    half(shelf)
    assert not any(shelf.has(name) for name in DIMS)
    assert fill(shelf) == [2]
    check(shelf)
    assert not list(shelf.folder.glob("*.log"))
    assert not list(shelf.folder.glob("*.part"))


def test_an_abandoned_writer_loses_nothing_it_committed(shelf: Shelf) -> None:
    log = shelf.folder / f"{digest('plan', *sorted(DIMS))}.log"
    writer = Writer(shelf, DIMS, log)
    for name in DIMS:
        writer.write(name, BATCHES[0], VALUES[name][BATCHES[0]])
    writer.commit(0)
    for name in DIMS:
        writer.write(name, BATCHES[1], VALUES[name][BATCHES[1]] * np.nan)
    assert fill(shelf) == [1, 2]
    check(shelf)


@pytest.mark.parametrize("plan", ["other", ""])
def test_another_plan_starts_anew(shelf: Shelf, plan: str) -> None:
    half(shelf)
    assert fill(shelf, plan=plan) == [0, 1, 2]
    check(shelf)


def test_a_lost_part_starts_anew(shelf: Shelf) -> None:
    half(shelf)
    next(shelf.folder.glob("*.part")).unlink()
    assert fill(shelf) == [0, 1, 2]
    check(shelf)


@pytest.mark.parametrize("damage", [b"\x00\x00\x00\n", b"\xff\xfe\n", "²\n".encode(), b'{"bo\n', b"-1\n", b"two\n"])
def test_a_damaged_line_is_not_a_batch(shelf: Shelf, damage: bytes) -> None:
    log = half(shelf)
    log.write_bytes(log.read_bytes().replace(b"synced\n", b"") + damage)
    assert 2 in fill(shelf)
    check(shelf)


def test_after_a_restart_only_what_was_synced_counts(shelf: Shelf) -> None:
    log = half(shelf, 1)
    log.write_text(log.read_text().replace(banks._boot(), "another-boot") + "1\n")
    assert fill(shelf) == [1, 2]
    check(shelf)


def test_a_kill_after_a_restart_keeps_both_runs(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(banks, "_boot", lambda: "first")
    half(shelf, 1)
    monkeypatch.setattr(banks, "_boot", lambda: "second")
    half(shelf, 1)
    assert fill(shelf) == [2]
    check(shelf)


def test_wrong_number_of_vectors_is_refused(shelf: Shelf) -> None:
    fill(shelf)
    with pytest.raises(DataError, match=r"holds 6 vectors, 7 were expected"):
        Shelf(shelf.folder, 7).get("one")


def test_a_cut_off_file_is_refused(shelf: Shelf) -> None:
    fill(shelf)
    path = next(shelf.folder.glob("*.npy"))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=path.name):
        [shelf.get(name) for name in DIMS]


def test_vectors_are_read_only(shelf: Shelf) -> None:
    fill(shelf)
    with pytest.raises(ValueError, match="read-only"):
        shelf.get("one")[0] = 0


def test_no_space_is_said_before_the_work(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(100, 90, 10))
    with pytest.raises(DataError, match=r"needs .* MB .*--out"), shelf.writer(DIMS, "plan"):
        raise AssertionError("unreachable: there is no space")


def test_space_is_needed_for_all_strands_together(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    one = ROWS * WIDTH * 4
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, (64 << 20) + one + one // 2))
    with pytest.raises(DataError, match="free"), shelf.writer(DIMS, "plan"):
        raise AssertionError("unreachable: there is space for one of the two only")


def test_a_bank_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write the bank at .*--out"):
        Bank(tmp_path / "file").shelf("encoder", ["a"], 1)


def test_a_second_writer_waits_and_finds_the_work_done(shelf: Shelf) -> None:
    inside, release = threading.Event(), threading.Event()
    order: list[str] = []

    def first() -> None:
        with shelf.writer(DIMS, "plan") as writer:
            inside.set()
            release.wait(5)
            for number, rows in enumerate(BATCHES):
                for name in DIMS:
                    writer.write(name, rows, VALUES[name][rows])
                writer.commit(number)
            order.append("first")

    def second() -> None:
        with shelf.writer({"three": WIDTH}, "plan") as writer:
            order.append("second")
            writer.write("three", np.arange(ROWS), VALUES["one"])

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert inside.wait(5)
    threads[1].start()
    threads[1].join(0.2)
    assert order == []
    release.set()
    for thread in threads:
        thread.join(5)
    assert order == ["first", "second"]
    check(shelf)


def test_encoded_items_are_summed_over_passes(shelf: Shelf) -> None:
    assert shelf.encoded == 0
    for number, strand in enumerate(("a", "b"), start=3):
        with shelf.writer({strand: 2}, plan="") as writer:
            writer.encoded = number
    assert shelf.encoded == 7


def test_shelves_are_told_apart_by_encoder_and_items(tmp_path: Path) -> None:
    bank = Bank(tmp_path)
    asked = [("e", ["a", "b"]), ("f", ["a", "b"]), ("e", ["ab"]), ("e", ["b", "a"]), ("e", [("a", "b")])]
    assert len({bank.shelf(encoder, items, 2).folder for encoder, items in asked}) == len(asked)
    assert bank.shelf("e", ["\ud800"], 1).folder != bank.shelf("e", ["?"], 1).folder


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def broken(*args: object) -> None:
        raise Killed

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(Killed):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
