from __future__ import annotations

import hmac
from pathlib import Path

import pytest

from plait.serve.keys import VARIABLE, Keys
from plait.types import DataError


@pytest.mark.parametrize(
    ("offered", "accepted"),
    [
        ("Bearer one", True),
        ("bearer two", True),
        ("Bearer  one ", True),
        ("Bearer on", False),
        ("Bearer onee", False),
        ("Bearer", False),
        ("Basic one", False),
        ("one", False),
        ("", False),
        (None, False),
        ("Bearer ключ", False),
        ("Bearer \udcff", False),
    ],
)
def test_who_may_ask(offered: str | None, accepted: bool) -> None:
    assert Keys(["one", "two"]).accept(offered) is accepted
    assert Keys([]).accept(offered)


def test_every_key_is_compared_and_none_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(len(other))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    keys = Keys(["first", "second-and-longer"])
    assert keys.accept("Bearer first")
    assert compared == [32, 32]
    assert "first" not in str(vars(keys))


def test_keys_of_a_file_and_of_the_environment(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# ours\n\n one \ntwo,three\n")
    keys = Keys.read(tmp_path / "keys", {VARIABLE: "four, five"})
    assert all(keys.accept(f"Bearer {key}") for key in ("one", "two,three", "four", "five"))
    assert not any(keys.accept(f"Bearer {key}") for key in ("# ours", "two", "", "six"))
    assert not Keys.read(None, {})


@pytest.mark.parametrize("content", [b"", b"# only a comment\n", b"\xff\xfe\xff"])
def test_a_server_meant_to_be_closed_never_stands_open(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(DataError, match="keys"):
        Keys.read(tmp_path / "keys", {})
    with pytest.raises(DataError, match="No such file"):
        Keys.read(tmp_path / "none", {})
    with pytest.raises(DataError, match=VARIABLE):
        Keys.read(None, {VARIABLE: " , "})
