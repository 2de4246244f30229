from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from plait.fusion.meta_embedding import METHODS, MetaEmbedding
from plait.step import unit_rows
from plait.types import DataError, RecipeError

WORDS = [f"w{number}" for number in range(80)]


def table(width: int = 6, seed: int = 0, rows: int = 80) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)


def turned(rows: np.ndarray, seed: int = 9) -> np.ndarray:
    width = rows.shape[1]
    return (rows @ np.linalg.qr(np.random.default_rng(seed).normal(size=(width, width)))[0]).astype(np.float32)


def cosines(rows: np.ndarray) -> np.ndarray:
    return unit_rows(rows) @ unit_rows(rows).T


def unit_center_unit(rows: np.ndarray) -> np.ndarray:
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    rows = rows - rows.mean(axis=0)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_turned_copies_of_a_table_give_the_table() -> None:
    rows = table()
    meta = MetaEmbedding().fit([(WORDS, rows), (WORDS, turned(rows)), (WORDS, turned(rows, 5))])
    np.testing.assert_allclose(meta.vectors_, unit_center_unit(rows), atol=1e-5)
    plain = MetaEmbedding("average").fit([(WORDS, rows), (WORDS, turned(rows)), (WORDS, turned(rows, 5))])
    assert np.abs(plain.vectors_ - meta.vectors_).max() > 0.1


def test_the_target_keeps_its_place_and_the_others_their_cosines() -> None:
    tables = [table(seed=0), table(seed=1), table(seed=2)]
    meta = MetaEmbedding(target=1).fit([(WORDS, rows) for rows in tables])
    np.testing.assert_array_equal(meta.maps_[1], np.eye(6))
    for turn in meta.maps_:
        np.testing.assert_allclose(turn.T @ turn, np.eye(6), atol=1e-10)
    by_hand = sum(unit_center_unit(rows) @ turn for rows, turn in zip(tables, meta.maps_, strict=True))
    np.testing.assert_allclose(meta.vectors_, unit_rows(by_hand), atol=1e-5)


def test_an_average_is_as_wide_as_its_widest_source_and_holds_all_words() -> None:
    first, second = (WORDS[:60], table(6, rows=60)), (WORDS[40:], table(4, rows=40))
    meta = MetaEmbedding().fit([first, second])
    assert meta.vocabulary_ == WORDS
    assert meta.vectors_.shape == (80, 6)
    assert meta.filled_ == [20, 40]
    np.testing.assert_allclose(np.linalg.norm(meta.vectors_, axis=1), 1, atol=1e-5)
    assert MetaEmbedding("concat").fit([first, second]).vectors_.shape == (80, 12)
    assert MetaEmbedding("concat_svd", n_components=5).fit([first, second]).vectors_.shape == (80, 5)
    assert MetaEmbedding(n_components=3).fit([first, second]).vectors_.shape == (80, 3)
    assert MetaEmbedding("gcca", n_components=3).fit([first, second]).vectors_.shape == (80, 3)


def test_concatenation_has_the_mean_of_the_sources_cosines() -> None:
    tables = [table(6), table(4, seed=1)]
    meta = MetaEmbedding("concat", normalize="unit").fit([(WORDS, rows) for rows in tables])
    np.testing.assert_allclose(cosines(meta.vectors_), (cosines(tables[0]) + cosines(tables[1])) / 2, atol=1e-5)


def test_all_directions_of_the_svd_are_the_concatenation() -> None:
    tables = [(WORDS, table(3)), (WORDS, table(3, seed=1))]
    whole, joined = (MetaEmbedding(method, n_components=n) for method, n in (("concat_svd", 6), ("concat", 3)))
    # Padding to six numbers a part adds zeros only, so that six directions hold everything.
    np.testing.assert_allclose(cosines(whole.fit(tables).vectors_), cosines(joined.fit(tables).vectors_), atol=1e-5)


def test_words_that_a_table_lacks() -> None:
    first, second = table(rows=60), table(seed=1, rows=40)
    tables = [(WORDS[:60], first), (WORDS[40:], second)]
    left_out = MetaEmbedding(oov="zero").fit(tables)
    np.testing.assert_allclose(left_out.transform(WORDS[:40]), unit_center_unit(first)[:40], atol=1e-5)
    assert left_out.filled_ == [0, 0]
    assert MetaEmbedding(oov="skip").fit(tables).vocabulary_ == WORDS[40:60]
    with pytest.raises(DataError, match="no word is in all tables"):
        MetaEmbedding("average", oov="skip").fit([(WORDS[:40], table(rows=40)), (WORDS[40:], table(rows=40))])


def test_two_languages_meet_through_a_dictionary() -> None:
    rows = table()
    english, french = [f"en:{word}" for word in WORDS], [f"fr:{word}" for word in WORDS]
    pairs = [(f"en:{word}", f"fr:{word}") for word in WORDS[:40]]
    tables = [(english, rows), (french, turned(rows))]
    for dictionaries in ({(0, 1): pairs}, {(1, 0): [(b, a) for a, b in pairs]}):
        meta = MetaEmbedding(oov="zero").fit(tables, dictionaries=dictionaries)
        np.testing.assert_allclose(meta.transform(english), meta.transform(french), atol=1e-5)
    with pytest.raises(DataError, match=r"share no word.*dictionaries=\{\(1, 0\)"):
        MetaEmbedding().fit(tables)


def test_tables_of_gensims_kind_and_texts_are_read() -> None:
    rows = table()
    like_gensim = SimpleNamespace(index_to_key=WORDS, vectors=rows)
    pair = (WORDS, turned(rows))
    one, other = MetaEmbedding().fit([like_gensim, pair]), MetaEmbedding().fit([(WORDS, rows), pair])
    assert one.vectors_.tobytes() == other.vectors_.tobytes()


def test_unknown_words_are_zeros() -> None:
    meta = MetaEmbedding().fit([(WORDS, table()), (WORDS, table(seed=1))])
    assert meta.transform(["w3", "nowhere"]).any(axis=1).tolist() == [True, False]
    assert meta.transform([]).shape == (0, 6)
    with pytest.raises(DataError, match="list of words"):
        meta.transform("w3")


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        (MetaEmbedding("mean"), "align_average"),
        (MetaEmbedding(oov="random"), "neighbours"),
        (MetaEmbedding(target=2), "there are 2 tables"),
        (MetaEmbedding(normalize="center"), "unit_center_unit"),
        (MetaEmbedding(k=0), "k is 0"),
    ],
)
def test_unknown_options_are_refused(meta: MetaEmbedding, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        meta.fit([(WORDS, table()), (WORDS, table())])
    with pytest.raises(RecipeError, match="not fitted"):
        meta.transform(["w1"])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ((WORDS, table(rows=79)), "word table 1 has 80 words"),
        (([*WORDS[:79], "w0"], table()), "79 different"),
        ((WORDS, np.full((80, 3), np.nan)), "NaN"),
    ],
)
def test_damaged_tables_are_refused(bad: tuple[list[str], np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message):
        MetaEmbedding().fit([(WORDS, table()), bad])
    with pytest.raises(DataError, match="two or more"):
        MetaEmbedding().fit([bad])


@given(
    st.lists(st.sets(st.sampled_from(WORDS[:12]), min_size=1), min_size=2, max_size=4),
    st.sampled_from(METHODS),
    st.sampled_from(["neighbours", "zero"]),
)
def test_every_word_of_any_table_gets_a_finite_vector(parts: list[set[str]], method: str, oov: str) -> None:
    tables = [(["all", *sorted(part)], table(3, seed, len(part) + 1)) for seed, part in enumerate(parts)]
    meta = clone(MetaEmbedding(method, oov=oov)).fit(tables)
    assert set(meta.vocabulary_) == set().union(*parts, {"all"})
    assert np.isfinite(meta.vectors_).all()
    assert meta.vectors_.dtype == np.float32
