from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import plait
from plait.serve.counting import Counted, encode_counted
from plait.step import Composite
from plait.store.blocks import encode_queries
from tests.store.makers import TEXTS, codes
from tests.tiny import SENTENCES, wordpiece


def test_counts_are_the_tokenizers_and_vectors_the_recipes(recipe: Composite) -> None:
    texts = [*SENTENCES, SENTENCES[0]]
    counted = encode_counted(recipe, texts, "document")
    tokenizer = wordpiece()
    assert counted.tokens.tolist() == [len(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts]
    np.testing.assert_array_equal(counted.values, recipe.encode(texts).values)
    assert not counted.cut.any()


def test_what_the_limit_cuts_is_counted(tiny_bert: Path) -> None:
    host = plait.parse(f'Transformer("{tiny_bert}", max_length=8) | MeanPool()')
    counted = encode_counted(host, SENTENCES, "document")
    whole = [len(wordpiece().encode(text, add_special_tokens=False).ids) for text in SENTENCES]
    assert counted.cut.tolist() == [max(0, length - 6) for length in whole]
    assert counted.tokens.tolist() == [min(length, 6) + 2 for length in whole]


def test_parts_that_read_apart_add_up(tiny_bert: Path, tiny_table: Path) -> None:
    parts = [f'Transformer("{tiny_bert}") | MeanPool()', f'StaticTable("{tiny_table}") | MeanPool()']
    both = encode_counted(plait.parse(f"({parts[0]}) + ({parts[1]})"), TEXTS, "document")
    alone = [encode_counted(plait.parse(part), TEXTS, "document").tokens for part in parts]
    assert both.tokens.tolist() == (alone[0] + alone[1]).tolist()


def test_each_role_gets_its_prompt(tiny_bert: Path) -> None:
    host = plait.parse(f'Transformer("{tiny_bert}", prompts={{"query": "quick fox "}}) | MeanPool()')
    for role in ("query", "document"):
        values = encode_counted(host, TEXTS, role).values
        np.testing.assert_allclose(values, host.encode(TEXTS, role).values, atol=1e-6)


@pytest.mark.parametrize("kind", ["Int8", "Binary"])
def test_codes_are_served_as_a_search_compares_them(tiny_table: Path, kind: str) -> None:
    recipe = codes(tiny_table, kind)
    decoded = recipe.quantiser.inverse_transform(recipe.encode(TEXTS).values)  # type: ignore[union-attr,attr-defined]
    np.testing.assert_array_equal(encode_counted(recipe, TEXTS, "document").values, decoded)
    asked = encode_counted(recipe, TEXTS, "query").values
    np.testing.assert_array_equal(asked, encode_queries(recipe, TEXTS))


def test_slices_join_to_the_whole(recipe: Composite) -> None:
    whole = encode_counted(recipe, TEXTS, "document")
    joined = Counted.joined([whole[0:2], whole[2:5]])
    np.testing.assert_array_equal(joined.values, whole.values)
    assert joined.tokens.tolist() == whole.tokens.tolist()
