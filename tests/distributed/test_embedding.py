from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import plait
from plait.distributed import Resources, embed_shards
from plait.distributed.resources import cores
from plait.store import VectorFile, embed
from plait.types import DataError, RecipeError
from tests.distributed.makers import bytes_of, times_of, write
from tests.store.makers import codes, floats

ONE = Resources(workers=1)


@pytest.mark.parametrize("kind", ["", "Int8"])
def test_each_output_is_what_embed_gives(tiny_table: Path, tmp_path: Path, kind: str) -> None:
    recipe = codes(tiny_table, kind) if kind else floats(tiny_table)
    source = write(tmp_path / "in", {"a": 30, "b": 45, "deep/c": 7})
    told: list[tuple[int, int, int]] = []
    made = embed_shards(recipe, source, tmp_path / "out", resources=ONE, block=10, told=lambda *seen: told.append(seen))
    assert (made.shards, made.reused, made.rows, made.fingerprint) == (3, 0, 82, recipe.fingerprint)
    assert told[0] == (0, 3, 0)
    assert told[-1] == (3, 3, 82)
    for name in ("a", "b", "deep/c"):
        texts = [json.loads(line)["text"] for line in (source / f"{name}.jsonl").read_text().splitlines()]
        embed(recipe, texts, tmp_path / "one.parquet", block=10)
        mine, alone = pq.read_table(tmp_path / "out" / f"{name}.parquet"), pq.read_table(tmp_path / "one.parquet")
        assert mine.equals(alone)
        assert VectorFile(tmp_path / "out" / f"{name}.parquet").search(texts[3], k=1)[0].text == texts[3]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [(line["name"], line["rows"]) for line in manifest["shards"]] == [("a", 30), ("b", 45), ("deep/c", 7)]
    assert (manifest["rows"], manifest["done"], manifest["fingerprint"]) == (82, 3, recipe.fingerprint)
    assert plait.load(tmp_path / "out" / "recipe").fingerprint == recipe.fingerprint


def test_finished_shards_are_never_redone_and_changed_ones_are(tiny_table: Path, tmp_path: Path) -> None:
    recipe, source = floats(tiny_table), write(tmp_path / "in", {"a": 20, "b": 20, "c": 20})
    embed_shards(recipe, source, tmp_path / "out", resources=ONE)
    before = times_of(tmp_path / "out")
    write(source, {"b": 25, "d": 5})
    (tmp_path / "out" / "manifest.json").unlink()
    (tmp_path / "out" / "c.parquet").write_bytes(b"damaged")
    made = embed_shards(recipe, source, tmp_path / "out", resources=ONE)
    assert (made.shards, made.reused, made.rows) == (4, 1, 70)
    after = times_of(tmp_path / "out")
    assert [name for name, time in after.items() if before.get(name) == time] == ["a.parquet"]
    write(tmp_path / "fresh", {"a": 20, "b": 25, "c": 20, "d": 5})
    embed_shards(recipe, tmp_path / "fresh", tmp_path / "again", resources=ONE)
    assert bytes_of(tmp_path / "again") == bytes_of(tmp_path / "out")
    made = embed_shards(recipe, source, tmp_path / "out", resources=ONE)
    assert (made.reused, made.worker_seconds, times_of(tmp_path / "out")) == (4, 0, after)


def test_another_job_is_refused(tiny_table: Path, tmp_path: Path) -> None:
    recipe, source = floats(tiny_table), write(tmp_path / "in", {"a": 20})
    embed_shards(recipe, source, tmp_path / "out", resources=ONE)
    other = plait.parse(f'StaticTable("{tiny_table}") | MaxPool()')
    for step, more, message in [
        (other, {}, r"recipe was .*MeanPool.* is .*MaxPool"),
        (recipe, {"block": 3}, "block was 8192, is 3"),
        (recipe, {"role": "query"}, "role was 'document', is 'query'"),
    ]:
        with pytest.raises(DataError, match=message):
            embed_shards(step, source, tmp_path / "out", resources=ONE, **more)  # type: ignore[arg-type]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("x")
    with pytest.raises(DataError, match="holds no vectors of shards"):
        embed_shards(recipe, source, tmp_path / "mine", resources=ONE)
    (tmp_path / "out" / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="is damaged"):
        embed_shards(recipe, source, tmp_path / "out", resources=ONE)


def test_shards_that_cannot_be_read_do_not_stop_the_others(tiny_table: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "in", {"a": 20, "c": 20})
    (source / "b.jsonl").write_text("no json\n")
    (source / "d.parquet").write_text("no parquet")
    with pytest.raises(DataError, match=r"2 of 4 shards failed, and the others are kept: .*b \(.*line 1 is no JSON"):
        embed_shards(floats(tiny_table), source, tmp_path / "out", resources=ONE)
    assert set(bytes_of(tmp_path / "out")) == {"a.parquet", "c.parquet"}
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["done"] == 2


def test_a_worker_that_always_dies_is_given_up(tiny_table: Path, tmp_path: Path) -> None:
    source, out = write(tmp_path / "in", {"a": 20}), tmp_path / "out"
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'plait.distributed.worker' in sys.orig_argv:\n    os._exit(7)\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
        with pytest.raises(DataError, match=r"a \(3 workers died over it, the last one with exit status 7\)"):
            embed_shards(floats(tiny_table), source, out, resources=ONE)
    assert embed_shards(floats(tiny_table), source, out, resources=ONE).rows == 20


def test_what_goes_wrong_is_said(tiny_table: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "in", {"a": 3})
    with pytest.raises(RecipeError, match="engine is 'spark'; expected one of local, ray"):
        embed_shards(floats(tiny_table), source, tmp_path / "out", engine="spark")
    with pytest.raises(RecipeError, match="not fitted"):
        embed_shards(plait.parse(f"{floats(tiny_table)} | Whitening(4)"), source, tmp_path / "out")
    with pytest.raises(DataError, match="cannot write"):
        embed_shards(floats(tiny_table), source, source / "a.jsonl" / "out")
    with pytest.raises(DataError, match=f"more than the {cores()} cores"):
        Resources(workers=cores() + 1)
    with pytest.raises(DataError, match="at least one"):
        Resources(threads=0)
    assert Resources(threads=cores()).count == 1
    assert not (tmp_path / "out").exists()
