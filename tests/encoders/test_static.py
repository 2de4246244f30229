"""`StaticTable` against the libraries that the tables come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.base import clone

from plait.encoders.static import StaticTable
from plait.pooling import MeanPool
from plait.types import DataError, Floats, ModelError, RecipeError, TableStates
from tests.tiny import SENTENCES, wordpiece

TEXTS = [
    *SENTENCES,
    "Ünïcödé  [UNK] zzz ünknown \u2603",
    "two  spaces\nand a line",
    "日本語のテキスト",
    " <s> odd </s>",
    "x" * 300,
]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAIT_CACHE", str(tmp_path / "cache"))


def folder(tmp_path: Path, **tensors: np.ndarray) -> Path:
    """A folder with a WordPiece tokenizer and these tensors."""
    path = tmp_path / "table"
    path.mkdir(exist_ok=True)
    wordpiece().save(str(path / "tokenizer.json"))
    save_file(tensors, path / "model.safetensors")
    return path


def table(width: int = 8, rows: int | None = None) -> Floats:
    return np.random.default_rng(0).normal(size=(rows or wordpiece().get_vocab_size(), width)).astype(np.float32)


def cosines(a: Floats, b: Floats) -> Floats:
    return np.einsum("ij,ij->i", a, b) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def test_wordllama_gives_its_own_vectors() -> None:
    wordllama = pytest.importorskip("wordllama")
    home = Path(wordllama.__file__).parent
    peer = wordllama.WordLlama.load(config="l2_supercat", dim=256, disable_download=True, cache_dir=home)
    texts = [text for text in TEXTS if text]
    got = (StaticTable("wordllama") | MeanPool()).encode(texts).values
    assert np.allclose(got, peer.embed(texts), atol=1e-5)
    assert cosines(got, peer.embed(texts, norm=True)).min() > 0.9999


@pytest.mark.parametrize("form", ["plain", "weights", "shared rows"])
def test_model2vec_gives_its_own_vectors(tmp_path: Path, form: str) -> None:
    model2vec = pytest.importorskip("model2vec")
    rng, size = np.random.default_rng(1), wordpiece().get_vocab_size()
    vectors = table(rows=20 if form == "shared rows" else size)
    weights = None if form == "plain" else rng.random(size).astype(np.float32)
    mapping = rng.integers(0, 20, size) if form == "shared rows" else None
    peer = model2vec.StaticModel(vectors, wordpiece(), weights=weights, token_mapping=mapping)
    peer.save_pretrained(tmp_path / "m2v")
    recipe = StaticTable(str(tmp_path / "m2v")) | MeanPool()
    assert np.allclose(recipe.encode(TEXTS).values, peer.encode(TEXTS), atol=1e-5)
    sequences = peer.encode_as_sequence(TEXTS)
    tokens = recipe.steps[0].tokenize(TEXTS)
    states = recipe.steps[0].states(tokens, (0,)).layer(0)[tokens.index]
    assert np.allclose(states, np.concatenate(sequences), atol=1e-6)


@pytest.mark.slow
def test_sentence_transformers_gives_its_own_vectors(tmp_path: Path) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    module = StaticEmbedding(wordpiece(), embedding_weights=table())
    peer = sentence_transformers.SentenceTransformer(modules=[module], device="cpu")
    peer.save(str(tmp_path / "st"))
    got = (StaticTable(str(tmp_path / "st")) | MeanPool()).encode(TEXTS).values
    assert np.allclose(got, peer.encode(TEXTS), atol=1e-5)


def test_a_sentence_transformers_table_pools_unknown_tokens_too(tmp_path: Path) -> None:
    nested = tmp_path / "st" / "0_StaticEmbedding"
    nested.mkdir(parents=True)
    vectors = table()
    for file in folder(tmp_path, **{"embedding.weight": vectors}).iterdir():
        file.rename(nested / file.name)
    got = (StaticTable(str(tmp_path / "st")) | MeanPool()).encode(["dogs \u2603", "\u2603"]).values
    ids = wordpiece().encode("dogs \u2603", add_special_tokens=False).ids
    assert ids[-1] == wordpiece().token_to_id("[UNK]")
    assert np.allclose(got, [vectors[ids].mean(axis=0), vectors[ids[-1]]], atol=1e-6)


def test_any_table_with_as_many_rows_as_tokens(tmp_path: Path) -> None:
    vectors = table()
    path = folder(tmp_path, **{"wte.weight": vectors, "positions": table(rows=5), "bias": np.ones(3, np.float32)})
    tokens = StaticTable(str(path)).tokenize(["a word"])
    states = StaticTable(str(path)).states(tokens, (0,))
    assert isinstance(states, TableStates)
    assert np.array_equal(states.layer(0), vectors[tokens.ids])


def test_of_several_tables_one_must_be_named(tmp_path: Path) -> None:
    path = folder(tmp_path, first=table(), second=table(4))
    with pytest.raises(ModelError, match=r"tensor=.*first \[.*second \["):
        StaticTable(str(path)).width  # noqa: B018
    assert StaticTable(str(path), tensor="second").width == 4
    with pytest.raises(ModelError, match="no two-dimensional tensor 'third'"):
        StaticTable(str(path), tensor="third").width  # noqa: B018


def test_words_are_units() -> None:
    step = StaticTable("wordllama")
    items = [("The", "untokenisable", "cat"), (), ("sat",)]
    tokens = step.tokenize(items)
    assert tokens.units.tolist() == [0, 3, 3, 4]
    vectors = (step | MeanPool()).encode(items)
    alone = (step | MeanPool()).encode(["The", "untokenisable", "cat", "sat"])
    assert np.array_equal(vectors.values, alone.values)
    joined = step.tokenize(["The untokenisable cat"])
    assert tokens.ids[: tokens.offsets[1]].tolist() == joined.ids.tolist()


def test_max_length_cuts_and_counts(tmp_path: Path) -> None:
    step = StaticTable("wordllama", max_length=3)
    texts = ["one two three four five", "one", "", "one two three"]
    whole, tokens = StaticTable("wordllama").tokenize(texts), step.tokenize(texts)
    assert tokens.cut.tolist() == np.maximum(whole.lengths - 3, 0).tolist()
    assert tokens.lengths.tolist() == np.minimum(whole.lengths, 3).tolist()
    words = step.tokenize([tuple(text.split()) for text in texts])
    assert words.ids.tolist() == tokens.ids.tolist()
    assert np.diff(words.bounds).tolist() == [1, 1, 1, 0, 0, 1, 1, 1, 1]


def test_lowercase() -> None:
    plain, lower = StaticTable("wordllama"), StaticTable("wordllama", lowercase=True)
    assert lower.tokenize(["THE Cat"]).ids.tolist() == plain.tokenize(["the cat"]).ids.tolist()
    assert plain.tokenize(["THE Cat"]).ids.tolist() != plain.tokenize(["the cat"]).ids.tolist()


def test_order_and_company_change_nothing() -> None:
    recipe = StaticTable("wordllama") | MeanPool()
    forward, backward = recipe.encode(TEXTS).values, recipe.encode(TEXTS[::-1]).values[::-1]
    alone = np.concatenate([recipe.encode([text]).values for text in TEXTS])
    assert np.array_equal(forward, backward)
    assert np.allclose(forward, alone, atol=1e-6)


def test_no_items() -> None:
    assert (StaticTable("wordllama") | MeanPool()).encode([]).values.shape == (0, 256)


def test_it_is_an_estimator() -> None:
    step = StaticTable("wordllama", lowercase=True)
    assert clone(step).get_params() == step.get_params()
    assert (step.depth, step.width, step.nbytes) == (0, 256, 32000 * 256 * 4)


def test_the_fingerprint_follows_the_weights(tmp_path: Path) -> None:
    path = folder(tmp_path, embeddings=table())
    before = StaticTable(str(path)).fingerprint
    assert StaticTable(str(path)).fingerprint == before
    folder(tmp_path, embeddings=table() + 1)
    assert StaticTable(str(path)).fingerprint != before
    assert StaticTable(str(path), max_length=4).fingerprint != StaticTable(str(path)).fingerprint


def test_faults(tmp_path: Path) -> None:
    path = folder(tmp_path, embeddings=table())
    data = (path / "model.safetensors").read_bytes()
    (path / "model.safetensors").write_bytes(data[:-100])
    with pytest.raises(ModelError, match="fetch it again"):
        StaticTable(str(path)).width  # noqa: B018
    folder(tmp_path, embeddings=table(rows=7))
    with pytest.raises(ModelError, match=r"7 rows, but .* ids up to"):
        StaticTable(str(path)).width  # noqa: B018
    folder(tmp_path, embeddings=table(rows=7), mapping=np.full(wordpiece().get_vocab_size(), 7))
    with pytest.raises(ModelError, match="mapping points outside the 7 rows"):
        StaticTable(str(path)).width  # noqa: B018
    (path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot read the tokenizer"):
        StaticTable(str(path)).width  # noqa: B018
    (path / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"no tokenizer beside it: expected .*tokenizer.json"):
        StaticTable(str(path)).width  # noqa: B018
    with pytest.raises(ModelError, match="no model at"):
        StaticTable(str(tmp_path / "gone")).width  # noqa: B018


def test_wrong_questions() -> None:
    step = StaticTable("wordllama")
    with pytest.raises(ModelError, match="layer 0 only"):
        step.states(step.tokenize(["a"]), (0, 1))
    with pytest.raises(RecipeError, match="max_length is 0"):
        StaticTable("wordllama", max_length=0).tokenize(["a"])
    with pytest.raises(DataError, match="item 1 is int"):
        step.tokenize(["a", 3])  # type: ignore[list-item]
    with pytest.raises(DataError, match="item 1 is tuple"):
        step.tokenize(["a", ("b",)])
    with pytest.raises(DataError, match="item 1 is str"):
        step.tokenize([("a",), "b"])
    with pytest.raises(DataError, match="item 0 holds int"):
        step.tokenize([("a", 3)])  # type: ignore[list-item]


def test_a_row_of_nan_is_a_zero_vector(tmp_path: Path) -> None:
    vectors = table()
    word = wordpiece().encode("word").ids
    vectors[word[0]] = np.nan
    path = folder(tmp_path, embeddings=vectors)
    with pytest.warns(UserWarning, match="1 of"):
        tokens = StaticTable(str(path)).tokenize(["word"])
    assert np.isfinite(StaticTable(str(path)).states(tokens, (0,)).layer(0)).all()
    assert load_file(path / "model.safetensors")["embeddings"].shape == vectors.shape


@pytest.mark.slow
def test_batches_are_twice_as_fast_as_model2vec(tmp_path: Path) -> None:
    import time

    from plait import plan

    model2vec = pytest.importorskip("model2vec")
    peer = model2vec.StaticModel(table(), wordpiece())
    peer.save_pretrained(tmp_path / "m2v")
    rng = np.random.default_rng(0)
    words = np.array(" ".join(SENTENCES).split())
    texts = [" ".join(rng.choice(words, rng.integers(4, 20))) for _ in range(20_000)]
    recipe = StaticTable(str(tmp_path / "m2v")) | MeanPool()
    recipe.encode(["load"])

    def seconds(run: object) -> float:
        start = time.process_time()
        run()  # type: ignore[operator]
        return time.process_time() - start

    ours = min(seconds(lambda: plan.run(recipe.strands(), texts)) for _ in range(3))
    theirs = min(seconds(lambda: peer.encode(texts, use_multiprocessing=False)) for _ in range(2))
    assert theirs > 2 * ours
