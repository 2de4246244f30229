"""What `advise` warns of, on real hosts of both kinds made on the spot."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import plait
from plait.selection import advise
from plait.step import Step

ONE_WORD = 'This : "{text:sentence}" means:"'


def decoder(folder: Path, prompts: str | None = None) -> plait.Transformer:
    return plait.Transformer(str(folder), prompts=prompts)


@pytest.mark.parametrize(
    ("prompts", "steps", "warning"),
    [
        (
            ONE_WORD,
            [plait.Layer(1), plait.LastPool()],
            r"read at layer 1 of 3: the word is not there yet.*take Layer\(2\)",
        ),
        (ONE_WORD, [plait.LayerMean([0, 1]), plait.LastPool()], "read at layer 1 of 3"),
        (ONE_WORD, [plait.MeanPool()], r"MeanPool\(\) pools the prompt with the text: take LastPool\(\)"),
        (None, [plait.MeanPool()], 'a decoder without tuning.*prompts="echo", WeightedMeanPool'),
        ("classical", [plait.MeanPool()], "a decoder without tuning"),
        (None, [plait.LastPool()], 'no end marker.*prompts="prompteol"'),
        ("echo", [plait.LastPool()], r"repeats the text.*take MeanPool\(\)"),
        (None, [plait.ClsPool()], "first token has seen nothing"),
        (
            '{blank} "{text}" means:"',
            [plait.TokenPrepending(3), plait.LastPool()],
            "copies before most of the 3 blocks",
        ),
    ],
)
def test_a_poor_choice_is_named_with_a_better_one(
    tiny_decoder: Path, prompts: str | None, steps: list[Step], warning: str
) -> None:
    recipe = plait.Chain([decoder(tiny_decoder, prompts), *steps])
    (found,) = advise(recipe)
    assert re.search(warning, found), found
    assert str(recipe.steps[0]) in found or "copies" in found


@pytest.mark.parametrize(
    ("prompts", "steps"),
    [
        (ONE_WORD, [plait.LastPool()]),
        (ONE_WORD, [plait.Layer(2), plait.LastPool()]),
        ("echo", [plait.MeanPool()]),
        (None, [plait.WeightedMeanPool()]),
        ("{text}{eos:pool}", [plait.LastPool()]),
        ('{blank} "{text}" means:"', [plait.TokenPrepending(1, start=0), plait.LastPool()]),
    ],
)
def test_a_sound_choice_is_left_alone(tiny_decoder: Path, prompts: str | None, steps: list[Step]) -> None:
    assert advise(plait.Chain([decoder(tiny_decoder, prompts), *steps])) == []


def test_encoders_that_see_both_sides_have_rules_of_their_own(tiny_bert: Path) -> None:
    host = plait.Transformer(str(tiny_bert))
    assert advise(host | plait.MeanPool()) == advise(host | plait.ClsPool()) == []
    assert "take MeanPool()" in advise(host | plait.WeightedMeanPool())[0]


def test_a_host_that_was_tuned_may_be_averaged(tiny_decoder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_decoder, tmp_path / "tuned"))
    (folder / "modules.json").write_text(json.dumps([{"type": "x.Pooling", "path": "1_Pooling"}]))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    (folder / "config_sentence_transformers.json").write_text('{"prompts": {"query": "find: ", "document": ""}}')
    assert advise(plait.Transformer(str(folder), prompts={"query": "a: "}) | plait.MeanPool()) == []
    (found,) = advise(plait.Transformer(str(folder)) | plait.MeanPool())
    assert 'tuned with prompts (query) and reads texts without: try prompts="checkpoint"' in found


def test_every_part_of_a_recipe_is_looked_at_once(tiny_decoder: Path, tiny_table: Path) -> None:
    poor = decoder(tiny_decoder) | plait.MeanPool()
    table = plait.StaticTable(str(tiny_table)) | plait.MeanPool()
    assert len(advise(poor + poor + table)) == 1
    assert len(advise(poor + (decoder(tiny_decoder) | plait.ClsPool()))) == 2
    assert advise(table | plait.Truncate(4)) == []
