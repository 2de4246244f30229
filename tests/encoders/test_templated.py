"""Texts in templates: which tokens are pooled, what is cut, and what a causal model can see."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import plait
from plait.encoders.hosts import Host
from plait.encoders.interventions import attention_sees, reordered
from plait.encoders.transformer import SHORTEST_SHARED
from plait.encoders.windows import common_prefix
from plait.plan import run
from plait.prompting.presets import template
from plait.prompting.template import Template
from plait.types import DataError, RecipeError, Tokens
from tests.tiny import SENTENCES

ECHO = "Again: {text}, once more: {text:pool}"
ONE_WORD = 'This : "{text:sentence}" means:"'
TEXTS = [*SENTENCES, "Ümläute 🙂 and 日本", "  spaces  ", '"quoted"', "a\nb\tc", "?"]
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def reads(folder: Path, prompts: str, **options: object) -> plait.Transformer:
    return plait.Transformer(str(folder), prompts=prompts, **options)  # type: ignore[arg-type]


def decoded(encoder: plait.Transformer, ids: np.ndarray) -> str:
    return str(encoder.host.tokenizer.decode(ids.tolist(), clean_up_tokenization_spaces=False))


def pooled(encoder: plait.Transformer, tokens: Tokens) -> list[str]:
    """What each unit pools, as text."""
    return [decoded(encoder, tokens.ids[tokens.index[start:end]]) for start, end in pairwise(tokens.bounds)]


def whole(encoder: plait.Transformer, tokens: Tokens) -> list[str]:
    """What the model reads of each item, without its first token."""
    return [decoded(encoder, tokens.ids[start + 1 : end]) for start, end in pairwise(tokens.offsets)]


@pytest.mark.parametrize("prompts", ["classical", "echo", ECHO, "{text:pool} and again {text}", "{text}{text:pool}"])
def test_the_model_reads_the_template_and_pools_the_span(tiny_decoder: Path, prompts: str) -> None:
    encoder = reads(tiny_decoder, prompts)
    tokens = encoder.tokenize(TEXTS)
    assert whole(encoder, tokens) == [template(prompts).fill(text).whole for text in TEXTS]
    assert [text.strip() for text in pooled(encoder, tokens)] == [text.strip() for text in TEXTS]
    assert not tokens.cut.any()


def test_the_second_copy_is_pooled_and_not_the_first(tiny_decoder: Path) -> None:
    tokens = reads(tiny_decoder, ECHO).tokenize(["a quick fox"])
    assert tokens.index.min() > len(tokens.ids) // 2
    assert tokens.index.max() == len(tokens.ids) - 1


@FEW
@given(st.text(max_size=30))
def test_any_text_is_pooled_whole(tiny_decoder: Path, text: str) -> None:
    encoder = reads(tiny_decoder, ECHO)
    tokens = encoder.tokenize([text])
    clean = text.encode("utf-8", "replace").decode()
    (found,) = pooled(encoder, tokens)
    if not tokens.cut.any():
        assert found.strip() == clean.strip()
    assert 0 not in tokens.index


@FEW
@given(st.text(st.characters(codec="utf-8"), min_size=40, max_size=300), st.integers(40, 64))
def test_every_slot_loses_its_end_and_the_rest_stays(tiny_decoder: Path, text: str, limit: int) -> None:
    encoder = reads(tiny_decoder, ECHO, max_length=limit)
    tokens = encoder.tokenize([text])
    (read,) = whole(encoder, tokens)
    first, second = read.removeprefix("Again: ").rsplit(", once more: ", 1)
    assert read == Template.parse(ECHO).fill(second).whole
    assert first == second
    assert text.startswith(second)
    assert len(tokens.ids) <= limit
    assert (tokens.cut[0] > 0) == (second != text)
    assert pooled(encoder, tokens)[0].strip() == second.strip()


def test_as_much_is_kept_as_fits(tiny_decoder: Path) -> None:
    text = "Q" * 200  # one token a letter
    for limit in range(40, 64):
        encoder = reads(tiny_decoder, ECHO, max_length=limit)
        tokens = encoder.tokenize([text])
        own = len(encoder.tokenize([""]).ids)
        kept = (limit - own) // 2
        assert whole(encoder, tokens)[0] == Template.parse(ECHO).fill("Q" * kept).whole
        assert tokens.cut.tolist() == [200 - kept]


@pytest.mark.parametrize("text", ["word " * 50, "   " * 30 + "word " * 50, "why " * 50 + "?", "日本語" * 30])
def test_a_one_word_prompt_keeps_its_tail(tiny_decoder: Path, text: str) -> None:
    encoder = reads(tiny_decoder, ONE_WORD, max_length=48)
    tokens = encoder.tokenize([text])
    (read,) = whole(encoder, tokens)
    assert read.startswith('This : "') and read.endswith('." means:"')
    assert 40 <= len(tokens.ids) <= 48
    assert tokens.cut[0] > 0


def test_an_end_marker_has_a_slot_that_nothing_cuts(tiny_decoder: Path) -> None:
    encoder = reads(tiny_decoder, "Document: {text}\nAgain: {text:pool}{eos:pool}", max_length=40)
    end = encoder.host.tokenizer.eos_token_id
    tokens = encoder.tokenize(["a fox", "a fox " * 40])
    last = tokens.index[tokens.bounds[1:] - 1]
    assert tokens.ids[last].tolist() == [end, end]
    assert last.tolist() == (tokens.offsets[1:] - 1).tolist()


def test_a_text_too_long_can_be_an_error_and_never_comes_in_windows(tiny_decoder: Path) -> None:
    with pytest.raises(DataError, match="1 of 1 texts exceed 39 tokens"):
        reads(tiny_decoder, ECHO, max_length=40, on_overflow="error").tokenize(["a fox " * 40])
    with pytest.raises(RecipeError, match="cannot go with windows"):
        reads(tiny_decoder, ECHO, on_overflow="chunk").tokenize(["a fox"])
    with pytest.raises(RecipeError, match=r"2 places for the text leaves no room in 9 tokens"):
        reads(tiny_decoder, ECHO, max_length=10).tokenize(["a fox"])


@pytest.mark.parametrize(
    "prompts", ["classical", ECHO, 'Say "{text:pool}"!', "{text}: {text:pool},", '"{text:sentence}"']
)
def test_words_own_their_tokens_within_a_template(tiny_decoder: Path, prompts: str) -> None:
    encoder = reads(tiny_decoder, prompts)
    items = [("Cats", "and", "dogs"), ("Rain",), ("co-operate", "!", "é🙂")]
    tokens = encoder.tokenize(items)
    assert [text.strip() for text in pooled(encoder, tokens)] == [word for item in items for word in item]
    assert tokens.units.tolist() == [0, 3, 4, 7]


def test_words_are_pooled_in_every_slot_that_is(tiny_decoder: Path) -> None:
    encoder = reads(tiny_decoder, "{text:pool} and {text:pool}")
    assert pooled(encoder, encoder.tokenize([("Cats", "dogs")])) == ["CatsCats", " dogs dogs"]


def test_the_first_pooled_token_knows_the_last_word_only_in_the_second_copy(tiny_decoder: Path) -> None:
    versions = ["cats and dogs", "cats and dots"]
    moved = {}
    for prompts in ("classical", "echo"):
        encoder = reads(tiny_decoder, prompts)
        tokens = [encoder.tokenize([text]) for text in versions]
        assert tokens[0].lengths == tokens[1].lengths
        states = [encoder.states(t, (encoder.depth,)).values[0, t.index[0]] for t in tokens]
        moved[prompts] = float(np.abs(states[0] - states[1]).max())
    assert moved["classical"] == 0
    assert moved["echo"] > 1e-4


def test_prompts_by_role_may_be_templates(tiny_decoder: Path) -> None:
    by_role = plait.Transformer(str(tiny_decoder), prompts={"query": ECHO, "document": "classical"}) | plait.MeanPool()
    for role, prompts in (("query", ECHO), ("document", "classical")):
        expected = (reads(tiny_decoder, prompts) | plait.MeanPool()).encode(TEXTS).values
        np.testing.assert_array_equal(by_role.encode(TEXTS, role=role).values, expected)


def test_an_empty_text_has_nothing_to_pool_but_a_prompt_to_read(tiny_decoder: Path) -> None:
    assert not (reads(tiny_decoder, ECHO) | plait.MeanPool()).encode([""]).values.any()
    assert (reads(tiny_decoder, ONE_WORD) | plait.LastPool()).encode([""]).values.any()


def test_a_sweep_costs_one_pass_a_prompt(tiny_decoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = ["classical", ECHO, ONE_WORD]
    recipes = [
        reads(tiny_decoder, prompt) | plait.Layer(layer) | pool
        for prompt in prompts
        for layer in (1, 2, 3)
        for pool in (plait.MeanPool(), plait.LastPool(), plait.MaxPool())
    ]
    rows: list[int] = []
    states = Host.states
    monkeypatch.setattr(Host, "states", lambda self, ids, *rest: (rows.append(len(ids)), states(self, ids, *rest))[1])
    texts = [text for text in TEXTS if text]
    vectors, reports = run([strand for recipe in recipes for strand in recipe.strands()], texts)
    assert len(vectors) == len(recipes)
    assert len(reports) == len(prompts)
    assert sum(rows) == len(prompts) * len(texts)


LONG = 'In this task you are given one sentence and say what it means. This sentence : "{text:sentence}" means:"'


@pytest.mark.parametrize("prompts", [LONG, LONG.replace("{text:sentence}", "{text:pool}")])
def test_a_shared_start_changes_no_state(tiny_decoder: Path, prompts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = reads(tiny_decoder, prompts)
    recipes = [
        encoder | plait.Layer(layer) | pool for layer in range(4) for pool in (plait.MeanPool(), plait.LastPool())
    ]
    tokens = encoder.tokenize(TEXTS)
    shared = encoder.shared(tokens)
    start = encoder.host.tokenizer(LONG.partition("{")[0]).input_ids
    assert tokens.ids[:shared].tolist() == start[:shared]
    assert shared >= len(start) - 1  # the last token may be another one together with what follows
    assert shared > 16  # beyond the window of the model that has one
    strands = [strand for recipe in recipes for strand in recipe.strands()]
    together = run(strands, TEXTS)[0]
    states = encoder.states(tokens, (0, 1, 2, 3)).values
    monkeypatch.setattr(plait.Transformer, "shared", lambda self, tokens: 0)
    np.testing.assert_allclose(states, encoder.states(tokens, (0, 1, 2, 3)).values, atol=1e-4)
    for name, values in run(strands, TEXTS)[0].items():
        np.testing.assert_allclose(together[name], values, atol=1e-4)


def test_a_shared_start_is_run_once_for_a_batch(tiny_decoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = reads(tiny_decoder, LONG)
    tokens = encoder.tokenize(TEXTS)
    ran: list[int] = []
    forward = Host._run
    monkeypatch.setattr(
        Host, "_run", lambda self, layers, **kw: (ran.append(kw["input_ids"].numel()), forward(self, layers, **kw))[1]
    )
    monkeypatch.setattr(plait.Transformer, "budget", 100_000)
    (encoder | plait.LastPool()).encode(TEXTS)
    shared = encoder.shared(tokens)
    assert ran == [shared, len(TEXTS) * (int(tokens.lengths.max()) - shared)]


def test_order_and_company_do_not_matter_with_a_shared_start(tiny_decoder: Path) -> None:
    recipe = reads(tiny_decoder, LONG) | plait.LastPool()
    values = recipe.encode(TEXTS).values
    order = np.random.default_rng(0).permutation(len(TEXTS))
    assert recipe.encode([TEXTS[n] for n in order]).values.tobytes() == values[order].tobytes()
    np.testing.assert_allclose(recipe.encode(TEXTS[:1]).values, values[:1], atol=1e-4)
    np.testing.assert_allclose(recipe.encode(TEXTS[:2]).values, values[:2], atol=1e-4)


def test_what_changes_the_inside_sees_whole_texts(tiny_decoder: Path, tiny_bert: Path) -> None:
    encoder = reads(tiny_decoder, LONG)
    tokens = encoder.tokenize(TEXTS)
    assert encoder.shared(tokens) > 0
    changes = [
        encoder.intervene({1: lambda states, batch: states}),
        encoder.scaled_queries(0.5),
        reordered(encoder.host, [2, 1]),
        attention_sees(encoder.host, "bidirectional"),
    ]
    for change in changes:
        with change:
            assert encoder.shared(tokens) == 0
    assert encoder.shared(tokens) > 0
    assert encoder.shared(encoder.tokenize(TEXTS[:1])) == 0
    assert reads(tiny_decoder, "query: {text}").shared(reads(tiny_decoder, "query: {text}").tokenize(TEXTS)) == 0
    both_ways = reads(tiny_bert, 'This sentence: "{text}" means:"')
    tokens = both_ways.tokenize(TEXTS)
    assert common_prefix(tokens) >= SHORTEST_SHARED
    assert both_ways.shared(tokens) == 0
