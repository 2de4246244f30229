"""Vectors for words that a table lacks, out of the neighbours that they have in a table which knows them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plait.fusion.word_tables import Dictionaries, Source, same_words
from plait.step import unit_rows
from plait.types import Floats, Ints

BLOCK = 256
"""Words that are worked out at once: 256 × 50 neighbours × 300 numbers are 15 MB."""


def fill_missing(
    sources: Sequence[Source], vocabulary: Sequence[str], dictionaries: Dictionaries, k: int | None, k_max: int
) -> list[Floats]:
    """Every source's vectors for every word: its own where it has one, otherwise one made from neighbours.

    A word that source o lacks is looked up in another source i that has it. Its neighbours there, among the words that
    both have, are averaged in both: with weights cosine + 1 and with the k that brings the average in i closest to the
    word's true vector in i. Of several i, the one whose average comes closest decides.

    Args:
        sources: the tables, all rows of length 1 for cosines to be meant.
        vocabulary: the words, each in one source at least.
        dictionaries: pairs of words that count as the same.
        k: how many neighbours; None searches 2 to ``k_max`` for every word.
        k_max: the most neighbours that the search tries.

    Returns:
        One ``[V, D]`` array a source; a word that shares no neighbours with a source gets zeros there.
    """
    filled = []
    for number, source in enumerate(sources):
        out = np.zeros((len(vocabulary), source.vectors.shape[1]), np.float32)
        closest = np.full(len(vocabulary), -np.inf)
        for place, word in enumerate(vocabulary):
            if word in source.row:
                out[place], closest[place] = source.vectors[source.row[word]], np.inf
        for other, knowing in enumerate(sources):
            there, here = same_words(sources, other, number, dictionaries)
            missing = [n for n, word in enumerate(vocabulary) if word not in source.row and word in knowing.row]
            if other == number or not missing or not len(there):
                continue
            places = np.array(missing)
            rows = np.array([knowing.row[vocabulary[n]] for n in missing])
            made, cosine = from_neighbours(knowing.vectors, rows, there, source.vectors[here], k, k_max)
            better = cosine > closest[places]
            out[places[better]], closest[places[better]] = made[better], cosine[better]
        filled.append(out)
    return filled


def from_neighbours(
    table: Floats, rows: Ints, shared: Ints, images: Floats, k: int | None = None, k_max: int = 50
) -> tuple[Floats, np.ndarray]:
    """Vectors in another table for rows of this one.

    Args:
        table: ``[V, D]``, the table that knows the words.
        rows: which of its rows to carry over.
        shared: ``[S]`` rows that both tables have.
        images: ``[S, D']`` the vectors of those rows in the other table.
        k: how many neighbours; None searches 2 to ``k_max``.
        k_max: the most neighbours that the search tries.

    Returns:
        ``[N, D']`` vectors of length 1, and ``[N]`` the cosine that the same average has, here, to the true vector.
    """
    count = min(k or k_max, len(shared))
    known, made, cosines = unit_rows(table[shared]), np.empty((len(rows), images.shape[1]), np.float32), []
    for start in range(0, len(rows), BLOCK):
        wanted = unit_rows(table[rows[start : start + BLOCK]])
        cosine = wanted @ known.T
        nearest = np.argpartition(-cosine, count - 1, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(cosine, nearest, axis=1), axis=1, kind="stable")
        nearest = np.take_along_axis(nearest, order, axis=1)
        weights = np.take_along_axis(cosine, nearest, axis=1) + 1
        centroids = np.cumsum(weights[:, :, None] * table[shared[nearest]], axis=1)
        lengths = np.linalg.norm(centroids, axis=2)
        fits = np.einsum("nkd,nd->nk", centroids, wanted) / np.maximum(lengths, np.finfo(np.float32).tiny)
        least = min(k or 2, count)
        chosen = least - 1 + fits[:, least - 1 :].argmax(axis=1)
        weights[np.arange(count) > chosen[:, None]] = 0
        made[start : start + BLOCK] = unit_rows(np.einsum("nk,nkd->nd", weights, images[nearest]))
        cosines.append(fits[np.arange(len(fits)), chosen])
    return made, np.concatenate(cosines)
