"""Every pooling against a formula written out unit by unit, on any token structure."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given

from plait.pooling import ClsPool, LastPool, MaxPool, MeanPool, SifPool, WeightedMeanPool
from plait.pooling.maximum import _by_position, _unit_by_unit
from plait.recipe import parse
from plait.roles import LinearPooling, Pooling
from plait.types import DataError, RecipeError, States, Tokens
from tests.pooling.ragged import groups_of, ragged, tokens_of

WIDTH = 5


def values_of(tokens: Tokens) -> np.ndarray:
    return np.random.default_rng(len(tokens.ids)).normal(size=(len(tokens.ids), WIDTH)).astype(np.float32)


FORMULAS: dict[type[Pooling], Callable[[np.ndarray], np.ndarray]] = {
    MeanPool: lambda rows: rows.mean(axis=0),
    WeightedMeanPool: lambda rows: np.average(rows, axis=0, weights=range(1, len(rows) + 1)),
    ClsPool: lambda rows: rows[0],
    LastPool: lambda rows: rows[-1],
    MaxPool: lambda rows: rows.max(axis=0),
}


@pytest.mark.parametrize("kind", FORMULAS)
@given(tokens=ragged())
def test_formula(kind: type[Pooling], tokens: Tokens) -> None:
    values = values_of(tokens)
    pooled = kind().pool(values, tokens)
    assert pooled.dtype == np.float32
    assert pooled.shape == (len(tokens.bounds) - 1, WIDTH)
    for vector, group in zip(pooled, groups_of(tokens), strict=True):
        expected = FORMULAS[kind](values[group]) if len(group) else np.zeros(WIDTH)
        np.testing.assert_allclose(vector, expected, atol=1e-5)


@given(tokens=ragged())
def test_linear_weights_sum_to_one_in_a_unit(tokens: Tokens) -> None:
    sif = SifPool(a=0.1)
    sif.probability_ = np.array([0.5, 0.25, 0.0, 0.25], np.float32)
    poolings: list[LinearPooling] = [MeanPool(), WeightedMeanPool(), ClsPool(), LastPool(), sif]
    for pooling in poolings:
        weights = pooling.weights(tokens)
        assert weights.dtype == np.float32
        assert weights.shape == tokens.index.shape
        for a, b in zip(tokens.bounds, tokens.bounds[1:], strict=False):
            assert a == b or weights[a:b].sum() == pytest.approx(1, abs=1e-6)


@given(tokens=ragged())
def test_both_ways_to_the_maximum_agree(tokens: Tokens) -> None:
    values, lengths = values_of(tokens), np.diff(tokens.bounds)
    full = np.flatnonzero(lengths)
    one = np.zeros((len(lengths), WIDTH), np.float32)
    two = one.copy()
    _unit_by_unit(values, tokens.index, tokens.bounds, one)
    if len(full):
        two[full] = _by_position(values, tokens.index, tokens.bounds[full], lengths[full])
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, MaxPool().pool(values, tokens))


@given(tokens=ragged())
def test_sif_formula(tokens: Tokens) -> None:
    pooled_ids = tokens.ids[tokens.index]
    if len(pooled_ids) == 0:
        with pytest.raises(DataError, match="without a token"):
            SifPool().fit(tokens)
        return
    sif, values = SifPool(a=0.05).fit(tokens), values_of(tokens)
    share = {i: float((pooled_ids == i).mean()) for i in set(pooled_ids.tolist())}
    for vector, group in zip(sif.pool(values, tokens), groups_of(tokens), strict=True):
        weights = [0.05 / (0.05 + share[int(i)]) for i in tokens.ids[group]]
        expected = np.average(values[group], axis=0, weights=weights) if len(group) else np.zeros(WIDTH)
        np.testing.assert_allclose(vector, expected, atol=1e-5)


def test_sif_gives_unseen_tokens_full_weight() -> None:
    seen = tokens_of([(4, [[0, 1, 2, 3]])], vocabulary=1)
    sif = SifPool(a=0.5).fit(seen)
    new = tokens_of([(2, [[0, 1]])], vocabulary=7)
    assert new.ids.tolist() == [0, 5]
    np.testing.assert_allclose(sif.weights(new), [0.25, 0.75])


def test_sif_says_what_is_missing() -> None:
    tokens = tokens_of([(2, [[0, 1]])])
    with pytest.raises(RecipeError, match="fit the recipe"):
        SifPool().weights(tokens)
    with pytest.raises(RecipeError, match="expected a probability above 0"):
        SifPool(a=0).fit(tokens).weights(tokens)


def test_a_batch_of_items_changes_nothing() -> None:
    tokens = tokens_of([(3, [[0, 1, 2]]), (1, [[0]]), (6, [[1, 2], [], [4, 5]]), (0, [[]])])
    values = values_of(tokens)
    sif = SifPool().fit(tokens)
    poolings: list[Pooling] = [MeanPool(), WeightedMeanPool(), ClsPool(), LastPool(), MaxPool(), sif]
    for pooling in poolings:
        whole = pooling.pool(values, tokens)
        for item in range(len(tokens)):
            part = tokens.take(np.array([item]))
            alone = pooling.pool(values[tokens.offsets[item] : tokens.offsets[item + 1]], part)
            np.testing.assert_allclose(alone, whole[tokens.units[item] : tokens.units[item + 1]], atol=1e-7)


def test_units_travel_with_the_vectors() -> None:
    tokens = tokens_of([(3, [[0], [1, 2]]), (1, [[0]])])
    vectors = MeanPool().transform(States(values_of(tokens)[None], (0,), tokens))
    assert vectors.units is not None
    assert vectors.units.tolist() == [0, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pooling", "mode"),
    [
        (MeanPool(), "mean"),
        (MaxPool(), "max"),
        (ClsPool(), "cls"),
        (LastPool(), "lasttoken"),
        (WeightedMeanPool(), "weightedmean"),
    ],
)
def test_equals_sentence_transformers_on_a_padded_batch(pooling: Pooling, mode: str) -> None:
    torch = pytest.importorskip("torch")
    modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
    lengths = [7, 1, 4, 12]
    tokens = tokens_of([(length, [list(range(length))]) for length in lengths])
    values = values_of(tokens)
    mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
    padded = np.full((*mask.shape, WIDTH), 99, np.float32)
    padded[mask] = values
    features = {"token_embeddings": torch.tensor(padded), "attention_mask": torch.tensor(mask.astype(np.int64))}
    peer = modules.Pooling(WIDTH, pooling_mode=mode)(features)["sentence_embedding"].numpy()
    np.testing.assert_allclose(pooling.pool(values, tokens), peer, atol=1e-5)


@pytest.mark.parametrize(
    "text", ["MeanPool()", "MaxPool()", "ClsPool()", "LastPool()", "WeightedMeanPool()", "SifPool()", "SifPool(0.01)"]
)
def test_text_round_trip(text: str) -> None:
    assert str(parse(text)) == text
