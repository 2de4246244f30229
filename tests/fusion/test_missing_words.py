import numpy as np
import pytest

from plait.fusion.missing_words import fill_missing, from_neighbours
from plait.fusion.word_tables import Source
from plait.step import unit_rows


def table(rows: int, width: int, seed: int) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32))


def by_hand(word: np.ndarray, known: np.ndarray, images: np.ndarray, counts: range) -> tuple[np.ndarray, float]:
    """One word, one count after the other, as the method is described."""
    cosine = known @ word
    order = np.argsort(-cosine)
    best, found = -2.0, images[0]
    for k in counts:
        nearest = order[:k]
        weights = cosine[nearest] + 1
        centroid = np.average(known[nearest], axis=0, weights=weights)
        fit = float(centroid @ word / np.linalg.norm(centroid) / np.linalg.norm(word))
        if fit > best:
            best, found = fit, np.average(images[nearest], axis=0, weights=weights)
    return found / np.linalg.norm(found), best


@pytest.mark.parametrize(("k", "counts"), [(None, range(2, 13)), (5, range(5, 6)), (1, range(1, 2))])
def test_it_is_what_a_loop_over_words_and_counts_gives(k: int | None, counts: range) -> None:
    knowing, images = table(40, 6, 0), table(30, 4, 1)
    made, cosine = from_neighbours(knowing, np.arange(30, 40), np.arange(30), images, k, 12)
    for row in range(10):
        vector, fit = by_hand(knowing[30 + row], knowing[:30], images, counts)
        np.testing.assert_allclose(made[row], vector, atol=1e-5)
        assert cosine[row] == pytest.approx(fit, abs=1e-5)


def test_more_neighbours_than_there_are_words_is_all_of_them() -> None:
    knowing, images = table(5, 6, 0), table(3, 4, 1)
    made, _ = from_neighbours(knowing, np.array([3, 4]), np.arange(3), images, 50)
    vector, _ = by_hand(knowing[3], knowing[:3], images, range(3, 4))
    np.testing.assert_allclose(made[0], vector, atol=1e-5)


def test_a_turned_table_gives_the_turned_vector() -> None:
    knowing = table(200, 8, 0)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))[0]
    made, cosine = from_neighbours(knowing, np.arange(150, 200), np.arange(150), knowing[:150] @ turn)
    reached = np.einsum("nd,nd->n", made, knowing[150:] @ turn)
    np.testing.assert_allclose(reached, cosine, atol=1e-5)


def test_the_source_that_comes_closest_decides() -> None:
    words = [f"w{n}" for n in range(60)]
    clear, image = table(60, 3, 0), table(50, 3, 1)
    crowded = table(60, 30, 2)  # in thirty dimensions no average of neighbours comes near
    sources = [Source(words[:50], image), Source(words, crowded), Source(words, clear)]
    filled = fill_missing(sources, words, {}, None, 20)
    for n in range(50, 60):
        best = by_hand(clear[n], clear[:50], image, range(2, 21))
        assert best[1] > by_hand(crowded[n], crowded[:50], image, range(2, 21))[1]
        np.testing.assert_allclose(filled[0][n], best[0], atol=1e-5)
    np.testing.assert_array_equal(filled[0][:50], image)
    np.testing.assert_array_equal(filled[1], crowded)


def test_nothing_shared_gives_zeros_and_a_dictionary_helps() -> None:
    one, other = Source(["en:a", "en:b", "en:c"], table(3, 4, 0)), Source(["fr:a", "fr:b"], table(2, 4, 1))
    words = ["en:a", "en:b", "en:c", "fr:a", "fr:b"]
    assert not fill_missing([one, other], words, {}, None, 9)[1][:3].any()
    filled = fill_missing([one, other], words, {(0, 1): [("en:a", "fr:a"), ("en:b", "fr:b")]}, None, 9)
    vector, _ = by_hand(one.vectors[2], one.vectors[:2], other.vectors, range(2, 3))
    np.testing.assert_allclose(filled[1][2], vector, atol=1e-5)
