"""The templates that ship, one by one: what the literature gives as their structure."""

from __future__ import annotations

import pytest

from plait.prompting.presets import presets, prompt_set, template
from plait.types import RecipeError

CLAUSES = {
    "metaeol-topic": "should be classified under one general category",
    "metaeol-opinion": "discriminates between opinion and fact",
    "metaeol-review": "reflects the sentiment",
    "metaeol-emotion": "conveys the emotion",
    "metaeol-paraphrase": "means",
    "metaeol-synonym": "means",
    "metaeol-news": "encapsulates the key fact",
    "metaeol-science": "highlights the primary entity or relation",
}
"""How each meta-task prompt ends, before "in one word"."""


@pytest.mark.parametrize("name", sorted(presets()))
def test_every_template_reads_and_holds_the_text(name: str) -> None:
    filled = template(name).fill("a dog", {"eos": "</s>", "blank": "<unused0>"})
    assert "a dog" in filled.whole
    assert filled.whole.count("<unused0>") == name.endswith("-blank")


@pytest.mark.parametrize("name", sorted(name for name in presets() if name not in ("classical", "echo")))
def test_a_one_word_prompt_ends_with_an_open_quotation_mark(name: str) -> None:
    filled = template(name).fill("a dog", {"blank": "<unused0>"})
    assert filled.whole.endswith('"a dog." ' + CLAUSES.get(name, "means") + ' in one word:"')
    assert filled.whole.count('"') == 3
    assert filled.pooled == ()


def test_the_meta_tasks_are_four_kinds_twice() -> None:
    names = prompt_set("metaeol")
    assert names == tuple(CLAUSES)
    assert len({presets()[name] for name in names}) == 8
    assert all(presets()[name].startswith("In this task, you are given ") for name in names)
    assert all(" Your task is to " in presets()[name] for name in names)


@pytest.mark.parametrize("base", ["prompteol", "pretended-cot"])
def test_a_placeholder_is_all_that_the_blank_form_adds(base: str) -> None:
    assert presets()[f"{base}-blank"].replace("{blank} ", "") == presets()[base]


def test_only_the_second_copy_of_an_echo_is_pooled() -> None:
    filled = template("echo").fill("a dog")
    assert filled.pooled == filled.text[1:]
    assert len(filled.text) == 2


def test_a_single_name_is_a_set_of_one() -> None:
    assert prompt_set("echo") == ("echo",)


def test_unknown_names_are_refused_with_those_there_are() -> None:
    with pytest.raises(RecipeError, match=r"no prompt 'metaeoll'; sets are metaeol, templates classical, echo"):
        prompt_set("metaeoll")
    with pytest.raises(RecipeError, match='did you mean "prompteol"'):
        template("promptel")
    with pytest.raises(RecipeError, match=r'write e\.g\. "zzz\{text\}"'):
        template("zzz")
