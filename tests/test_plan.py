"""One pass for many strands: every item once, and the vectors that each recipe would get by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plait
from plait import plan
from plait.bank import Bank
from plait.roles import Pooling
from plait.step import Chain
from plait.types import Floats, States, Tokens, Vectors
from tests.pooling.ragged import ragged, tokens_of
from tests.tiny import SENTENCES

POOLINGS = ("MeanPool()", "ClsPool()", "MaxPool()", "LastPool()", "WeightedMeanPool()", "SifPool(a=0.01)")
MIXES = ("", "Layer(0)", "Layer(1)", "Layer(-1)", "LayerMean([1, 3])", "LayerMean([-2, -1])")
WORDS = [("Cats", "and", "dogs"), ("Rain",), (), ("the", "enzyme", "binds")]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, tuple[int, ...]]]]:
    """Every forward call of a transformer: how many items, which layers."""
    made: list[tuple[int, tuple[int, ...]]] = []
    states = plait.Transformer.states

    def counted(self: plait.Transformer, tokens: Tokens, layers: tuple[int, ...]) -> States:
        made.append((len(tokens), layers))
        return states(self, tokens, layers)

    monkeypatch.setattr(plait.Transformer, "states", counted)
    yield made


def grid(encoder: str) -> list[Chain]:
    texts = [" | ".join(filter(None, (encoder, mix, pool))) for mix in MIXES for pool in POOLINGS]
    recipes = [plait.parse(text) for text in texts]
    assert all(isinstance(recipe, Chain) for recipe in recipes)
    return recipes


def strands(recipes: list[Chain]) -> list[plan.Strand]:
    return [strand for recipe in recipes for strand in recipe.strands()]


@given(lengths=st.lists(st.integers(0, 40), max_size=30), budget=st.integers(1, 60), seed=st.integers(0, 99))
@settings(max_examples=200, deadline=None)
def test_batches_hold_every_item_once_and_keep_the_budget(lengths: list[int], budget: int, seed: int) -> None:
    tokens = tokens_of([(length, []) for length in lengths])
    batches = plan.plan_batches(tokens, budget)
    planned = [row for batch in batches for row in batch.tolist()]
    assert sorted(planned) == [row for row, length in enumerate(lengths) if length]
    for batch in batches:
        longest = max(lengths[row] for row in batch)
        assert len(batch) == 1 or len(batch) * longest <= budget
    assert [lengths[row] for row in planned] == sorted((n for n in lengths if n), reverse=True)


@given(tokens=ragged(), budget=st.integers(1, 30), data=st.data())
@settings(max_examples=150, deadline=None)
def test_batches_do_not_depend_on_the_order_of_the_items(tokens: Tokens, budget: int, data: st.DataObject) -> None:
    order = np.array(data.draw(st.permutations(range(len(tokens)))), np.int64)
    shuffled = tokens.take(order)

    def contents(of: Tokens) -> list[list[list[int]]]:
        return [
            [of.ids[of.offsets[row] : of.offsets[row + 1]].tolist() for row in batch]
            for batch in plan.plan_batches(of, budget)
        ]

    assert contents(shuffled) == contents(tokens)


def test_many_strands_get_what_each_recipe_makes_step_by_step(tiny_bert: Path) -> None:
    texts = [text for text in SENTENCES if text]
    recipes = grid(f'Transformer("{tiny_bert}")')
    encoder = plait.Transformer(str(tiny_bert))
    states = encoder.transform(texts)
    for recipe in recipes:
        pool = recipe.steps[-1]
        assert isinstance(pool, Pooling)
        pool.fit(states.tokens)
    vectors, _ = plan.run(strands(recipes), texts)
    for recipe in recipes:
        flowing: States | Vectors = states
        for step in recipe.steps[1:]:
            flowing = step.transform(flowing)
        np.testing.assert_allclose(vectors[str(recipe)], flowing.values, atol=1e-6, err_msg=str(recipe))


def test_words_get_what_each_recipe_makes_step_by_step(tiny_bert: Path, tiny_table: Path) -> None:
    for encoder in (plait.Transformer(str(tiny_bert)), plait.StaticTable(str(tiny_table))):
        recipe = encoder | plait.MeanPool()
        items = [item for item in WORDS if item]
        vectors, _ = plan.run(recipe.strands(), items)
        expected = plait.MeanPool().transform(encoder.transform(items))
        np.testing.assert_allclose(vectors[str(recipe)], expected.values, atol=1e-6)
        assert expected.units is not None
        assert expected.units.tolist() == [0, 3, 4, 7]


def test_forward_calls_do_not_depend_on_the_number_of_candidates(
    tiny_bert: Path, calls: list[tuple[int, tuple[int, ...]]]
) -> None:
    recipes = grid(f'Transformer("{tiny_bert}")')
    for recipe in recipes:
        recipe.steps[-1].fit(plait.Transformer(str(tiny_bert)).tokenize(SENTENCES))
    plan.run(strands(recipes[:1]), SENTENCES)
    one = len(calls)
    _, reports = plan.run(strands(recipes), SENTENCES)
    assert len(calls) == 2 * one
    (report,) = reports.values()
    assert report.encoded == report.items == len(SENTENCES) == sum(items for items, _ in calls[one:])


def test_one_pass_takes_the_union_of_the_layers(tiny_bert: Path, calls: list[tuple[int, tuple[int, ...]]]) -> None:
    encoder = f'Transformer("{tiny_bert}")'
    recipes = [plait.parse(f"{encoder} | {mix} | MeanPool()") for mix in ("Layer(2)", "LayerMean([0, 2])", "Layer(0)")]
    plan.run(strands(recipes), SENTENCES)
    assert {layers for _, layers in calls} == {(0, 2)}


def test_each_source_has_a_pass_of_its_own(tiny_bert: Path, tiny_table: Path) -> None:
    plain = plait.Transformer(str(tiny_bert))
    recipes = [
        plain | plait.MeanPool(),
        plain | plait.MaxPool(),
        plain | plait.AttentionTemperature(0.5) | plait.MeanPool(),
        plait.StaticTable(str(tiny_table)) | plait.MeanPool(),
    ]
    vectors, reports = plan.run(strands(recipes), SENTENCES)
    assert list(reports) == [str(plain), f"{plain} | AttentionTemperature(0.5)", str(recipes[3].steps[0])]
    assert all(report.encoded == len(SENTENCES) for report in reports.values())
    assert not np.allclose(vectors[str(recipes[0])], vectors[str(recipes[2])])
    for recipe in recipes:
        np.testing.assert_array_equal(vectors[str(recipe)], recipe.encode(SENTENCES).values)


def test_equal_strands_are_computed_once(tiny_table: Path) -> None:
    recipe = plait.StaticTable(str(tiny_table)) | plait.MeanPool()
    vectors, _ = plan.run(strands([recipe, recipe, recipe]), SENTENCES)
    assert list(vectors) == [str(recipe)]


def test_items_without_a_token_get_zeros_and_count_as_encoded(tiny_table: Path) -> None:
    recipe = plait.StaticTable(str(tiny_table)) | plait.MeanPool()
    vectors, reports = plan.run(recipe.strands(), ["", "a fox", ""])
    assert not vectors[str(recipe)][[0, 2]].any()
    assert vectors[str(recipe)][1].any()
    assert [report.encoded for report in reports.values()] == [3]
    nothing, reports = plan.run(recipe.strands(), ["", ""])
    assert not nothing[str(recipe)].any()
    assert [report.encoded for report in reports.values()] == [2]


def test_what_was_cut_is_in_the_report(tiny_bert: Path) -> None:
    recipe = plait.Transformer(str(tiny_bert), max_length=6) | plait.MeanPool()
    _, reports = plan.run(recipe.strands(), ["a b c d e f g", "a b", "a b c d e"])
    (report,) = reports.values()
    assert (report.cut_items, report.cut_tokens, report.tokens) == (2, 3 + 1, 6 + 4 + 6)


def test_progress_ends_at_all_tokens(tiny_bert: Path) -> None:
    told: list[tuple[str, int, int]] = []
    recipe = plait.Transformer(str(tiny_bert)) | plait.MeanPool()
    _, reports = plan.run(recipe.strands(), SENTENCES * 20, progress=lambda *fact: told.append(fact))
    (report,) = reports.values()
    assert told[-1] == (str(recipe.steps[0]), report.tokens, report.tokens)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_a_bank_gives_the_same_vectors_without_a_second_pass(
    tiny_bert: Path, tmp_path: Path, calls: list[tuple[int, tuple[int, ...]]]
) -> None:
    recipe = plait.Transformer(str(tiny_bert)) | plait.MeanPool()
    plain, _ = plan.run(recipe.strands(), SENTENCES)
    first, _ = plan.run(recipe.strands(), SENTENCES, Bank(tmp_path))
    before = len(calls)
    again, reports = plan.run(recipe.strands(), SENTENCES, Bank(tmp_path))
    assert len(calls) == before
    assert [report.encoded for report in reports.values()] == [len(SENTENCES)]
    for vectors in (first, again):
        np.testing.assert_array_equal(vectors[str(recipe)], plain[str(recipe)])


def test_a_killed_pass_goes_on_where_it_stopped(
    tiny_bert: Path, tmp_path: Path, calls: list[tuple[int, tuple[int, ...]]]
) -> None:
    texts = [f"{sentence} {number}" for number in range(30) for sentence in SENTENCES]
    recipe = plait.Transformer(str(tiny_bert)) | plait.MeanPool()
    undisturbed, _ = plan.run(recipe.strands(), texts)
    needed = len(calls)
    calls.clear()

    def stop(label: str, done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plan.run(recipe.strands(), texts, Bank(tmp_path), stop)
    vectors, reports = plan.run(recipe.strands(), texts, Bank(tmp_path))
    assert len(calls) == needed
    assert [report.encoded for report in reports.values()] == [len(texts)]
    np.testing.assert_array_equal(vectors[str(recipe)], undisturbed[str(recipe)])


def test_pooling_state_is_part_of_the_key(tiny_table: Path, tmp_path: Path) -> None:
    bank, found = Bank(tmp_path), list[Floats]()
    for corpus in (["a a a fox", "the dog"], ["fox fox fox a", "the dog"]):
        recipe = plait.StaticTable(str(tiny_table)) | plait.SifPool(a=0.1)
        recipe.steps[-1].fit(plait.StaticTable(str(tiny_table)).tokenize(corpus))
        vectors, _ = plan.run(recipe.strands(), ["a fox"], bank)
        np.testing.assert_array_equal(vectors[str(recipe)], plan.run(recipe.strands(), ["a fox"])[0][str(recipe)])
        found.append(np.array(vectors[str(recipe)]))
    assert not np.array_equal(*found)


@pytest.mark.parametrize("moment", [0, 1, 2])
def test_a_kill_while_files_get_their_names_costs_nothing(
    tiny_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    table = plait.StaticTable(str(tiny_table))
    both = strands([table | plait.MeanPool(), table | plait.MaxPool()])
    renamed: list[str] = []
    replace = os.replace

    def stop() -> None:
        if len(renamed) == moment:
            raise KeyboardInterrupt
        renamed.append("one")

    def replacing(source: str, target: str) -> None:
        stop()
        replace(source, target)

    monkeypatch.setattr(os, "replace", replacing)
    with pytest.raises(KeyboardInterrupt):
        plan.run(both, SENTENCES, Bank(tmp_path))
    monkeypatch.undo()
    passes: list[int] = []
    states = plait.StaticTable.states
    monkeypatch.setattr(
        plait.StaticTable, "states", lambda self, *asked: [passes.append(len(asked[0])), states(self, *asked)][1]
    )
    _, reports = plan.run(both, SENTENCES, Bank(tmp_path))
    assert passes == []
    assert [report.encoded for report in reports.values()] == [len(SENTENCES)]
