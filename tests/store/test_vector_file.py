from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import plait
from plait.store import VectorFile, embed
from plait.store.ranking import top
from plait.types import DataError, RecipeError
from tests.store.makers import TEXTS, codes, floats, many


def cosine_order(query: np.ndarray, rows: np.ndarray) -> list[int]:
    """Best first, lower number first among equals, by sklearn."""
    from sklearn.metrics.pairwise import cosine_similarity

    scores = cosine_similarity(query.astype(np.float64), rows.astype(np.float64))[0].round(12)
    return sorted(range(len(rows)), key=lambda n: (-scores[n], n))


def test_search_is_exact(tiny_table: Path, tmp_path: Path) -> None:
    recipe, texts = floats(tiny_table), many(80)
    embed(recipe, texts, tmp_path / "v.parquet", block=9)
    hits = VectorFile(tmp_path / "v.parquet").search("dogs and rabbits", k=12)
    expected = cosine_order(recipe.encode(["dogs and rabbits"]).values, recipe.encode(texts).values)[:12]
    assert [int(hit.id) for hit in hits] == expected
    assert [hit.text for hit in hits] == [texts[n] for n in expected]


@pytest.mark.parametrize("kind", ["Int8", "Binary"])
def test_search_in_codes(tiny_table: Path, tmp_path: Path, kind: str) -> None:
    recipe, texts = codes(tiny_table, kind), many(40)
    embed(recipe, texts, tmp_path / "v.parquet", block=9)
    hits = VectorFile(tmp_path / "v.parquet").search(TEXTS[2], recipe, k=3)
    assert all(hit.text.startswith(TEXTS[2]) for hit in hits)
    codes_ = recipe.encode(texts)
    decoded = codes_.quantiser.inverse_transform(codes_.values)  # type: ignore[union-attr]
    query = plait.step.Chain(recipe.children()[:-1]).encode([TEXTS[2]]).values
    cosines = decoded @ query[0] / np.linalg.norm(decoded, axis=1) / np.linalg.norm(query)
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(cosines)[::-1][:3], atol=1e-6)


def test_the_file_alone_is_enough(tiny_table: Path, tmp_path: Path) -> None:
    recipe = plait.parse(f'StaticTable("{tiny_table}") | SifPool() | Whitening(8)').fit(many(100))
    embed(recipe, many(20), tmp_path / "v.parquet")
    kept = VectorFile(tmp_path / "v.parquet").load()
    assert kept.fingerprint == recipe.fingerprint
    assert (kept.encode(TEXTS).values == recipe.encode(TEXTS).values).all()


def test_another_recipe_is_refused_with_both_named(tiny_table: Path, tmp_path: Path) -> None:
    recipe, other = floats(tiny_table), plait.parse(f'StaticTable("{tiny_table}") | MaxPool()')
    embed(recipe, TEXTS, tmp_path / "v.parquet")
    with pytest.raises(RecipeError) as caught:
        VectorFile(tmp_path / "v.parquet").search("x", other)
    for part in (str(recipe), recipe.fingerprint, str(other), other.fingerprint):
        assert part in str(caught.value)


def test_a_recipe_that_needs_no_fit_may_be_given_as_text(tiny_table: Path, tmp_path: Path) -> None:
    text = f'StaticTable("{tiny_table}") | MeanPool() | Binary()'
    embed(plait.parse(text), TEXTS, tmp_path / "v.parquet")
    assert VectorFile(tmp_path / "v.parquet").search(TEXTS[0], plait.parse(text), k=1)[0].text == TEXTS[0]


def test_files_that_are_not_ours(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no file"):
        VectorFile(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        VectorFile(tmp_path / "text.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(DataError, match="does not name the recipe"):
        VectorFile(tmp_path / "other.parquet")


@given(
    rows=arrays(np.int8, st.tuples(st.integers(1, 30), st.just(3)), elements=st.integers(-2, 2)),
    cut=st.integers(0, 30),
    k=st.integers(1, 8),
)
def test_top_over_blocks_is_top_over_all(rows: np.ndarray, cut: int, k: int) -> None:
    values, queries = rows.astype(np.float32), np.array([[1, 2, -1], [0, 0, 0], [-3, 1, 1]], np.float32)
    count = np.arange(len(values))
    numbers, scores = top(queries, [(count[cut:], values[cut:]), (count[:cut], values[:cut])], k)
    lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(values, axis=1)
    cosines = np.divide(queries @ values.T, lengths, out=np.zeros((3, len(values)), np.float32), where=lengths > 0)
    np.testing.assert_allclose(scores, -np.sort(-cosines, axis=1)[:, :k], atol=1e-6)
    np.testing.assert_allclose(scores, np.take_along_axis(cosines, numbers, axis=1), atol=1e-6)
    assert numbers[1].tolist() == count[:k].tolist()
    whole, same = top(queries, [(count, values)], k)
    assert (numbers.tolist(), scores.tolist()) == (whole.tolist(), same.tolist())


def test_top_refuses_no_results() -> None:
    with pytest.raises(RecipeError, match="k is 0"):
        top(np.ones((1, 2), np.float32), [], 0)
