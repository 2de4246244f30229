"""Families of options: who uses them, what is kept for them, what is picked."""

from __future__ import annotations

import pytest

import plait
from plait.selection.ablation import kept_for_ablation, pick
from plait.selection.families import FAMILIES, families
from plait.step import Chain, Composite

DEFAULTS = [plait.StaticTable("one") | plait.MeanPool(), plait.StaticTable("two") | plait.MeanPool()]


def of(text: str) -> Composite:
    return plait.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('StaticTable("one") | MeanPool()', set()),
        ('StaticTable("one") | MaxPool()', {"pooling"}),
        ('StaticTable("one") | MeanPool() | Center()', {"transforms"}),
        ('StaticTable("one") | MeanPool() | LinearMap(4)', {"training"}),
        ('StaticTable("one") | MeanPool() | Pca(4)', {"compression"}),
        ('StaticTable("one") | MeanPool() | Center() | Binary()', {"transforms", "compression"}),
        ('(StaticTable("one") | MeanPool()) + (StaticTable("two") | MeanPool())', {"fusion"}),
        ('((StaticTable("one") | MaxPool()) + (StaticTable("two") | MeanPool())) | Int8()',
         {"fusion", "pooling", "compression"}),
        ('Average([StaticTable("one") | MeanPool(), StaticTable("two") | MeanPool()])', {"fusion"}),
    ],
)  # fmt: skip
def test_families_of_a_recipe(text: str, expected: set[str]) -> None:
    assert families(of(text), DEFAULTS) == expected


def test_families_of_a_host(tiny_bert) -> None:  # type: ignore[no-untyped-def]
    model = f'Transformer("{tiny_bert}"'
    defaults = [of(f"{model}) | MeanPool()")]
    assert all(isinstance(chain, Chain) for chain in defaults)

    def used(text: str) -> frozenset[str]:
        return families(of(text), defaults)  # type: ignore[arg-type]

    assert used(f"{model}) | MeanPool()") == set()
    assert used(f"{model}) | Layer(3) | MeanPool()") == set()
    assert used(f"{model}) | Layer(2) | MeanPool()") == {"layers"}
    assert used(f"{model}) | LayerMean([1, -1]) | LastPool()") == {"layers", "pooling"}
    assert used(f"{model}) | ConcatLayers([1, 2]) | MeanPool()") == {"layers"}
    assert used(f"{model}) | ConcatLayers([1, 2]) | MeanPool() | ScalarMix()") == {"training"}
    assert used(f'{model}) | SpanPool("sentences:2")') == {"chunks"}
    assert used(f'{model}, prompts="echo") | MeanPool()') == {"prompting"}
    assert used(f'{model}, prompts="prompteol") | LastPool()') == {"prompting"}
    assert used(f'{model}, prompts="prompteol") | MeanPool()') == {"prompting", "pooling"}


RANKED = [
    of(text)
    for text in (
        'StaticTable("one") | MaxPool() | Center()',
        'StaticTable("two") | MeanPool() | Center()',
        'StaticTable("one") | MeanPool() | Center()',
        'StaticTable("one") | MaxPool()',
        'StaticTable("two") | MeanPool()',
        'StaticTable("one") | MeanPool()',
    )
]


def test_the_best_of_each_sort_is_kept() -> None:
    kept = {str(recipe) for recipe in kept_for_ablation(RANKED, DEFAULTS, each=1)}
    assert str(RANKED[1]) in kept  # transforms alone
    assert str(RANKED[3]) in kept  # pooling alone, and without transforms
    assert str(RANKED[5]) not in kept


def test_picks_alone_and_without() -> None:
    score = {str(recipe): -place for place, recipe in enumerate(RANKED)}
    asked: list[list[str]] = []

    def concatenate(recipes):  # type: ignore[no-untyped-def]
        asked.append([str(recipe) for recipe in recipes])

    picks = pick(RANKED, DEFAULTS, concatenate, lambda recipe: score[str(recipe)])
    assert str(picks.plain) == str(RANKED[4])
    assert set(picks.pairs) == {"pooling", "transforms"}
    assert str(picks.pairs["pooling"].alone) == str(RANKED[3])
    assert str(picks.pairs["pooling"].without) == str(RANKED[1])
    assert str(picks.pairs["transforms"].alone) == str(RANKED[1])
    assert str(picks.pairs["transforms"].without) == str(RANKED[3])
    assert [str(RANKED[4]), str(RANKED[5])] in asked  # fusion alone: models as they come
    assert set(picks.named()) == {
        "plain", "alone pooling", "without pooling", "alone transforms", "without transforms",
    }  # fmt: skip


def test_a_concatenation_stands_in_where_it_is_better() -> None:
    both = of('(StaticTable("one") | MaxPool()) + (StaticTable("two") | MeanPool())')
    score = {str(recipe): -float(place) for place, recipe in enumerate(RANKED)} | {str(both): 5.0}
    picks = pick(RANKED, DEFAULTS, lambda recipes: both, lambda recipe: score[str(recipe)])
    assert str(picks.pairs["transforms"].without) == str(both)
    assert str(picks.pairs["fusion"].alone) == str(both)


def test_every_family_says_what_it_is() -> None:
    assert all(len(words.split()) > 2 for words in FAMILIES.values())
