"""What holds for every encoder, and for what stands between it and a pooling."""

from __future__ import annotations

import numpy as np
import pytest

import plait
from plait import plan
from plait.chunks import cuts
from plait.roles import Encoder, HostStep, LayerMix, Pooling
from plait.training.learned import Learned
from plait.types import RecipeError, States, Tokens
from tests.contracts.makers import Places
from tests.tiny import SENTENCES

WORDS = [("Cats", "and", "dogs"), ("Rain",), (), ("unbelievably", "long-winded", "words", "!")]


def vectors(encoder: Encoder, texts: list[str], pool: Pooling | None = None) -> np.ndarray:
    return np.asarray((encoder | (pool or plait.MeanPool())).encode(texts).values)


def test_one_vector_a_text_of_the_width_it_says(encoder: Encoder) -> None:
    out = vectors(encoder, SENTENCES)
    assert out.dtype == np.float32
    assert out.shape == (len(SENTENCES), encoder.width)
    assert np.isfinite(out).all()
    assert encoder.nbytes > 0
    assert encoder.depth >= 0


def test_states_hold_every_token_of_every_layer(encoder: Encoder) -> None:
    tokens = encoder.tokenize([text for text in SENTENCES if text])
    layers = tuple(range(encoder.depth + 1))
    states = encoder.states(tokens, layers)
    assert states.values.shape == (len(layers), len(tokens.ids), encoder.width)
    for layer in layers:
        alone = encoder.states(tokens, (layer,))
        np.testing.assert_allclose(alone.layer(layer), states.layer(layer), atol=1e-6)


def test_tokens_are_whole(encoder: Encoder) -> None:
    tokens = encoder.tokenize(SENTENCES)
    assert len(tokens) == len(SENTENCES)
    assert tokens.offsets[-1] == len(tokens.ids)
    assert tokens.bounds[-1] == len(tokens.index)
    assert tokens.units.tolist() == list(range(len(SENTENCES) + 1))
    owners = np.searchsorted(tokens.offsets, tokens.index, side="right") - 1
    assert owners.tolist() == np.repeat(np.arange(len(SENTENCES)), np.diff(tokens.bounds)).tolist()


def test_order_does_not_matter(encoder: Encoder) -> None:
    order = np.random.default_rng(0).permutation(len(SENTENCES))
    shuffled = vectors(encoder, [SENTENCES[i] for i in order])
    np.testing.assert_array_equal(shuffled, vectors(encoder, SENTENCES)[order])


@pytest.mark.parametrize("budget", [1, 37, 100_000])
def test_batch_and_padding_do_not_matter(encoder: Encoder, budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = np.concatenate([vectors(encoder, [text]) for text in SENTENCES])
    monkeypatch.setattr(type(encoder), "budget", budget)
    np.testing.assert_allclose(vectors(encoder, SENTENCES), expected, atol=2e-6)


def test_poolings_do_not_see_padding(encoder: Encoder, pooling: Pooling) -> None:
    short = ["Word", "A card"]
    if isinstance(pooling, Learned):
        pytest.skip("its weights are for another width; its own test shows it")
    if cuts(pooling) and isinstance(encoder, plait.StaticTable):
        pytest.skip("a table does not tell where its tokens stand")
    pooling.fit(encoder.tokenize(SENTENCES))
    long, expected = vectors(encoder, [*short, SENTENCES[2]], pooling), vectors(encoder, short, pooling)
    np.testing.assert_allclose(long[: len(expected)], expected, atol=2e-6)


def test_empty_and_blank_texts(encoder: Encoder) -> None:
    out = vectors(encoder, ["", "  \n\t ", "\u200b", "Word"])
    assert np.isfinite(out).all()
    np.testing.assert_array_equal(out[0], out[1])


def test_no_texts_give_no_vectors(encoder: Encoder) -> None:
    assert vectors(encoder, []).shape == (0, encoder.width)


def test_odd_characters(encoder: Encoder) -> None:
    out = vectors(encoder, ["\ud800 lone surrogate", "nul \x00 byte", "e\u0301 👩‍👩‍👧 漢字", "\U0010ffff"])
    assert np.isfinite(out).all()


def test_very_long_text_is_whole_or_counted(encoder: Encoder) -> None:
    text = "dogs over the fox " * 25_000
    tokens = encoder.tokenize([text, "Word"])
    assert tokens.cut[0] > 0 or len(tokens.ids) > 50_000
    assert tokens.cut[1] == 0
    assert np.isfinite(vectors(encoder, [text])).all()


def test_equal_texts_get_equal_vectors(encoder: Encoder) -> None:
    out = vectors(encoder, ["a fox", "the dog", "a fox"])
    assert out[0].tobytes() == out[2].tobytes()
    assert not np.allclose(out[0], out[1])


def test_words_get_a_vector_each(encoder: Encoder) -> None:
    out = (encoder | plait.MeanPool()).encode(WORDS)
    assert out.units is not None
    assert out.units.tolist() == [0, 3, 4, 4, 8]
    assert out.values.shape == (8, encoder.width)
    alone = (encoder | plait.MeanPool()).encode(WORDS[3:])
    np.testing.assert_allclose(out.values[4:], alone.values, atol=2e-6)


def test_tokenising_is_repeatable(encoder: Encoder) -> None:
    one, two = encoder.tokenize(SENTENCES), encoder.tokenize(SENTENCES)
    assert one.ids.dtype == np.int32
    assert one.ids.tobytes() == two.ids.tobytes()


def test_unknown_role_is_refused(encoder: Encoder) -> None:
    with pytest.raises(RecipeError, match="role"):
        encoder.asked("question")


def test_layer_mixes_are_linear_in_the_layers(layer_mix: LayerMix, places: Places) -> None:
    encoder = plait.Transformer(str(places.bert))
    mixed = (encoder | layer_mix | plait.MeanPool()).encode(SENTENCES).values
    single = [(encoder | plait.Layer(layer) | plait.MeanPool()).encode(SENTENCES).values for layer in range(4)]
    blocks = [sum(weight * single[layer] for layer, weight in mix) for _, mix in layer_mix.mixes(encoder.depth)]
    np.testing.assert_allclose(mixed, np.hstack(blocks), atol=1e-5)
    states = layer_mix.transform(encoder.transform(SENTENCES[:2]))
    assert states.values.shape[0] == 1
    np.testing.assert_allclose(plait.MeanPool().transform(states).values, mixed[:2], atol=1e-5)


def reader(places: Places) -> plait.Transformer:
    """An encoder whose prompt has all that a host step may ask for."""
    return plait.Transformer(str(places.bert), prompts="a {blank} {text}")


def test_host_steps_change_the_pass_and_leave_no_trace(host_step: HostStep, places: Places) -> None:
    plain = reader(places) | plait.MeanPool()
    before = plain.encode(SENTENCES).values
    changed = (reader(places) | host_step | plait.MeanPool()).encode(SENTENCES).values
    assert not np.allclose(before, changed)
    np.testing.assert_array_equal(plain.encode(SENTENCES).values, before)


def test_host_steps_name_an_encoder_that_has_no_such_inside(host_step: HostStep, places: Places) -> None:
    with pytest.raises(RecipeError, match="StaticTable"):
        (plait.StaticTable(str(places.table)) | host_step | plait.MeanPool()).encode(SENTENCES)


def test_one_pass_serves_every_pooling_and_layer(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    recipes = [encoder | plait.Layer(-1) | pool for pool in (plait.MeanPool(), plait.ClsPool(), plait.MaxPool())]
    states = type(encoder).states
    calls: list[int] = []

    def counted(self: Encoder, tokens: Tokens, layers: tuple[int, ...]) -> States:
        calls.append(len(tokens))
        return states(self, tokens, layers)

    monkeypatch.setattr(type(encoder), "states", counted)
    vectors_of, _ = plan.run([strand for recipe in recipes for strand in recipe.strands()], SENTENCES)
    assert len(calls) == len(plan.plan_batches(encoder.tokenize(SENTENCES), encoder.budget))
    for recipe in recipes:
        np.testing.assert_allclose(vectors_of[next(recipe.strands()).text], recipe.encode(SENTENCES).values, atol=2e-6)
