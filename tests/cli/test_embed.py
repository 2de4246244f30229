from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from collections import namedtuple
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import plait
from tests.cli.running import Cli, finished, process
from tests.store.makers import TEXTS, many

Disk = namedtuple("Disk", "total used free")
# The command, with an encoder that takes its time, so that a signal meets it at work.
SLOW = """
import time
import plait.store.embedding as module
original = module.encode_block
def slow(*given):
    time.sleep(0.05)
    return original(*given)
module.encode_block = slow
from plait.cli.app import main
main()
"""


def test_embed_then_search(cli: Cli, recipe: str, texts: Path) -> None:
    done = cli("embed", recipe, texts, "-o", "v.parquet")
    assert done.status == 0
    assert "5 texts" in done.out
    assert "16 numbers each" in done.out
    done = cli("search", "v.parquet", TEXTS[1], "-k", "2", "--json")
    assert json.loads(done.out)[0]["text"] == TEXTS[1]


def test_json(cli: Cli, recipe: str, texts: Path) -> None:
    facts = json.loads(cli("embed", recipe, texts, "-o", "v.npy", "--json").out)
    assert (facts["path"], facts["rows"], facts["layout"]) == ("v.npy", 5, {"dtype": "float32", "width": 16})
    assert facts["fingerprint"] == plait.parse(recipe).fingerprint


def test_a_saved_recipe_and_a_column(cli: Cli, tiny_table: Path, tmp_path: Path) -> None:
    step = plait.parse(f'StaticTable("{tiny_table}") | MeanPool() | Whitening(8)').fit(many(60))
    plait.save(step, tmp_path / "model")
    (tmp_path / "in.csv").write_text("id,body,other\n1,one text,x\n2,another,y\n")
    assert cli("embed", "model", "in.csv", "--column", "body", "-o", "v.parquet").status == 0
    assert pq.read_table("v.parquet").column("text").to_pylist() == ["one text", "another"]
    done = cli("embed", "model", "in.csv", "--column", "boddy", "-o", "v.parquet")
    assert done.status == 2
    assert "boddy" in done.err


def test_cut_texts_are_told(cli: Cli, tiny_table: Path, texts: Path) -> None:
    done = cli("embed", f'StaticTable("{tiny_table}", max_length=3) | MeanPool()', texts, "-o", "v.parquet")
    assert "note: 5 texts were cut by the length limit" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["StaticTable('no-such-model') | MeanPool()", "texts.txt", "-o", "v.parquet"], "no-such-model"),
        (["StaticTable('x') | MeenPool()", "texts.txt", "-o", "v.parquet"], "did you mean MeanPool"),
        (["RECIPE | Whitening(4)", "texts.txt", "-o", "v.parquet"], "give --fit"),
        (["RECIPE", "empty.txt", "-o", "v.parquet"], "empty"),
        (["RECIPE", "texts.txt", "-o", "v.csv"], "neither .parquet nor .npy"),
        (["RECIPE", "texts.txt", "-o", "texts.txt/v.parquet"], "cannot write"),
        (["RECIPE", "texts.txt", "-o", "v.parquet", "--role", "author"], "expected one of query, document"),
        (["RECIPE", "texts.txt", "-o", "v.parquet", "--block", "0"], "--block"),
        (["nowhere/model", "texts.txt", "-o", "v.parquet"], "no folder and no recipe"),
    ],
)
def test_what_goes_wrong_is_said(
    cli: Cli, recipe: str, texts: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "empty.txt").touch()
    done = cli("embed", *(argument.replace("RECIPE", recipe) for argument in arguments))
    assert done.status == 2
    assert message in done.err
    assert not list(tmp_path.glob("v.*"))


def test_full_disk(cli: Cli, recipe: str, texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Disk(1, 1, 0))
    done = cli("embed", recipe, texts, "-o", "v.parquet")
    assert done.status == 2
    assert "0 MB are free" in done.err
    assert not Path("v.parquet").exists()


def started(recipe: str, folder: Path, *more: str) -> tuple[Path, list[str]]:
    lines = many(3000)
    (folder / "many.txt").write_text("\n".join(lines))
    return folder / "v.parquet", ["embed", recipe, "many.txt", "-o", "v.parquet", "--block", "50", *more]


def wait_for_blocks(folder: Path, number: int = 5) -> None:
    for _ in range(600):
        if len(list(folder.glob("*.arrow"))) >= number:
            return
        time.sleep(0.1)
    raise AssertionError("no block appeared within a minute")


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_killed_and_resumed(cli: Cli, recipe: str, tmp_path: Path) -> None:
    out, arguments = started(recipe, tmp_path)
    running = process(*arguments, folder=tmp_path, code=SLOW)
    wait_for_blocks(tmp_path / "v.parquet.part")
    running.kill()
    assert finished(running).status == -signal.SIGKILL
    assert not out.exists()
    done = cli(*arguments, "--resume", "--json")
    facts = json.loads(done.out)
    assert facts["rows"] == 3000
    assert 250 <= facts["reused"] < 3000
    assert cli(*arguments[:4], "whole.parquet", "--block", "50").status == 0
    assert out.read_bytes() == Path("whole.parquet").read_bytes()
    assert not Path("v.parquet.part").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_stopped_it_says_how_to_go_on(recipe: str, tmp_path: Path) -> None:
    out, arguments = started(recipe, tmp_path)
    running = process(*arguments, folder=tmp_path, code=SLOW)
    wait_for_blocks(tmp_path / "v.parquet.part")
    running.send_signal(signal.SIGINT)
    done = finished(running)
    assert done.status == 130
    assert "stopped. Finished blocks are in v.parquet.part; go on with the same command and --resume" in done.err
    assert "Traceback" not in done.err
    assert not out.exists()
