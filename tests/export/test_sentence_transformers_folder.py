"""Recipes as folders of sentence-transformers, opened by its own loader."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from plait import parse
from plait.export import to_sentence_transformers
from plait.export.agreement import decoded
from plait.types import RecipeError
from tests.tiny import SENTENCES

WHOLE = [text for text in SENTENCES if text]  # an empty text has a vector of its own in each library

STANDARD = (
    'Transformer("{bert}") | MeanPool()',
    'Transformer("{bert}") | Layer(2) | ClsPool() | Whitening(5) | Normalize()',
    'Transformer("{bert}", prompts={{"query": "query: ", "document": ""}}) | MaxPool() | Truncate(7)',
    'Transformer("{bert}", max_length=9) | LastPool()',
    'StaticTable("{table}") | MeanPool() | AllButTheTop(1)',
)
OWN = (
    'Transformer("{bert}") | LayerMean([1, 2]) | MeanPool()',
    'Transformer("{bert}", prompts="echo") | MeanPool()',
    '(Transformer("{bert}") | MeanPool()) + (StaticTable("{table}") | SifPool()) | Binary()',
    'StaticTable("{table}") | MaxPool() | Int8()',
)


@pytest.mark.parametrize("text", [*STANDARD, *OWN])
def test_its_loader_opens_what_was_written(text: str, tiny_bert: Path, tiny_table: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    recipe = parse(text.format(bert=tiny_bert, table=tiny_table)).fit(WHOLE)
    written = to_sentence_transformers(recipe, tmp_path / "out", WHOLE)
    assert written.needs_plait is (text in OWN)
    model = SentenceTransformer(str(written.folder), trust_remote_code=written.needs_plait, device="cpu")
    for role, encode in {"query": model.encode_query, "document": model.encode_document}.items():
        np.testing.assert_allclose(encode(WHOLE), decoded(recipe, WHOLE, role), atol=1e-4)


def test_blocks_that_are_not_read_are_left_out(tiny_bert: Path, tmp_path: Path) -> None:
    to_sentence_transformers(parse(f'Transformer("{tiny_bert}") | Layer(1) | MeanPool()'), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["num_hidden_layers"] == 1


def test_other_folders_are_left_alone(tiny_table: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(RecipeError, match="holds no export"):
        to_sentence_transformers(parse(f'StaticTable("{tiny_table}") | MeanPool()'), tmp_path)
