from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, spearmanr
from sklearn.decomposition import PCA

from plait.analysis import augment, inspect_layers, layer_profile, select_layer
from plait.analysis.pairs import labels_of_task, pairs_of_task, similarities
from plait.data.tasks import Judgements, Labels, Pairs, Tags, Task
from plait.encoders.static import StaticTable
from plait.encoders.transformer import Transformer
from plait.layers.single import Layer
from plait.pooling.mean import MeanPool
from plait.types import DataError
from tests.tiny import SENTENCES

TEXTS = tuple(text for text in SENTENCES if len(text) > 20)


def graded() -> Task:
    left, right = np.array([0, 1, 2, 3, 4, 5]), np.array([1, 2, 3, 4, 5, 6])
    pairs = Pairs(left, right, np.array([0.0, 1, 2, 3, 3.9, 4]))
    return Task("sts", "graded", TEXTS, parts={"dev": pairs.take(np.arange(3)), "test": pairs.take(np.arange(3, 6))})


def classes() -> Task:
    return Task(
        "classification", "two", TEXTS, parts={"all": Labels(np.arange(7), ("a", "b", "a", "b", "a", "b", "c"))}
    )


def test_gold_pairs_are_those_in_the_upper_quarter() -> None:
    found = pairs_of_task(graded(), 10)
    assert set(zip(found.left, found.right, strict=True)) == {(TEXTS[n], TEXTS[n + 1]) for n in (3, 4, 5)}
    assert found.graded is not None
    assert sorted(found.graded[2].tolist()) == [0, 1, 2, 3, 3.9, 4]
    assert set(found.texts) == set(TEXTS)


def test_classes_pair_texts_of_one_label() -> None:
    found = pairs_of_task(classes(), 10)
    label = labels_of_task(classes())
    assert label == dict(zip(TEXTS, "abababc", strict=True))
    assert len(found.left) == 2
    assert {label[text] for text in found.left} == {"a", "b"}
    assert all(label[a] == label[b] and a != b for a, b in zip(found.left, found.right, strict=True))
    alone = Task("classification", "one", TEXTS, parts={"all": Labels(np.arange(3), ("a", "a", "b"))})
    assert not pairs_of_task(alone, 10).labelled  # one pair has no other to be compared with


def test_queries_are_paired_with_the_best_answer() -> None:
    judged = Judgements(np.array([0, 1]), ({0: 1, 2: 3}, {1: 1}))
    task = Task("retrieval", "asked", TEXTS, ("why?", "who?"), {"test": judged}, corpus=np.array([3, 4, 5]))
    found = pairs_of_task(task, 10)
    assert set(zip(found.left, found.right, strict=True)) == {("why?", TEXTS[5]), ("who?", TEXTS[4])}
    assert found.labelled


def test_without_labels_copies_are_paired() -> None:
    sentences = tuple(tuple(text.split()) for text in TEXTS)
    tags = Tags(np.arange(7), tuple(("O",) * len(words) for words in sentences))
    found = pairs_of_task(Task("tagging", "tagged", sentences, parts={"all": tags}), 4, seed=2)
    assert not found.labelled
    whole = [" ".join(words) for words in sentences]
    order = np.random.default_rng(2).permutation(7)[:4]
    assert [found.left, found.right] == [augment([whole[n] for n in order], 2, 2)[side::2] for side in (0, 1)]


def test_separation_is_the_probability_of_superiority() -> None:
    rng = np.random.default_rng(0)
    left = rng.normal(size=(40, 5)).astype(np.float32)
    right = (left + 2 * rng.normal(size=left.shape)).astype(np.float32)
    found = similarities(left, right)
    cosine = (left @ right.T) / np.outer(np.linalg.norm(left, axis=1), np.linalg.norm(right, axis=1))
    np.testing.assert_allclose(found.together, np.diag(cosine), atol=1e-6)
    np.testing.assert_allclose(found.apart, cosine[np.arange(40), (np.arange(40) - 1) % 40], atol=1e-6)
    expected = mannwhitneyu(found.together, found.apart).statistic / 1600
    assert found.separation == pytest.approx(expected)


def test_every_figure_is_what_its_own_function_says(tiny_bert: Path) -> None:
    encoder = Transformer(str(tiny_bert))
    told: list[tuple[str, int, int]] = []
    found = inspect_layers(encoder, graded(), layers=[0, 2], listener=lambda *now: told.append(now))
    sample = list(found.texts)
    assert sorted(sample) == sorted(TEXTS)
    profile = layer_profile(encoder, sample, [0, 2])
    for name in ("entropy", "curvature", "norm", "anisotropy"):
        np.testing.assert_allclose(found.curves[name], getattr(profile, name), rtol=1e-4)
    for metric in ("dime", "infonce"):
        expected = select_layer(encoder, sample, metric, layers=[0, 2]).scores
        np.testing.assert_allclose(found.curves[metric], expected, atol=1e-4)
    task, recipe = graded(), encoder | Layer(2) | MeanPool()
    vectors = recipe.encode(list(TEXTS)).values
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = (unit[:-1] * unit[1:]).sum(axis=1)
    gold = [score for part in task.parts.values() for score in part.score]
    assert found.curves["score"][1] == pytest.approx(100 * spearmanr(cosine, gold).statistic)
    peer = PCA(2).fit(unit[[TEXTS.index(text) for text in sample]])
    assert found.shares[2] == pytest.approx(tuple(peer.explained_variance_ratio_), abs=1e-5)
    expected = peer.transform(unit[[TEXTS.index(text) for text in sample]])
    np.testing.assert_allclose(np.abs(found.points[2]), np.abs(expected), atol=1e-4)
    assert {stage for stage, _, _ in told} == {"texts and pairs", "token states", "misspelt copies"}
    assert all(done <= whole for _, done, whole in told)
    assert found.best in (0, 2)
    assert [row["layer"] for row in found.table()] == [0, 2]


def test_labels_stand_beside_the_texts(tiny_table: Path) -> None:
    found = inspect_layers(StaticTable(str(tiny_table)), classes())
    label = labels_of_task(classes())
    assert found.labels == tuple(label[text] for text in found.texts)
    assert found.curves["score"][0] == pytest.approx(100 * found.similarities[0].separation)
    assert found.labelled


def test_too_few_texts(tiny_table: Path) -> None:
    with pytest.raises(DataError, match="at least three"):
        inspect_layers(StaticTable(str(tiny_table)), Task("classification", "few", TEXTS[:2]))
