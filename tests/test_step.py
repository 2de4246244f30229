"""Composing recipes: what fits, what is refused and why, and what a fingerprint covers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import plait
from plait.step import Chain, Composite, Concat, Step, unit_rows, walk
from plait.types import Codes, PlaitError, RecipeError, Vectors
from tests.tiny import SENTENCES

TABLE = plait.StaticTable("wordllama")
MEAN, MAX = TABLE | plait.MeanPool(), TABLE | plait.MaxPool()


@pytest.fixture
def table(tiny_table: Path) -> plait.StaticTable:
    return plait.StaticTable(str(tiny_table))


class Scale(Step):
    """A transform whose version can be raised."""

    def __init__(self, factor: float = 2.0) -> None:
        self.factor = factor

    def transform(self, X: np.ndarray) -> np.ndarray:
        return X * self.factor


class NewScale(Scale):
    """The same under another version."""

    version = 2

    def __str__(self) -> str:
        return super().__str__().replace("NewScale", "Scale")


@pytest.mark.parametrize(
    ("compose", "words"),
    [
        (
            lambda: TABLE | plait.Whitening(),
            ["Whitening() takes Vectors", "gives States", "put a pooling", "MeanPool()"],
        ),
        (lambda: MEAN | plait.Layer(1), ["Layer(1) takes States", "gives Vectors", "before transforms"]),
        (lambda: MEAN | plait.Binary() | plait.Center(), ["Center() takes Vectors", "gives Codes", "comes last"]),
        (lambda: MEAN | TABLE, ["takes str", "gives Vectors", "an encoder comes first"]),
        (lambda: TABLE | TABLE, ["takes str", "gives States", "only once"]),
        (lambda: MEAN + TABLE, ["from str to States", "put a pooling"]),
        (lambda: MEAN + plait.MeanPool(), ["from States to Vectors"]),
        (lambda: MEAN + (MAX | plait.Int8()), ["to Codes", "compression comes last"]),
    ],
)
def test_what_does_not_fit_is_refused_with_both_types(compose: object, words: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        compose()  # type: ignore[operator]
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (lambda: plait.parse('StaticTable("wordllama")'), "end it with a pooling"),
        (lambda: plait.parse("MeanPool()"), "start with an encoder"),
        (lambda: TABLE | plait.Layer(0) | plait.Layer(0) | plait.MeanPool(), "chooses layers twice"),
        (lambda: TABLE | plait.Layer(3) | plait.MeanPool(), "asks for layer 3"),
        (lambda: MEAN | plait.Center(), "fit"),
    ],
)
def test_what_cannot_run_is_refused_when_it_is_run(recipe: object, message: str) -> None:
    with pytest.raises(PlaitError, match=message):
        recipe().encode(["a text"])  # type: ignore[operator]


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, -2.0], [1.0, float("nan")]])
def test_weights_must_be_one_a_part_and_above_zero(weights: list[float]) -> None:
    with pytest.raises(RecipeError, match="give each part one above 0"):
        Concat([MEAN, MAX], weights)


def test_a_single_text_is_not_a_list_of_letters(table: plait.StaticTable) -> None:
    with pytest.raises(PlaitError, match=r"list"):
        (table | plait.MeanPool()).encode("one text")


@pytest.mark.parametrize(
    ("recipe", "text"),
    [
        (lambda: MEAN, 'StaticTable("wordllama") | MeanPool()'),
        (lambda: MEAN + MAX, '(StaticTable("wordllama") | MeanPool()) + (StaticTable("wordllama") | MaxPool())'),
        (
            lambda: 2 * MEAN + MAX,
            '2 * (StaticTable("wordllama") | MeanPool()) + (StaticTable("wordllama") | MaxPool())',
        ),
        (lambda: MEAN * 0.5, '0.5 * (StaticTable("wordllama") | MeanPool())'),
        (
            lambda: (MEAN + MAX) | plait.Truncate(8) | plait.Binary(),
            f"(({MEAN}) + ({MAX})) | Truncate(8) | Binary()",
        ),
    ],
)
def test_notation(recipe: object, text: str) -> None:
    made = recipe()  # type: ignore[operator]
    assert str(made) == text
    assert str(plait.parse(text)) == text


def test_chains_and_sums_are_flat() -> None:
    assert len((TABLE | (plait.MeanPool() | plait.Center()) | plait.Normalize()).steps) == 4
    assert len((MEAN + MAX + MEAN).parts) == 3
    assert ((2 * MEAN + 3 * MAX) * 0.5).weights_ == [1.0, 1.5]
    assert (2 * (MEAN + MAX) + MEAN).weights_ == [2.0, 2.0, 1.0]


def test_a_concatenation_is_unit_parts_times_weights(table: plait.StaticTable) -> None:
    mean, maximum = table | plait.MeanPool(), table | plait.MaxPool()
    found = (2 * mean + maximum).encode(SENTENCES).values
    parts = [part.encode(SENTENCES).values for part in (mean, maximum)]
    norms = [np.linalg.norm(part, axis=1, keepdims=True) for part in parts]
    unit = [np.where(norm > 0, part / np.maximum(norm, 1e-30), 0) for part, norm in zip(parts, norms, strict=True)]
    np.testing.assert_allclose(found, np.hstack([2 * unit[0], unit[1]]), atol=1e-6)


def test_steps_after_a_concatenation_see_all_of_it(table: plait.StaticTable) -> None:
    both = (table | plait.MeanPool() | plait.Center()) + (table | plait.MaxPool())
    recipe = (both | plait.Pca(5)).fit(SENTENCES)
    whole = clone(both).fit(SENTENCES).encode(SENTENCES).values
    expected = plait.Pca(5).fit(whole).transform(whole)
    np.testing.assert_allclose(recipe.encode(SENTENCES).values, expected, atol=1e-5)


def test_unit_rows_leave_zeros() -> None:
    rows = unit_rows(np.array([[3, 4], [0, 0], [1e-30, 0]], np.float32))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0], [1, 0]], atol=1e-6)


def test_encode_gives_vectors_or_codes_with_their_recipe(table: plait.StaticTable) -> None:
    recipe = table | plait.MeanPool()
    vectors = recipe.encode(SENTENCES)
    assert isinstance(vectors, Vectors)
    assert vectors.fingerprint == recipe.fingerprint
    assert vectors.nbytes == 4 * table.width
    compressed = (recipe | plait.Binary()).fit(SENTENCES)
    codes = compressed.encode(SENTENCES)
    assert isinstance(codes, Codes)
    assert codes.quantiser is compressed.quantiser
    assert codes.fingerprint == compressed.fingerprint != recipe.fingerprint
    np.testing.assert_array_equal(recipe.transform(SENTENCES).values, vectors.values)


def test_equal_items_are_tokenised_once(table: plait.StaticTable, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    tokenize = plait.StaticTable.tokenize
    monkeypatch.setattr(
        plait.StaticTable, "tokenize", lambda self, items: [seen.append(len(items)), tokenize(self, items)][1]
    )
    items = ["a fox", "the dog", "a fox", "a fox"]
    vectors = (table | plait.MeanPool()).encode(items).values
    assert seen == [2]
    np.testing.assert_array_equal(vectors[0], vectors[3])
    words = [("a", "fox"), ("the",), ("a", "fox")]
    found = (table | plait.MeanPool()).encode(words)
    assert found.units is not None
    assert found.units.tolist() == [0, 2, 3, 5]
    np.testing.assert_array_equal(found.values[:2], found.values[3:])


def test_fingerprint_changes_with_the_text(table: plait.StaticTable) -> None:
    recipes = [table | plait.MeanPool(), table | plait.MaxPool(), table | plait.MeanPool() | plait.Truncate(4)]
    assert len({recipe.fingerprint for recipe in recipes}) == 3
    assert (table | plait.MeanPool()).fingerprint == recipes[0].fingerprint


def test_fingerprint_changes_with_what_was_learned(table: plait.StaticTable) -> None:
    recipe = table | plait.MeanPool() | plait.Center()
    prints = [
        recipe.fingerprint,
        clone(recipe).fit(SENTENCES).fingerprint,
        clone(recipe).fit(SENTENCES[:4]).fingerprint,
    ]
    assert len(set(prints)) == 3
    assert clone(recipe).fit(SENTENCES).fingerprint == prints[1]


def test_fingerprint_changes_with_the_version_of_a_step() -> None:
    old, new = MEAN | Scale(3.0), MEAN | NewScale(3.0)
    assert str(old) == str(new)
    assert old.fingerprint != new.fingerprint


def test_fingerprint_changes_with_the_weights_of_an_encoder(tmp_path: Path, tiny_table: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "table"
    folder.mkdir()
    for file in tiny_table.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    recipe = plait.StaticTable(str(folder)) | plait.MeanPool()
    before = recipe.fingerprint
    arrays = load_file(folder / "model.safetensors")
    arrays["embeddings"][3, 3] += 1
    save_file(arrays, folder / "model.safetensors")
    assert recipe.fingerprint != before


def test_fingerprint_of_a_part_reaches_the_whole(table: plait.StaticTable) -> None:
    def whole(texts: list[str]) -> Composite:
        part = (table | plait.MeanPool() | plait.Center()).fit(texts)
        return Concat([part, table | plait.MaxPool()]) | plait.Truncate(20)

    assert whole(SENTENCES).fingerprint != whole(SENTENCES[:4]).fingerprint


def test_clone_forgets_what_was_learned_and_shares_nothing(table: plait.StaticTable) -> None:
    recipe = (table | plait.MeanPool() | plait.Center()).fit(SENTENCES)
    copy = clone(recipe)
    assert str(copy) == str(recipe)
    assert not copy.steps[-1].state()
    assert not {id(step) for step in walk(copy)} & {id(step) for step in walk(recipe)}


def test_walk_is_depth_first(table: plait.StaticTable) -> None:
    recipe = (table | plait.MeanPool()) + (table | plait.MaxPool()) | plait.Center()
    names = [type(step).__name__ for step in walk(recipe)]
    chain = ["Chain", "StaticTable"]
    assert names == ["Chain", "Concat", *chain, "MeanPool", *chain, "MaxPool", "Center"]


def test_only_the_last_step_is_a_quantiser(table: plait.StaticTable) -> None:
    assert Chain([table, plait.MeanPool()]).quantiser is None
    assert isinstance((table | plait.MeanPool() | plait.Int8()).quantiser, plait.Int8)
    assert Concat([table | plait.MeanPool()]).quantiser is None
