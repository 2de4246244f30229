"""The rungs against their peers, what texts and words get, and the tasks against libraries of their own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix, issparse
from scipy.stats import spearmanr
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

import plait
from plait.data.tasks import Labels, Pairs, Task
from plait.papers import taxonomy
from plait.pooling.frequency import SifPool
from plait.types import Codes, DataError, Items, Vectors
from plait.words import Analogies, Rung, TextModel, Vocabulary, WordPairs, WordTable, compare_rungs, ladder
from plait.words.rungs import RUNGS
from plait.words.vocabulary import words_of

RNG = np.random.default_rng(0)
THEMES = {"animal": ["cat", "dog", "owl", "bat", "fox", "hen"], "sky": ["sun", "moon", "star", "rain", "wind", "snow"]}
TEXTS = [" ".join(RNG.choice(theme, 7)) for _ in range(60) for theme in THEMES.values()]
CORPUS = [words_of(text) for text in TEXTS]
GENSIM = [name for name in RUNGS if name.split(",")[0] in ("skip-gram", "cbow", "fasttext", "pv-dm", "pv-dbow")]
QUICK = [name for name in RUNGS if name not in GENSIM]


def theme_margin(rows: np.ndarray) -> float:
    """How much closer words are within their theme than across; the first six are animals."""
    unit = normalize(rows)
    cosine = unit @ unit.T
    return float((cosine[:6, :6].mean() + cosine[6:, 6:].mean()) / 2 - cosine[:6, 6:].mean())


def dense(rows: object) -> np.ndarray:
    return rows.toarray() if issparse(rows) else np.asarray(rows)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def built() -> dict[str, Rung]:
    return ladder(CORPUS, QUICK, dim=5)


def test_tf_idf_is_that_of_scikit_learn(built: dict[str, Rung]) -> None:
    peer = TfidfVectorizer(analyzer=words_of).fit(TEXTS)
    texts = ["cat cat owl", "snow, and dog!", ""]
    ours = normalize(built["tf-idf"].embedder.encode(texts)).toarray()
    theirs = peer.transform(texts).toarray()
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-6)


def test_lsa_is_the_svd_of_tf_idf(built: dict[str, Rung]) -> None:
    matrix = TfidfVectorizer(analyzer=words_of, norm=None).fit_transform(TEXTS)
    theirs = TruncatedSVD(5, algorithm="arpack").fit_transform(matrix.astype(np.float64))
    ours = built["lsa"].embedder.encode(TEXTS)
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=0.05)


def test_the_bag_of_words_says_which_words_are_there(built: dict[str, Rung]) -> None:
    rows = built["bag of words"].embedder.encode(["cat cat owl", "unheard"]).toarray()
    assert rows.sum(axis=1).tolist() == [2, 0]


def test_factorised_ppmi_comes_near_ppmi(built: dict[str, Rung]) -> None:
    words = [word for theme in THEMES.values() for word in theme]
    whole = dense(built["ppmi"].embedder.words(words))
    assert theme_margin(whole) > 0.3
    assert theme_margin(built["ppmi-svd"].embedder.words(words)) > 0.3


def test_topics_are_shares(built: dict[str, Rung]) -> None:
    rows = built["topics"].embedder.encode(TEXTS[:5])
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", QUICK)
def test_texts_get_finite_vectors_whatever_stands_in_them(name: str, built: dict[str, Rung]) -> None:
    rows = dense(built[name].embedder.encode(["", "unheard of", "cat"]))
    assert np.isfinite(rows).all()
    assert len(rows) == 3
    assert built[name].seconds >= 0
    assert built[name].nbytes > 0 or name == "bag of words"


@pytest.mark.parametrize("name", ["skip-gram", "cbow", "fasttext", "pv-dm", "pv-dbow"])
def test_rungs_of_gensim_learn_repeat_and_change_with_the_seed(name: str) -> None:
    pytest.importorskip("gensim")
    one, same, other = (ladder(CORPUS, [name], dim=8, seed=seed)[name].embedder for seed in (0, 0, 1))
    words = ["cat", "snow", "cat moon"]
    np.testing.assert_array_equal(one.encode(words), same.encode(words))
    np.testing.assert_array_equal(one.encode(words)[::-1], one.encode(words[::-1]))
    assert not np.array_equal(one.encode(words), other.encode(words))


def test_fast_text_makes_up_vectors_and_others_give_zeros() -> None:
    pytest.importorskip("gensim")
    found = ladder(CORPUS, ["skip-gram", "fasttext"], dim=8)
    assert not found["skip-gram"].embedder.words(["catdog"]).any()
    assert found["fasttext"].embedder.words(["catdog"]).any()
    assert found["fasttext"].nbytes > found["skip-gram"].nbytes


def table() -> WordTable:
    vocabulary = Vocabulary.of(CORPUS, min_count=1)
    return WordTable(vocabulary, np.random.default_rng(1).normal(size=(len(vocabulary.words), 4)).astype(np.float32))


def test_a_text_is_the_mean_of_its_words() -> None:
    given = table()
    rows = given.words(["cat", "owl", "owl", "unheard"])
    assert not rows[3].any()
    np.testing.assert_allclose(given.encode(["Cat, owl, unheard owl"])[0], rows[:3].mean(axis=0), atol=1e-6)


def test_idf_weighs_the_mean() -> None:
    given = table()
    idf = given.vocabulary.idf[given.vocabulary.ids(["cat", "owl"])]
    expected = (idf[:, None] * given.words(["cat", "owl"])).mean(axis=0)
    np.testing.assert_allclose(given.with_idf().encode(["cat owl"])[0], expected, atol=1e-6)
    sparse = WordTable(given.vocabulary, csr_matrix(given.table)).with_idf()
    np.testing.assert_allclose(sparse.encode(["cat owl"]).toarray()[0], expected, atol=1e-6)


def test_sif_is_the_recipe_of_the_same_table_in_a_file(tmp_path: Path) -> None:
    given = table()
    lines = (
        f"{w} {' '.join(map(repr, row.tolist()))}" for w, row in zip(given.vocabulary.words, given.table, strict=True)
    )
    (tmp_path / "table.vec").write_text("\n".join(lines))
    recipe = plait.StaticTable(str(tmp_path / "table.vec")) | SifPool() | plait.AllButTheTop(1)
    theirs = recipe.fit(TEXTS).encode(TEXTS[:9]).values
    np.testing.assert_allclose(given.with_sif(CORPUS).encode(TEXTS[:9]), theirs, atol=1e-4)


def test_dealt_rows_are_the_same_rows_on_other_words() -> None:
    given = table()
    dealt = given.permuted()
    assert sorted(map(tuple, dealt.table.tolist())) == sorted(map(tuple, given.table.tolist()))
    assert not np.array_equal(dealt.words(["cat", "dog", "owl"]), given.words(["cat", "dog", "owl"]))


def test_recipes_stand_beside_what_was_built_and_codes_are_refused() -> None:
    recipe = plait.StaticTable("wordllama") | plait.MeanPool()
    found = ladder(CORPUS, ["tf-idf"], encoders={"table": recipe})
    assert list(found) == ["tf-idf", "table"]
    np.testing.assert_array_equal(found["table"].embedder.words(["cat"]), recipe.encode(["cat"]).values)
    assert found["table"].nbytes == 32000 * 256 * 4

    class Coder:
        def encode(self, items: Items) -> Vectors | Codes:
            return Codes(np.zeros((len(items), 1), np.uint8), None)

    with pytest.raises(DataError, match="gives codes"):
        ladder(CORPUS, [], encoders={"codes": Coder()})["codes"].embedder.encode(["cat"])


def test_an_unknown_rung_is_refused_with_those_there_are() -> None:
    with pytest.raises(DataError, match=r"no rung 'elmo'; expected some of bag of words, tf-idf"):
        ladder(CORPUS, ["elmo"])


def test_word_pairs_are_scored_by_spearman_and_one_hot_vectors_know_nothing() -> None:
    given = table()
    words = given.vocabulary.words
    pairs = WordPairs([(words[n], words[n + 1], float(RNG.random())) for n in range(10)])
    left, right = (normalize(given.words([pair[side] for pair in pairs.pairs])) for side in (0, 1))
    expected = spearmanr((left * right).sum(axis=1), [pair[2] for pair in pairs.pairs]).statistic
    assert pairs.score(given) == pytest.approx(100 * expected)
    assert pairs.score(WordTable(given.vocabulary, np.eye(len(words), dtype=np.float32))) == 0.0
    assert WordPairs([*pairs.pairs, ("cat", "unheard", 1.0)]).coverage(given.vocabulary.row) == pytest.approx(10 / 11)


def test_analogies_are_answered_as_by_gensim() -> None:
    models = pytest.importorskip("gensim.models")
    given = table()
    words = given.vocabulary.words
    vectors = models.KeyedVectors(4)
    vectors.add_vectors(words, given.table)
    questions = [tuple(RNG.choice(words, 3, replace=False)) for _ in range(20)]
    answers = [vectors.most_similar(positive=[b, c], negative=[a], topn=1)[0][0] for a, b, c in questions]
    right = Analogies([(*map(str, q), answer) for q, answer in zip(questions, answers, strict=True)], words)  # type: ignore[misc]
    assert right.score(given) == 100.0
    wrong = Analogies(
        [(a, b, c, next(w for w in words if w not in (a, b, c, d))) for a, b, c, d in right.questions], words
    )
    assert wrong.score(given) == 0.0
    assert right.score(WordTable(given.vocabulary, np.eye(len(words), dtype=np.float32))) == 0.0
    assert len(right.within(given.vocabulary.row).questions) == 20
    assert right.within({}).questions == []


def test_texts_are_scored_as_by_scipy_and_scikit_learn() -> None:
    model = TextModel(lambda texts: np.array([[text.count(c) + 0.1 for c in "aeiou"] for text in texts]), 40)
    gold = np.arange(10.0)
    similar = Task("sts", "s", tuple(TEXTS[:20]), parts={"all": Pairs(np.arange(10), np.arange(10, 20), gold)})
    labels = tuple("animal" if n % 2 == 0 else "sky" for n in range(60))
    parts = {"train": Labels(np.arange(40), labels[:40]), "test": Labels(np.arange(40, 60), labels[40:])}
    classes = Task("classification", "c", tuple(TEXTS[:60]), parts=parts)
    rung = ladder(CORPUS, [])
    found = compare_rungs(rung | {"vowels": Rung(model, 0.0)}, {"similar": similar, "classes": classes})
    rows = normalize(model.encode(TEXTS[:60]))
    expected = spearmanr((rows[:10] * rows[10:20]).sum(axis=1), gold).statistic
    assert found.of("vowels", "similar") == pytest.approx(100 * expected)
    peer = LogisticRegression(C=100, max_iter=1000).fit(rows[:40], labels[:40]).score(rows[40:], labels[40:])
    assert found.of("vowels", "classes") == pytest.approx(100 * peer)
    assert found.of("vowels", "bytes") == 40
    assert json.loads(found.to_json()) == found.table()
    chart = found.plot("similar")
    assert chart["data"] == {"values": found.table()}
    assert {"field": "similar", "type": "quantitative"} in chart["encoding"].values()  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="'other' of 'vowels' was not measured"):
        found.of("vowels", "other")
    with pytest.raises(DataError, match="clustering task"):
        compare_rungs({}, {"x": Task("clustering", "x", ("a", "b"), parts={"all": Labels(np.array([0]), ("a",))})})


def test_every_rung_stands_in_the_taxonomy_of_families() -> None:
    named = {row.fields["rung"] for row in taxonomy("embedding-families")}
    elsewhere = {"none", "two towers", "sentence-tuned encoder", "causal language model"}
    assert named - elsewhere <= set(RUNGS)
    variants = {"skip-gram, idf", "pv-dm"}
    assert set(RUNGS) - variants <= named
