"""Recipes as text and as folders."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plait
from plait.recipe import vocabulary
from plait.step import Composite, Concat, Step
from plait.types import PlaitError, RecipeError
from tests.tiny import SENTENCES

PLAIN = 'StaticTable("x") | MeanPool()'
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
NUMBERS = st.floats(1e-6, 1e6, allow_nan=False).map(lambda number: round(number, 6))


def encoders() -> st.SearchStrategy[Step]:
    prompts = st.none() | st.just("checkpoint") | st.dictionaries(st.sampled_from(["query", "document"]), NAMES)
    hosts = st.builds(
        plait.Transformer,
        NAMES,
        max_length=st.none() | st.integers(1, 9999),
        prompts=prompts,
        dtype=st.sampled_from(["float32", "auto"]),
        remote_code=st.booleans(),
    )
    tables = st.builds(plait.StaticTable, NAMES, lowercase=st.none() | st.booleans(), tensor=st.none() | NAMES)
    return hosts | tables


def mixes() -> st.SearchStrategy[list[Step]]:
    layer = st.integers(-20, 20)
    several = st.builds(plait.LayerMean, st.lists(layer, min_size=1, max_size=3))
    temperature = st.builds(plait.AttentionTemperature, NUMBERS)
    return st.lists(st.builds(plait.Layer, layer) | several | temperature, max_size=2)


def poolings() -> st.SearchStrategy[Step]:
    plain = st.sampled_from([plait.MeanPool, plait.MaxPool, plait.ClsPool, plait.LastPool, plait.WeightedMeanPool])
    return plain.map(lambda kind: kind()) | st.builds(plait.SifPool, NUMBERS)


def transforms() -> st.SearchStrategy[list[Step]]:
    size = st.integers(1, 2000)
    some = st.sampled_from([plait.Center, plait.Normalize]).map(lambda kind: kind())
    whitening = st.builds(plait.Whitening, st.none() | size, shrinkage=st.floats(0, 1))
    sized = st.builds(plait.Pca, size) | st.builds(plait.Truncate, size) | st.builds(plait.AllButTheTop, size)
    return st.lists(some | whitening | sized, max_size=3)


@st.composite
def chains(draw: st.DrawFn) -> Composite:
    steps = [draw(encoders()), *draw(mixes()), draw(poolings()), *draw(transforms())]
    return plait.Chain(steps)


def concats(parts: st.SearchStrategy[Composite]) -> st.SearchStrategy[Composite]:
    several = st.lists(parts, min_size=1, max_size=3)

    @st.composite
    def weighted(draw: st.DrawFn) -> Composite:
        chosen = draw(several)
        weights = draw(st.none() | st.lists(NUMBERS, min_size=len(chosen), max_size=len(chosen)))
        made: Composite = Concat(chosen, weights)
        for step in draw(transforms()):
            made = made | step
        return made

    searched = st.builds(
        plait.ConcatSearch, several, st.sampled_from(["ace", "greedy"]), st.integers(1, 99), weighted=st.booleans()
    )
    return weighted() | searched


RECIPES = st.recursive(chains(), concats, max_leaves=4)


@given(recipe=RECIPES, compress=st.none() | st.builds(plait.Int8) | st.builds(plait.Binary))
@settings(max_examples=50, deadline=None)
def test_every_recipe_reads_back_from_its_text(recipe: Composite, compress: Step | None) -> None:
    whole = recipe if compress is None else recipe | compress
    text = str(whole)
    read = plait.parse(text)
    assert str(read) == text
    assert "\n" not in text
    assert shape(read) == shape(whole)


def shape(step: Step) -> object:
    """Types, parameters and nesting; a concatenation without weights is one whose weights are all 1."""
    if isinstance(step, Concat):
        return ("Concat", step.weights_, [shape(child) for child in step.parts])
    if isinstance(step, Composite):
        own = {k: v for k, v in step.get_params(deep=False).items() if k not in ("steps", "parts")}
        return (type(step).__name__, own, [shape(child) for child in step.children()])
    return (type(step).__name__, step.get_params(deep=False))


@pytest.mark.parametrize(
    "text",
    [
        "().__class__.__bases__[0].__subclasses__()",
        "__import__('os').system('true')",
        "eval('1')",
        "open('/etc/passwd')",
        "print(1)",
        "Chain([MeanPool()])",
        "plait.MeanPool()",
        "MeanPool",
        "MeanPool().fit",
        "MeanPool()()",
        "MeanPool().__class__()",
        "[MeanPool() for _ in range(3)]",
        "(MeanPool() for _ in ())",
        "{MeanPool()}",
        "lambda: MeanPool()",
        "(x := MeanPool())",
        "MeanPool() if True else MaxPool()",
        "MeanPool() and MaxPool()",
        "MeanPool() - MaxPool()",
        "MeanPool() ** 2",
        "MeanPool() * 2",
        "not MeanPool()",
        "MeanPool() < MaxPool()",
        "Truncate(f'{1+1}')",
        'StaticTable(f"{__name__}") | MeanPool()',
        "Truncate(1 + 1)",
        "Truncate(2 * 4)",
        "Truncate([1, 2][0])",
        "Truncate(*[1])",
        "Truncate(**{'width': 1})",
        "Truncate(a.b)",
        "Truncate(-x)",
        "Truncate(await x)",
        'Transformer("x", prompts={**{}}) | MeanPool()',
        'Transformer("x", prompts={[1]: 2}) | MeanPool()',
        'Transformer("x", **{}) | MeanPool()',
        "Concat(3)",
        "Concat([3])",
        "ConcatSearch([3])",
        'Concat([StaticTable("x") | MeanPool()], "a")',
        "import os",
        "MeanPool(); MaxPool()",
        "x = MeanPool()",
        "",
        "   ",
        "3",
        '"text"',
        "[]",
        "MeanPool(",
        "MeanPool() |",
        "\x00",
        "Mean\u0000Pool()",
        "(" * 500 + ")" * 500,
        "-" * 5000 + "1",
        "MeanPool() | " * 3000 + "MeanPool()",
        "MeanPool() | " * 400 + "MeanPool()",
    ],
    ids=lambda text: text[:40],
)
def test_nothing_but_a_recipe_is_read(text: str) -> None:
    with pytest.raises(RecipeError) as caught:
        plait.parse(text)
    assert len(str(caught.value)) < 40_000


@given(text=st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_recipe_or_refused(text: str) -> None:
    with contextlib.suppress(RecipeError):
        plait.parse(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("MaenPool()", ["there is no step MaenPool", "MeanPool"]),
        ('StaticTable("w") | MeanPool(3)', ["MeanPool", "(in 'MeanPool(3)')"]),
        ('StaticTable("w") | MeanPool() | Truncate(size=3)', ["Truncate got", "'size'", "(in 'Truncate(size=3)')"]),
        ('StaticTable("w") | Center()', ["takes Vectors", "put a pooling"]),
        ('StaticTable("w") | MeanPool() + 3', ["(in "]),
    ],
)
def test_messages_name_the_place(text: str, words: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        plait.parse(text)
    assert [word for word in words if word not in str(caught.value)] == []


def test_every_word_of_the_vocabulary_is_a_step() -> None:
    for name in vocabulary():
        assert isinstance(getattr(plait, name), type)
        assert issubclass(getattr(plait, name), Step)


@pytest.fixture
def recipe(tiny_table: Path) -> Composite:
    table = plait.StaticTable(str(tiny_table))
    return ((table | plait.SifPool(a=0.1) | plait.Center()) + (table | plait.MaxPool())).fit(SENTENCES)


def test_saved_and_loaded_gives_the_same_bytes(recipe: Composite, tmp_path: Path) -> None:
    folder = plait.save(recipe, tmp_path / "model", {"test": 0.5})
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "model.safetensors",
        "plait.json",
        "recipe.txt",
    ]
    assert (folder / "recipe.txt").read_text(encoding="utf-8") == f"{recipe}\n"
    assert "| test | 0.5 |" in (folder / "README.md").read_text(encoding="utf-8")
    loaded = plait.load(folder)
    assert loaded.encode(SENTENCES).values.tobytes() == recipe.encode(SENTENCES).values.tobytes()


def test_load_takes_text_too() -> None:
    assert str(plait.load(PLAIN)) == PLAIN
    with pytest.raises(RecipeError, match="no folder and no recipe"):
        plait.load("/nowhere/at/all")


def test_a_folder_may_have_any_name(recipe: Composite, tmp_path: Path) -> None:
    folder = plait.save(recipe, tmp_path / "model (copy) ü")
    assert plait.load(folder).fingerprint == recipe.fingerprint
    assert str(plait.load(" + ".join([f"({PLAIN})"] * 40))).count("MeanPool") == 40


@pytest.mark.parametrize("name", ["recipe.txt", "model.safetensors", "plait.json"])
def test_a_missing_file_is_named(recipe: Composite, tmp_path: Path, name: str) -> None:
    folder = plait.save(recipe, tmp_path / "model")
    (folder / name).unlink()
    with pytest.raises(RecipeError, match=name):
        plait.load(folder)


@pytest.mark.parametrize("name", ["recipe.txt", "model.safetensors", "plait.json"])
@pytest.mark.parametrize("damage", [b"", b"\xff\xfe\x00", b"{}", b"[1]"])
def test_a_damaged_file_is_refused(recipe: Composite, tmp_path: Path, name: str, damage: bytes) -> None:
    folder = plait.save(recipe, tmp_path / "model")
    (folder / name).write_bytes(damage)
    with pytest.raises(PlaitError):
        plait.load(folder)


def test_an_edited_recipe_is_refused(recipe: Composite, tmp_path: Path) -> None:
    folder = plait.save(recipe, tmp_path / "model")
    (folder / "recipe.txt").write_text(f"2 * {recipe}\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="fingerprint"):
        plait.load(folder)


def test_changed_weights_are_refused(tmp_path: Path, tiny_table: Path) -> None:
    from safetensors.numpy import load_file, save_file

    table = tmp_path / "table"
    table.mkdir()
    for file in tiny_table.iterdir():
        (table / file.name).write_bytes(file.read_bytes())
    folder = plait.save(plait.StaticTable(str(table)) | plait.MeanPool(), tmp_path / "model")
    plait.load(folder)
    arrays = load_file(table / "model.safetensors")
    arrays["embeddings"] *= np.float32(1.5)
    save_file(arrays, table / "model.safetensors")
    with pytest.raises(RecipeError, match="other weights"):
        plait.load(folder)


def test_a_foreign_folder_is_not_overwritten(recipe: Composite, tmp_path: Path) -> None:
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.txt").write_text("years of work")
    with pytest.raises(RecipeError, match="holds no saved recipe"):
        plait.save(recipe, folder)
    assert [path.name for path in folder.iterdir()] == ["chapter.txt"]


def test_a_file_in_the_way_is_refused(recipe: Composite, tmp_path: Path) -> None:
    (tmp_path / "model").write_text("something else")
    with pytest.raises(RecipeError, match="model"):
        plait.save(recipe, tmp_path / "model")


def test_an_older_recipe_is_replaced(recipe: Composite, tmp_path: Path, tiny_table: Path) -> None:
    plait.save(plait.StaticTable(str(tiny_table)) | plait.MeanPool(), tmp_path / "model")
    assert str(plait.load(plait.save(recipe, tmp_path / "model"))) == str(recipe)


def test_what_a_killed_save_left_is_ignored(recipe: Composite, tmp_path: Path) -> None:
    part = tmp_path / "model.part"
    part.mkdir()
    (part / "recipe.txt").write_text("half a rec")
    folder = plait.save(recipe, tmp_path / "model")
    assert not part.exists()
    assert plait.load(folder).fingerprint == recipe.fingerprint


def test_a_failed_save_leaves_the_old_one(recipe: Composite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = plait.save(recipe, tmp_path / "model")

    def full(*args: object, **kwargs: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="space"):
        plait.save(recipe, folder)
    monkeypatch.undo()
    assert plait.load(folder).fingerprint == recipe.fingerprint


def test_saved_files_hold_no_more_than_they_say(recipe: Composite, tmp_path: Path) -> None:
    folder = plait.save(recipe, tmp_path / "model")
    assert set(json.loads((folder / "plait.json").read_text())) == {"format", "fingerprint", "arrays"}
