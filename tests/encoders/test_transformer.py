"""Hosts against transformers and sentence-transformers themselves."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

import plait
from plait.encoders.hosts import Host, read_card
from plait.encoders.interventions import intervene, scaled_queries
from plait.encoders.weights import find_weights
from plait.roles import Pooling
from plait.types import DataError, ModelError, RecipeError
from tests.tiny import SENTENCES

TEXTS = [text for text in SENTENCES if text]
WORDS = ("Cats", "and", "unbelievably", "dogs", "!", "co-operate")


@pytest.fixture
def encoder(tiny_bert: Path) -> plait.Transformer:
    return plait.Transformer(str(tiny_bert))


@pytest.fixture(scope="module")
def peer(tiny_bert: Path) -> Iterator[tuple[torch.nn.Module, transformers.PreTrainedTokenizerFast]]:
    """The same model as transformers loads it."""
    model = transformers.AutoModel.from_pretrained(tiny_bert).eval()
    with torch.inference_mode():
        yield model, transformers.AutoTokenizer.from_pretrained(tiny_bert)


@pytest.fixture
def own(tiny_bert: Path, tmp_path: Path) -> Path:
    """A copy of the model that a test may change."""
    return Path(shutil.copytree(tiny_bert, tmp_path / "own"))


def test_every_layer_is_that_of_transformers(
    encoder: plait.Transformer, peer: tuple[torch.nn.Module, transformers.PreTrainedTokenizerFast]
) -> None:
    model, tokenizer = peer
    for text in TEXTS:
        inputs = tokenizer(text, return_tensors="pt")
        expected = model(**inputs, output_hidden_states=True).hidden_states
        states = encoder.transform([text])
        assert states.tokens.ids.tolist() == inputs["input_ids"][0].tolist()
        assert states.layers == (0, 1, 2, 3)
        for layer, plane in enumerate(expected):
            np.testing.assert_allclose(states.layer(layer), plane[0].numpy(), atol=2e-6)


@pytest.mark.parametrize(
    ("pooling", "mode"), [(plait.MeanPool(), "mean"), (plait.ClsPool(), "cls"), (plait.MaxPool(), "max")]
)
def test_vectors_are_those_of_sentence_transformers(
    encoder: plait.Transformer, tiny_bert: Path, pooling: Pooling, mode: str
) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling as PeerPooling
    from sentence_transformers.models import Transformer as PeerTransformer

    body = PeerTransformer(str(tiny_bert))
    peer = SentenceTransformer(modules=[body, PeerPooling(32, mode)], device="cpu")
    expected = peer.encode(SENTENCES, batch_size=4, show_progress_bar=False)
    np.testing.assert_allclose((encoder | pooling).encode(SENTENCES).values, expected, atol=3e-6)


def calls_of(encoder: plait.Transformer, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the blocks that run from now on."""
    ran: list[int] = []
    for number, block in enumerate(encoder.host.blocks, 1):
        forward = block.forward
        monkeypatch.setattr(
            block, "forward", lambda *a, n=number, f=forward, **kw: (ran.append(n), f(*a, **kw))[1], raising=True
        )
    return ran


@pytest.mark.parametrize(("layers", "expected"), [((0,), []), ((1,), [1]), ((0, 2), [1, 2]), ((1, 3), [1, 2, 3])])
def test_blocks_above_the_deepest_layer_are_not_run(
    encoder: plait.Transformer, monkeypatch: pytest.MonkeyPatch, layers: tuple[int, ...], expected: list[int]
) -> None:
    tokens = encoder.tokenize(TEXTS)
    ran = calls_of(encoder, monkeypatch)
    states = encoder.states(tokens, layers)
    assert ran == expected
    assert states.layers == layers
    assert not any(block._forward_hooks for block in encoder.host.blocks)


def test_words_own_the_tokens_that_the_tokenizer_says(encoder: plait.Transformer, tiny_bert: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_bert)
    tokens = encoder.tokenize([WORDS, ("Rain",)])
    encoding = tokenizer(list(WORDS), is_split_into_words=True)
    assert tokens.ids[: tokens.offsets[1]].tolist() == encoding["input_ids"]
    owned = [tokens.index[a:b].tolist() for a, b in zip(tokens.bounds, tokens.bounds[1:], strict=False)]
    for word in range(len(WORDS)):
        assert owned[word] == [place for place, number in enumerate(encoding.word_ids()) if number == word]
    assert tokens.units.tolist() == [0, len(WORDS), len(WORDS) + 1]


def test_words_beyond_the_limit_get_zeros_and_are_counted(tiny_bert: Path) -> None:
    encoder = plait.Transformer(str(tiny_bert), max_length=5)
    tokens = encoder.tokenize([("a", "b", "c", "d", "e")])
    assert tokens.cut.tolist() == [2]
    values = (encoder | plait.MeanPool()).encode([("a", "b", "c", "d", "e")]).values
    assert values.any(axis=1).tolist() == [True] * 3 + [False] * 2


def test_what_is_cut_is_counted(tiny_bert: Path) -> None:
    encoder = plait.Transformer(str(tiny_bert), max_length=6)
    tokens = encoder.tokenize(["a b c d e f", "a b c d", ""])
    assert tokens.lengths.tolist() == [6, 6, 2]
    assert tokens.cut.tolist() == [2, 0, 0]
    assert plait.Transformer(str(tiny_bert)).tokenize(["a " * 100]).cut.tolist() == [100 - 62]


def test_overflow_can_be_an_error(tiny_bert: Path) -> None:
    encoder = plait.Transformer(str(tiny_bert), max_length=6, on_overflow="error")
    assert len(encoder.tokenize(["a b c d"])) == 1
    with pytest.raises(DataError, match=r"1 of 2 texts exceed 4 tokens \(text 1 by 1\).*on_overflow"):
        encoder.tokenize(["a b", "a b c d e"])


def test_overflow_can_be_read_in_windows(tiny_bert: Path) -> None:
    encoder = plait.Transformer(str(tiny_bert), max_length=6, on_overflow="chunk")
    letters = ["a", "b", "c", "d", "e", "f", "g", "h", "i"]
    tokens = encoder.tokenize([" ".join(letters), "a b"])
    assert tokens.cut.tolist() == [0, 0]
    assert tokens.lengths.tolist() == [6 + 6 + 3, 4]
    plain = plait.Transformer(str(tiny_bert), max_length=6) | plait.MeanPool()
    windows = plain.encode(["a b c d", "e f g h", "i"]).values
    expected = (windows * np.array([[6], [6], [3]])).sum(axis=0) / 15
    found = (encoder | plait.MeanPool()).encode([" ".join(letters), "a b"]).values
    np.testing.assert_allclose(found, np.stack([expected, plain.encode(["a b"]).values[0]]), atol=1e-5)


def test_words_beyond_the_limit_are_pooled_in_their_own_window(tiny_bert: Path) -> None:
    words = ("a", "b", "c", "d", "e", "f")
    chunked = plait.Transformer(str(tiny_bert), max_length=6, on_overflow="chunk") | plait.MeanPool()
    plain = plait.Transformer(str(tiny_bert), max_length=6) | plait.MeanPool()
    expected = np.vstack([plain.encode([words[:4]]).values, plain.encode([words[4:]]).values])
    np.testing.assert_allclose(chunked.encode([words]).values, expected, atol=1e-5)
    assert not plain.encode([words]).values[4:].any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_length": 2}, "leaves no room"),
        ({"max_length": 100_000}, "positions for 64 tokens"),
        ({"on_overflow": "panic"}, "on_overflow"),
        ({"prompts": "query: "}, "no place for the text"),
        ({"prompts": "ekko"}, 'did you mean "echo"'),
        ({"prompts": "{text} {word}"}, r"names are text, eos, blank"),
        ({"prompts": "{text"}, "cannot be read"),
        ({"prompts": "a " * 100 + "{text}."}, "leaves no room"),
    ],
)
def test_wrong_settings_are_refused(tiny_bert: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises((RecipeError, ModelError), match=message):
        (plait.Transformer(str(tiny_bert), **settings) | plait.MeanPool()).encode(["a text", "a " * 100])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "items",
    [[None], [3], ["a text", None], ["a text", ("a", "word")], [("a", "word"), "text"], [("a", 3)], [["a", "word"]]],
)
def test_items_that_are_no_text_are_named(encoder: plait.Transformer, items: list[object]) -> None:
    with pytest.raises(DataError, match=r"item \d"):
        (encoder | plait.MeanPool()).encode(items)  # type: ignore[arg-type]


def test_prompts_go_in_front_by_role(tiny_bert: Path) -> None:
    prompts = {"query": "find the ", "document": "a text: "}
    recipe = plait.Transformer(str(tiny_bert), prompts=prompts) | plait.MeanPool()
    plain = plait.Transformer(str(tiny_bert)) | plait.MeanPool()
    for role, prompt in prompts.items():
        expected = plain.encode([prompt + text for text in TEXTS]).values
        np.testing.assert_array_equal(recipe.encode(TEXTS, role=role).values, expected)
    assert recipe.fingerprint != plain.fingerprint


def test_words_have_their_own_tokens_within_a_prompt(tiny_bert: Path) -> None:
    plain = plait.Transformer(str(tiny_bert))
    prompted = plait.Transformer(str(tiny_bert), prompts={"document": "a text: "}).asked("document")
    items = [("Cats", "and", "dogs"), ("Rain",)]
    for encoder in (plain, prompted):
        tokens = encoder.tokenize(items)
        words = [
            tokens.ids[tokens.index[start:end]].tolist() for start, end in itertools.pairwise(tokens.bounds.tolist())
        ]
        backend = encoder.host.tokenizer
        assert words == [backend(word, add_special_tokens=False).input_ids for item in items for word in item]
    assert (prompted | plait.MeanPool()).encode([]).values.shape == (0, 32)


def test_positions_that_padding_takes_are_not_for_tokens(tiny_bert: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "roberta"))
    config = transformers.RobertaConfig(
        vocab_size=256,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=34,
        pad_token_id=1,
    )
    transformers.RobertaModel(config).save_pretrained(folder)
    encoder = plait.Transformer(str(folder))
    assert encoder.host.positions == 32
    assert encoder.transform(["a " * 100]).tokens.lengths.tolist() == [32]


def test_prompts_and_pooling_of_a_checkpoint_are_read(own: Path) -> None:
    (own / "modules.json").write_text(
        '[{"type": "x.Transformer", "path": ""}, {"type": "x.Pooling", "path": "1_Pooling"}]'
    )
    (own / "1_Pooling").mkdir()
    (own / "1_Pooling" / "config.json").write_text(
        '{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}'
    )
    (own / "config_sentence_transformers.json").write_text('{"prompts": {"query": "find: "}}')
    (own / "sentence_bert_config.json").write_text('{"max_seq_length": 16}')
    (own / "README.md").write_text("---\nlicense: mit\n---\n")
    card = read_card(own)
    assert (card.pooling, dict(card.prompts), card.max_length, card.licence) == ("cls", {"query": "find: "}, 16, "mit")
    encoder = plait.Transformer(str(own), prompts="checkpoint")
    assert encoder.asked("query").prompts == "find: {text}"
    assert encoder.asked("document").prompts is None
    assert encoder.tokenize(["a " * 50]).lengths.tolist() == [16]


def test_odd_texts(encoder: plait.Transformer) -> None:
    recipe = encoder | plait.MeanPool()
    values = recipe.encode(["\ud800 surrogate", "? surrogate", "", "\x00", "a" * 1_000_000, "a b " * 250_000]).values
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(values[0], values[1])
    assert values[2].any()  # the specials are there


def test_a_changed_layer_reaches_those_above(encoder: plait.Transformer) -> None:
    tokens = encoder.tokenize(TEXTS)
    plain = encoder.states(tokens, (0, 1, 2, 3)).values
    with intervene(encoder.host, {2: lambda hidden, batch: hidden * 0 + 1}):
        changed = encoder.states(tokens, (0, 1, 2, 3)).values
    np.testing.assert_array_equal(changed[:2], plain[:2])
    np.testing.assert_array_equal(changed[2], np.ones_like(plain[2]))
    assert not np.allclose(changed[3], plain[3])
    np.testing.assert_array_equal(encoder.states(tokens, (0, 1, 2, 3)).values, plain)
    with (
        pytest.raises(ModelError, match=r"layers 0 to 3; cannot change \[4\]"),
        intervene(encoder.host, {4: lambda hidden, batch: hidden}),
    ):
        pass


def attention(block: torch.nn.Module, hidden: torch.Tensor, factor: float) -> torch.Tensor:
    """BERT's self-attention by its formula, softmax(factor · QKᵀ / √d) V, before the output projection."""
    own = block.attention.self

    def heads(layer: torch.nn.Module) -> torch.Tensor:
        return layer(hidden).view(1, hidden.shape[1], 4, 8).transpose(1, 2)

    query, key, value = heads(own.query), heads(own.key), heads(own.value)
    weights = torch.softmax(factor * query @ key.transpose(-1, -2) / 8**0.5, dim=-1)
    return (weights @ value).transpose(1, 2).reshape(1, hidden.shape[1], 32)


@pytest.mark.parametrize("factor", [1.0, 2.5, 0.3])
def test_scaled_queries_are_a_factor_in_the_softmax(tiny_bert: Path, factor: float) -> None:
    model = Host(find_weights(str(tiny_bert)), "float32")
    ids = np.array([[2, 10, 11, 12, 13, 3]])
    block = model.blocks[0]
    with torch.inference_mode():
        hidden = torch.from_numpy(model.states(ids, None, (0,))[0])
        context = attention(block, hidden, factor)
        attended = block.attention.output(context, hidden)
        expected = block.output(block.intermediate(attended), attended)
    plain = model.states(ids, None, (1,))[0]
    with scaled_queries(model, factor):
        found = model.states(ids, None, (1,))[0]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
    assert (found.tobytes() == plain.tobytes()) == (factor == 1.0)


def test_scaled_queries_reach_the_chosen_blocks_only(tiny_bert: Path) -> None:
    model = Host(find_weights(str(tiny_bert)), "float32")
    ids = np.array([[2, 10, 11, 12, 3]])
    plain = model.states(ids, None, (1, 2, 3))
    with scaled_queries(model, 3.0, slice(1, None)):
        found = model.states(ids, None, (1, 2, 3))
    np.testing.assert_array_equal(found[0], plain[0])
    assert not np.allclose(found[1], plain[1])


def test_a_decoders_first_token_is_never_pooled(tiny_decoder: Path) -> None:
    encoder = plait.Transformer(str(tiny_decoder))
    assert encoder.host.is_decoder
    states = encoder.transform(["the cat", ""])
    assert states.tokens.ids[0] == 0
    assert 0 not in states.tokens.index
    values = (encoder | plait.MeanPool()).encode(["the cat", ""]).values
    first, last = states.tokens.offsets[:2]
    np.testing.assert_allclose(values[0], states.values[-1, first + 1 : last].mean(axis=0), atol=1e-5)
    assert not values[1].any()


def test_a_decoder_gives_what_transformers_gives(tiny_decoder: Path) -> None:
    model = transformers.AutoModel.from_pretrained(tiny_decoder, dtype=torch.float32).eval()
    states = plait.Transformer(str(tiny_decoder)).transform(["the cat sat", "on"])
    with torch.inference_mode():
        for number in range(2):
            start, stop = states.tokens.offsets[number : number + 2]
            ids = torch.from_numpy(states.tokens.ids[start:stop].astype(np.int64))[None]
            hidden = model(input_ids=ids, output_hidden_states=True).hidden_states
            for layer in range(4):
                np.testing.assert_allclose(states.layer(layer)[start:stop], hidden[layer][0].numpy(), atol=1e-5)


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        plait.Transformer(str(tmp_path / "nowhere")).tokenize(["a"])


def test_a_cut_off_weights_file_is_refused(own: Path) -> None:
    weights = own / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        plait.Transformer(str(own)).tokenize(["a"])


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_damaged_file_is_refused(own: Path, file: str, content: str) -> None:
    (own / file).write_text(content)
    with pytest.raises(ModelError, match="cannot load"):
        plait.Transformer(str(own)).tokenize(["a"])


@pytest.mark.parametrize("revision", [None, "main", "v1.0", "0" * 39, "g" * 40])
def test_foreign_code_needs_a_whole_revision(tiny_bert: Path, revision: str | None) -> None:
    with pytest.raises(ModelError, match="40-hex revision"):
        plait.Transformer(str(tiny_bert), revision=revision, remote_code=True).tokenize(["a"])


def test_an_unknown_dtype_is_refused(tiny_bert: Path) -> None:
    with pytest.raises(ModelError, match="dtype is 'float8'; expected one of float32"):
        plait.Transformer(str(tiny_bert), dtype="float8").tokenize(["a"])


def test_bfloat16_is_near_and_has_another_fingerprint(tiny_bert: Path) -> None:
    full, half = (plait.Transformer(str(tiny_bert), dtype=d) | plait.MeanPool() for d in ("float32", "bfloat16"))
    a, b = full.encode(TEXTS).values, half.encode(TEXTS).values
    assert b.dtype == np.float32
    assert not np.array_equal(a, b)
    assert ((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min() > 0.999
    assert full.fingerprint != half.fingerprint


def test_equal_steps_share_a_host(tiny_bert: Path) -> None:
    assert plait.Transformer(str(tiny_bert)).host is plait.Transformer(str(tiny_bert), max_length=8).host


@pytest.mark.slow
def test_a_real_model_gives_what_sentence_transformers_gives() -> None:
    from sentence_transformers import SentenceTransformer

    folder = find_weights("all-MiniLM-L6-v2").folder
    assert folder is not None
    texts = [text for text in plait.read("demo:stsb").documents if isinstance(text, str)][:20]
    expected = SentenceTransformer(str(folder), device="cpu").encode(texts, show_progress_bar=False)
    values = (plait.Transformer("all-MiniLM-L6-v2") | plait.MeanPool() | plait.Normalize()).encode(texts).values
    assert (values * expected).sum(axis=1).min() >= 0.9999


def test_a_folder_with_new_weights_is_read_anew_and_shared_until_then(own: Path) -> None:
    encoder = plait.Transformer(str(own))
    before, host = (encoder | plait.MeanPool()).encode(["a text"]).values, encoder.host
    assert plait.Transformer(str(own), max_length=12).host is host
    changed = transformers.AutoModel.from_pretrained(own)
    with torch.no_grad():
        changed.encoder.layer[0].output.dense.weight.mul_(-1.0)
    changed.save_pretrained(own)
    assert encoder.host is not host
    assert not np.allclose((encoder | plait.MeanPool()).encode(["a text"]).values, before)
