from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import Cli
from tests.store.makers import TEXTS

pytest.importorskip("lancedb")


def test_index_add_search(cli: Cli, recipe: str, texts: Path) -> None:
    done = cli("index", recipe, texts, "-o", "table")
    assert (done.status, done.out.splitlines()[0]) == (0, "5 texts stored, 5 in table")
    assert cli("index", recipe, texts, "-o", "table", "--add").out.splitlines()[0] == "5 texts stored, 10 in table"
    hits = json.loads(cli("search", "table", TEXTS[3], "-k", "3", "--json").out)
    assert [(hit["id"], hit["text"]) for hit in hits[:2]] == [("3", TEXTS[3]), ("8", TEXTS[3])]
    assert TEXTS[3] in cli("search", "table", TEXTS[3], "-k", "1").out


def test_markup_in_texts_is_text(cli: Cli, recipe: str, tmp_path: Path) -> None:
    (tmp_path / "odd.txt").write_text("[red]not a colour[/red]\n[/]\n")
    assert cli("index", recipe, "odd.txt", "-o", "table").status == 0
    out = cli("search", "table", "colour").out
    assert "[red]not a colour[/red]" in out
    assert "[/]" in out


def test_another_recipe_is_refused(cli: Cli, recipe: str, texts: Path) -> None:
    cli("index", recipe, texts, "-o", "table")
    cli("embed", recipe, texts, "-o", "v.parquet")
    other = recipe.replace("Mean", "Max")
    for where in ("table", "v.parquet"):
        assert cli("search", where, "x", "--recipe", recipe).status == 0
        done = cli("search", where, "x", "--recipe", other)
        assert done.status == 2
        assert recipe in done.err
        assert other in done.err
    done = cli("index", other, texts, "-o", "table", "--add")
    assert done.status == 2
    assert "made by another recipe" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "nowhere", "x"], "is no table of vectors"),
        (["search", "nowhere.parquet", "x"], "is no file"),
        (["search", "table", "x", "-k", "0"], "-k"),
        (["index", "RECIPE", "texts.txt", "-o", "table"], "exists; choose another folder"),
        (["index", "RECIPE", "texts.txt", "-o", "table", "--add", "--overwrite"], "give one of them"),
        (["search", "table", "x", "--where", "year"], "is no condition"),
        (["search", "v.parquet", "x", "--where", "year=1"], "is searched as a whole"),
        (["index", "RECIPE", "texts.txt", "-o", "u", "--id", "nr"], "lacks nr"),
        (["index", "RECIPE", "none.txt", "-o", "other"], "is not there"),
    ],
)
def test_what_goes_wrong_is_said(cli: Cli, recipe: str, texts: Path, arguments: list[str], message: str) -> None:
    cli("index", recipe, texts, "-o", "table")
    done = cli(*(argument.replace("RECIPE", recipe) for argument in arguments))
    assert done.status == 2
    assert message in done.err


def test_resume(cli: Cli, recipe: str, texts: Path) -> None:
    assert cli("index", recipe, texts, "-o", "table").status == 0
    Path("table").rename("other.part")  # as a stopped run leaves it
    done = cli("index", recipe, texts, "-o", "other", "--resume")
    assert (done.status, done.out.splitlines()[0]) == (0, "5 texts stored, 5 in other")
    assert not Path("other.part").exists()
    Path("other").rename("again.part")
    done = cli("index", recipe.replace("Mean", "Max"), texts, "-o", "again", "--resume")
    assert done.status == 2
    assert "made by another recipe" in done.err


def test_overwrite(cli: Cli, recipe: str, texts: Path) -> None:
    cli("index", recipe, texts, "-o", "table")
    done = cli("index", recipe.replace("Mean", "Max"), texts, "-o", "table", "--overwrite")
    assert (done.status, done.out.splitlines()[0]) == (0, "5 texts stored, 5 in table")
