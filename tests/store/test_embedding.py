from __future__ import annotations

import json
import shutil
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import plait
from plait.store import VectorFile, embed
from plait.store.blocks import Layout, encode_block
from plait.types import DataError, RecipeError
from tests.store.makers import TEXTS, codes, floats, many

Disk = namedtuple("Disk", "total used free")


class Stop(Exception):
    """Stands for a kill: what was written before it stays."""


def stopping(texts: list[str], after: int) -> Iterator[str]:
    yield from texts[:after]
    raise Stop


def vectors_of(path: Path) -> np.ndarray:
    return np.stack(pq.read_table(path).column("vector").to_numpy(zero_copy_only=False))


def test_file_holds_what_encode_gives(tiny_table: Path, tmp_path: Path) -> None:
    texts = [*many(57), "", "   ", many(57)[3]]
    written = embed(floats(tiny_table), texts, tmp_path / "v.parquet", block=10)
    table = pq.read_table(tmp_path / "v.parquet")
    assert table.column("row").to_pylist() == list(range(60))
    assert table.column("text").to_pylist() == texts
    assert (vectors_of(tmp_path / "v.parquet") == floats(tiny_table).encode(texts).values).all()
    assert pq.ParquetFile(tmp_path / "v.parquet").num_row_groups == 6
    assert (written.rows, written.layout, written.reused) == (60, Layout("float32", 16), 0)
    assert [path.name for path in tmp_path.iterdir()] == ["v.parquet"]


@pytest.mark.parametrize(("kind", "dtype", "width"), [("Int8", np.int8, 16), ("Binary", np.uint8, 2)])
def test_codes_are_stored_as_codes(tiny_table: Path, tmp_path: Path, kind: str, dtype: type, width: int) -> None:
    recipe = codes(tiny_table, kind)
    embed(recipe, many(30), tmp_path / "v.parquet", block=7)
    values = vectors_of(tmp_path / "v.parquet")
    assert (values.dtype, values.shape) == (dtype, (30, width))
    assert (values == recipe.encode(many(30)).values).all()


@pytest.mark.parametrize(("kind", "width"), [("Int8", 16), ("Binary", 2)])
def test_a_number_of_a_code_takes_hardly_more_than_a_byte(
    tiny_table: Path, tmp_path: Path, kind: str, width: int
) -> None:
    embed(codes(tiny_table, kind), many(8000), tmp_path / "v.parquet")
    column = pq.ParquetFile(tmp_path / "v.parquet").metadata.row_group(0).column(2)
    assert column.path_in_schema == "vector.list.element"
    assert column.total_uncompressed_size < 2 * 8000 * width + 5000


def test_metadata_names_the_recipe(tiny_table: Path, tmp_path: Path) -> None:
    recipe = floats(tiny_table)
    embed(recipe, TEXTS, tmp_path / "v.parquet")
    facts = json.loads(pq.read_schema(tmp_path / "v.parquet").metadata[b"plait"])
    assert facts["recipe"] == str(recipe)
    assert facts["fingerprint"] == recipe.fingerprint == VectorFile(tmp_path / "v.parquet").fingerprint
    assert facts["rows"] == len(TEXTS)


def test_npy(tiny_table: Path, tmp_path: Path) -> None:
    recipe = floats(tiny_table)
    embed(recipe, many(25), tmp_path / "v.npy", block=10)
    assert (np.load(tmp_path / "v.npy", allow_pickle=False) == recipe.encode(many(25)).values).all()
    facts = json.loads((tmp_path / "v.json").read_text())
    assert (facts["fingerprint"], facts["rows"]) == (recipe.fingerprint, 25)


def test_stopped_and_resumed_is_the_same_file(tiny_table: Path, tmp_path: Path) -> None:
    texts, recipe = many(95), floats(tiny_table)
    embed(recipe, texts, tmp_path / "whole.parquet", block=10)
    with pytest.raises(Stop):
        embed(recipe, stopping(texts, 47), tmp_path / "v.parquet", block=10)
    assert not (tmp_path / "v.parquet").exists()
    written = embed(recipe, texts, tmp_path / "v.parquet", block=10, resume=True)
    assert (written.rows, written.reused) == (95, 40)
    assert (tmp_path / "v.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert not (tmp_path / "v.parquet.part").exists()


def test_resume_encodes_blocks_that_changed(tiny_table: Path, tmp_path: Path) -> None:
    texts, recipe = many(60), floats(tiny_table)
    with pytest.raises(Stop):
        embed(recipe, stopping(texts, 55), tmp_path / "v.parquet", block=10)
    texts[25] = "something else altogether"
    written = embed(recipe, texts, tmp_path / "v.parquet", block=10, resume=True)
    assert written.reused == 40
    assert (vectors_of(tmp_path / "v.parquet") == recipe.encode(texts).values).all()


def test_half_written_blocks_are_not_used(tiny_table: Path, tmp_path: Path) -> None:
    texts, recipe = many(30), floats(tiny_table)
    with pytest.raises(Stop):
        embed(recipe, stopping(texts, 25), tmp_path / "v.parquet", block=10)
    blocks = sorted((tmp_path / "v.parquet.part").glob("*.arrow"))
    blocks[1].rename(blocks[1].with_suffix(".part"))
    assert embed(recipe, texts, tmp_path / "v.parquet", block=10, resume=True).reused == 10
    assert (vectors_of(tmp_path / "v.parquet") == recipe.encode(texts).values).all()


def test_without_resume_it_starts_anew(tiny_table: Path, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        embed(floats(tiny_table), stopping(many(30), 25), tmp_path / "v.parquet", block=10)
    assert embed(floats(tiny_table), many(30), tmp_path / "v.parquet", block=10).reused == 0


def test_resume_with_another_recipe_is_refused(tiny_table: Path, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        embed(floats(tiny_table), stopping(many(30), 25), tmp_path / "v.parquet", block=10)
    other = plait.parse(f'StaticTable("{tiny_table}") | MaxPool()')
    with pytest.raises(DataError, match=r"recipe was .*MeanPool.*, is .*MaxPool.*leave resume out"):
        embed(other, many(30), tmp_path / "v.parquet", block=10, resume=True)


def test_no_text(tiny_table: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no text"):
        embed(floats(tiny_table), [], tmp_path / "v.parquet")
    assert not list(tmp_path.iterdir())


def test_output_that_cannot_be_written(tiny_table: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write .*choose another output"):
        embed(floats(tiny_table), TEXTS, tmp_path / "file" / "v.parquet")


def test_output_of_unknown_kind(tiny_table: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"v\.csv is neither \.parquet nor \.npy"):
        embed(floats(tiny_table), TEXTS, tmp_path / "v.csv")


def test_unfitted_recipe(tiny_table: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="not fitted"):
        embed(plait.parse(f'StaticTable("{tiny_table}") | MeanPool() | Whitening()'), TEXTS, tmp_path / "v.parquet")


def test_full_disk_keeps_what_is_done(tiny_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = iter([10**12] * 3 + [10**6] * 9)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Disk(10**12, 0, next(free)))
    with pytest.raises(DataError, match=r"MB are free.*what is finished is kept"):
        embed(floats(tiny_table), many(50), tmp_path / "v.parquet", block=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Disk(10**12, 0, 10**12))
    assert embed(floats(tiny_table), many(50), tmp_path / "v.parquet", block=10, resume=True).reused == 30


def test_progress_counts_every_text_and_token(tiny_table: Path, tmp_path: Path) -> None:
    seen: list[tuple[float, int]] = []
    written = embed(floats(tiny_table), many(25), tmp_path / "v.npy", block=10, told=lambda n, t: seen.append((n, t)))
    assert seen == sorted(seen)
    assert seen[-1] == (25, written.tokens)


def test_cut_texts_are_counted(tiny_table: Path, tmp_path: Path) -> None:
    recipe = plait.parse(f'StaticTable("{tiny_table}", max_length=4) | MeanPool()')
    lengths = [len(floats(tiny_table).children()[0].tokenize([text]).ids) for text in TEXTS]  # type: ignore[attr-defined]
    written = embed(recipe, [*TEXTS, ""], tmp_path / "v.npy")
    assert (written.cut_texts, written.cut_tokens) == (len(TEXTS), sum(lengths) - 4 * len(TEXTS))


def test_block_encodes_equal_texts_once(tiny_table: Path) -> None:
    block = encode_block(floats(tiny_table), [TEXTS[0], TEXTS[1], TEXTS[0]], "document")
    assert block.tokens == encode_block(floats(tiny_table), TEXTS[:2], "document").tokens
    assert (block.values[0] == block.values[2]).all()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(max_size=30), min_size=1, max_size=30), block=st.integers(1, 12), data=st.data())
def test_any_texts_any_block_any_stop(
    texts: list[str], block: int, data: st.DataObject, tiny_table: Path, tmp_path: Path
) -> None:
    out, recipe = tmp_path / "v.parquet", floats(tiny_table)
    with pytest.raises(Stop):
        embed(recipe, stopping(texts, data.draw(st.integers(1, len(texts)))), out, block=block)
    embed(recipe, texts, out, block=block, resume=True)
    assert pq.read_table(out).column("text").to_pylist() == texts
    np.testing.assert_allclose(vectors_of(out), recipe.encode(texts).values, atol=1e-6)


def test_lone_surrogates_are_replaced(tiny_table: Path, tmp_path: Path) -> None:
    embed(floats(tiny_table), ["a \ud800 b"], tmp_path / "v.parquet")
    assert pq.read_table(tmp_path / "v.parquet").column("text").to_pylist() == ["a ? b"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs resource")
def test_memory_of_a_long_stream_is_bounded(tiny_table: Path, tmp_path: Path) -> None:
    import psutil

    process, recipe = psutil.Process(), floats(tiny_table)
    embed(recipe, many(20_000), tmp_path / "v.parquet")
    before, peak = process.memory_info().rss, 0

    def told(texts: float, tokens: int) -> None:
        nonlocal peak
        peak = max(peak, process.memory_info().rss)

    embed(recipe, (f"a short text, number {n}" for n in range(300_000)), tmp_path / "v.parquet", told=told)
    assert peak - before < 200e6
