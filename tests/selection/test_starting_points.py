"""Recipes by name, and the rules that choose among them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.encoders.packaged import named
from plait.recipe import parse
from plait.selection import Constraints, advise, known_recipes, recommend
from plait.types import RecipeError

PUBLISHED = ["prompteol", "metaeol", "echo", "token-prepending", "whitened-first-last", "sgpt-weighted-mean"]


@pytest.mark.parametrize("name", sorted(known_recipes()))
def test_every_known_recipe_reads_and_runs(name: str, tiny_bert: Path, tiny_table: Path, tiny_decoder: Path) -> None:
    known = known_recipes()[name]
    assert known.why and known.source.startswith("arXiv ")
    model = {"encoder": tiny_bert, "any": tiny_bert, "decoder": tiny_decoder, "table": tiny_table}[known.host]
    recipe = known.on(str(model))
    assert parse(str(recipe)).fingerprint == recipe.fingerprint
    assert advise(recipe) == [] or name == "token-prepending"  # a window for 18 blocks, on a model of 3
    if name not in ("metaeol", "knowledge-enhancement", "learned-layers"):  # too long for it; needs labels
        assert recipe.fit(["a fox", "a dog", "rain"]).encode(["a fox"]).values.shape[0] == 1


def test_the_published_ones_are_there() -> None:
    assert set(PUBLISHED) <= set(known_recipes())


def test_options_reach_every_encoder() -> None:
    text = str(known_recipes()["metaeol"].on("some-model", dtype="bfloat16"))
    assert text.count('"some-model"') == text.count('dtype="bfloat16"') == 8


@settings(deadline=None)  # the first call imports
@given(
    st.one_of(st.none(), st.floats(1, 1000)),
    st.one_of(st.none(), st.floats(0.01, 100)),
    st.sampled_from(["one", "many"]),
    st.integers(0, 2000),
)
def test_more_room_never_takes_a_recommendation_away(
    megabytes: float | None, milliseconds: float | None, languages: str, examples: int
) -> None:
    tight = [str(f.recipe) for f in recommend(Constraints(megabytes, milliseconds, languages, examples))]
    loose = [str(f.recipe) for f in recommend(Constraints(None, None, "one", max(examples, 2000)))]
    assert [text for text in loose if text in tight] == tight


@pytest.mark.parametrize(
    ("constraints", "models"),
    [
        (Constraints(megabytes=20), ["wordllama"]),
        (Constraints(milliseconds=1), ["wordllama"]),
        (Constraints(megabytes=10), []),
        (Constraints(languages="many"), ["gemma-3-270m"]),
        (Constraints(megabytes=100, examples=1000), ["all-MiniLM-L6-v2", "all-MiniLM-L6-v2", "wordllama"]),
    ],
)
def test_rules(constraints: Constraints, models: list[str]) -> None:
    assert [found.model for found in recommend(constraints)] == models


def test_every_recommended_model_is_one_that_packages_hold() -> None:
    for found in recommend(Constraints(examples=10**6)):
        assert named(found.model) is not None
        assert found.known.text.replace("MODEL", found.model).startswith(str(found.recipe)[:20])


def test_labelled_examples_bring_recipes_that_learn() -> None:
    assert "ScalarMix" not in str([found.recipe for found in recommend(Constraints())])
    assert "ScalarMix" in str(recommend(Constraints(examples=1000))[0].recipe)


def test_unknown_languages_are_refused() -> None:
    with pytest.raises(RecipeError, match="languages is 'two'; expected one of one, many"):
        Constraints(languages="two")
