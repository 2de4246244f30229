from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from plait.analysis import augment, dime, infonce, layer_profile, lidar, matrix_entropy, select_layer, view_vectors
from plait.analysis.trajectory import curvature
from plait.encoders.static import StaticTable
from plait.encoders.transformer import Transformer
from plait.layers.single import Layer
from plait.pooling.frequency import SifPool
from plait.pooling.maximum import MaxPool
from plait.types import DataError, RecipeError
from tests.tiny import SENTENCES

TEXTS = [text for text in SENTENCES if len(text.split()) > 2]


def test_views_are_the_vectors_of_the_copies(tiny_bert: Path) -> None:
    encoder = Transformer(str(tiny_bert))
    found = view_vectors(encoder, TEXTS, copies=3, pooling=MaxPool(), layers=[0, 2], seed=5)
    assert list(found) == [0, 2]
    copies = augment(TEXTS, 3, 5)
    for layer, views in found.items():
        expected = (encoder | Layer(layer) | MaxPool()).encode(copies).values
        np.testing.assert_allclose(views.reshape(len(copies), -1), expected, atol=1e-5)


def test_vectors_are_mean_directions_unless_told_otherwise(tiny_bert: Path) -> None:
    encoder = Transformer(str(tiny_bert))
    views = view_vectors(encoder, TEXTS, copies=2, layers=[1], seed=5)[1]
    copies = augment(TEXTS, 2, 5)
    for row, text in zip(views.reshape(len(copies), -1), copies, strict=True):
        states = encoder.states(encoder.tokenize([text]), (1,)).values[0]
        away = states - states.mean(axis=0)
        expected = (away / np.linalg.norm(away, axis=1, keepdims=True)).mean(axis=0)
        np.testing.assert_allclose(row, expected, atol=1e-4)


@pytest.mark.parametrize(("metric", "copies", "sign"), [("dime", 2, 1), ("infonce", 2, -1), ("lidar", 8, 1)])
def test_the_layer_is_the_best_of_the_scores(tiny_bert: Path, metric: str, copies: int, sign: int) -> None:
    encoder = Transformer(str(tiny_bert))
    choice = select_layer(encoder, TEXTS, metric, seed=3)
    measure = {"dime": lambda v: dime(v, random_state=3), "infonce": infonce, "lidar": lidar}[metric]
    views = view_vectors(encoder, TEXTS, copies, seed=3)
    assert choice.layers == (0, 1, 2, 3)
    assert choice.scores == pytest.approx([measure(plane) for plane in views.values()])
    assert choice.index == max(views, key=lambda layer: sign * measure(views[layer]))
    rows = json.loads(choice.to_json())
    assert [row["chosen"] for row in rows] == [float(layer == choice.index) for layer in range(4)]


def test_a_pooling_that_learns_is_learned_and_left_alone(tiny_table: Path) -> None:
    pool = SifPool()
    assert select_layer(StaticTable(str(tiny_table)), TEXTS, pooling=pool).index == 0
    assert not hasattr(pool, "probability_")


def test_what_cannot_be_chosen(tiny_table: Path) -> None:
    table = StaticTable(str(tiny_table))
    with pytest.raises(RecipeError, match="dime, infonce, lidar"):
        select_layer(table, TEXTS, "accuracy")
    with pytest.raises(RecipeError, match="layers 0 to 0"):
        select_layer(table, TEXTS, layers=[3])
    with pytest.raises(DataError, match="two"):
        select_layer(table, TEXTS[:1])


def test_profile_is_that_of_each_text_alone(tiny_bert: Path) -> None:
    encoder = Transformer(str(tiny_bert))
    profile = layer_profile(encoder, [*TEXTS, ""], layers=[1, 3])
    assert profile.texts == len(TEXTS)
    alone = [encoder.states(encoder.tokenize([text]), (1, 3)).values for text in TEXTS]
    for number in (0, 1):
        states = [text[number].astype(np.float64) for text in alone]
        entropies = [matrix_entropy(text, normalization="rows") for text in states]
        assert profile.entropy[number] == pytest.approx(np.mean(entropies), abs=1e-5)
        assert profile.curvature[number] == pytest.approx(np.mean([curvature(text) for text in states]), abs=1e-5)
        lengths = [np.linalg.norm(text, axis=1) for text in states]
        assert profile.norm[number] == pytest.approx(np.mean([row.mean() for row in lengths]), abs=1e-5)
        unit = [text / row[:, None] for text, row in zip(states, lengths, strict=True)]
        pairs = [(a @ b.T).mean() for i, a in enumerate(unit) for j, b in enumerate(unit) if i != j]
        assert profile.anisotropy[number] == pytest.approx(np.mean(pairs), abs=1e-5)
    assert profile.table()[1]["layer"] == 3
    with pytest.raises(DataError, match="three tokens"):
        layer_profile(encoder, ["", TEXTS[0]])
