"""Word tables rotated into one space, filled in from neighbours and averaged: similarity, tagging, two languages."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from _scan import stsb
from _two_languages import across_languages
from _word_tables import (
    WORD,
    Pairs,
    Table,
    book_sentences,
    factorized_counts,
    look_up,
    rank_correlation,
    similarity_sets,
    skip_gram,
    subword_skip_gram,
    treebank,
    windows,
    wordllama,
)
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeClassifier

from plait.fusion.meta_embedding import MetaEmbedding
from plait.fusion.missing_words import from_neighbours
from plait.fusion.word_tables import Source, normalized, read_source, same_words
from plait.papers import Ablation, Claim, Outcome
from plait.step import unit_rows
from plait.transforms.procrustes import Procrustes
from plait.types import Floats

DIM, LEAST = 200, 10
SEEDS = (0, 1, 2, 3, 4)
HIDDEN = 0.2
"""Share of the words that are taken out of one table."""
CLEARLY = 0.1
"""Cosine by which a made vector must lie closer to the true one than a made-up one does."""


class Score(NamedTuple):
    """Mean Spearman × 100 over the similarity sets, on pairs whose words all tables have."""

    sets: dict[str, Pairs]

    def __call__(self, table: Table) -> float:
        return float(np.mean([rank_correlation(table, pairs) for pairs in self.sets.values()]))


def check(data: Path) -> Outcome:
    trained = _tables(data)
    every = {**trained, "WordLlama": wordllama(list(dict.fromkeys(w for t in trained.values() for w in t[0])))}
    shared = set.intersection(*(set(table[0]) for table in trained.values()))
    found = {
        name: [pair for pair in pairs if pair[0] in shared and pair[1] in shared]
        for name, pairs in similarity_sets(data).items()
    }
    claims: list[Claim] = []
    ablations: list[Ablation] = []
    figures = {f"pairs, {name}": float(len(pairs)) for name, pairs in found.items()}
    score = Score(found)
    _similarity(trained, every, score, claims, ablations, figures)
    _hidden_words(trained, score, claims, ablations)
    _sentences(data, trained, figures)
    _tagging(data, trained, claims, figures)
    across_languages(data, claims, ablations, figures)
    return Outcome(
        claims,
        ablations,
        metric="mean Spearman × 100 of four word-similarity sets",
        data=[
            "text/classic_books",
            "words/similarity",
            "words/analogy",
            "sts/stsb",
            "ud/en_lines",
            "ud/fr_sequoia",
            "ner/wikiann_fr",
            "text/genesis",
            "bitext/tatoeba",
            "phonetic/cognet",
            "text/wikitext2",
        ],
        seeds=SEEDS,
        figures=figures,
        note=(
            "Similarity is measured on pairs whose words all tables have, so that coverage and quality do not mix. "
            "RareWords is not at hand; SimVerb-3500 and MTurk-771 stand beside WordSim-353 and SimLex-999. "
            "There is no English or French Bible here: the second language is trained on 0.4 million words of French "
            "titles, Genesis and treebank, and the dictionary is of cognates, of words that choose each other over a "
            "thousand aligned sentences, and of numerals and signs. A French word that the French table lacks is "
            "looked up as the English word of the same spelling. That is too little French: the two tables are shaped "
            "so differently that no nearest word is a translation, although the parts of speech carry over. The tables "
            "trained here (18 MB of text each) differ much in quality, and an average in which all have one vote ends "
            "between them: leaving the weaker skip-gram table out is then better than making its missing words, even "
            "though these come close to the true ones. What four tables agree on (gcca, see the figures) does beat the "
            "best of them."
        ),
    )


def _tables(data: Path) -> dict[str, Table]:
    return {
        "skip-gram, window 2": skip_gram(book_sentences(data, [0, 1]), DIM, 2, 5, LEAST),
        "skip-gram, window 10": skip_gram(book_sentences(data, [1, 2]), DIM, 10, 3, LEAST),
        "PPMI and SVD": factorized_counts(book_sentences(data, [2, 3]), DIM, 4, LEAST),
        "subword skip-gram": subword_skip_gram(book_sentences(data, [3, 4]), DIM, 5, 4, LEAST),
    }


def _table(meta: MetaEmbedding) -> Table:
    return meta.vocabulary_, meta.vectors_


def _similarity(
    trained: dict[str, Table],
    every: dict[str, Table],
    score: Score,
    claims: list[Claim],
    ablations: list[Ablation],
    figures: dict[str, float],
) -> None:
    alone = {name: score(_centred(table)) for name, table in every.items()}
    metas = {
        method: MetaEmbedding(method, n_components=DIM).fit(list(trained.values()))
        for method in ("align_average", "average", "concat", "concat_svd", "gcca")
    }
    fused = {method: score(_table(meta)) for method, meta in metas.items()}
    meta = metas["align_average"]
    five = score(_table(MetaEmbedding(n_components=DIM).fit(list(every.values()))))
    strongest = max(alone[name] for name in trained)
    best = Claim.above("the aligned average of four tables beats the best of them", fused["align_average"], strongest)
    union = len({word for words, _ in trained.values() for word in words})
    covered = Claim("it has every word of any of them", len(meta.vocabulary_) == union, len(meta.vocabulary_), union, 0)
    width = meta.vectors_.shape[1]
    narrow = Claim("it is no wider than they are", width <= DIM, width, DIM, 0)
    claims += [
        best,
        Claim.above("and with WordLlama as a fifth, WordLlama", five, max(alone.values())),
        Claim.above("aligned beats averaging as they are", fused["align_average"], fused["average"]),
        Claim.above("it loses less than a point to concatenation", fused["align_average"], fused["concat"], -1),
        covered,
        narrow,
        _turns(trained, meta),
    ]
    common = MetaEmbedding(oov="skip").fit(list(trained.values()))
    wide = metas["concat"].vectors_.shape[1]
    ablations += [
        best.without("turned by maps that were learned from shuffled word pairs", score(_misaligned(trained))),
        Ablation("only words that all tables have", len(common.vocabulary_) < union, len(common.vocabulary_)),
        Ablation("a concatenation passed off as the average", wide > DIM, wide),
    ]
    figures |= {f"similarity, {name}": value for name, value in alone.items()}
    figures |= {f"similarity, {name} of the four": value for name, value in fused.items()}
    figures["similarity, PPMI and SVD alone, not centred"] = score(trained["PPMI and SVD"])
    for name, pairs in score.sets.items():
        figures[f"{name}, aligned average"] = rank_correlation(_table(meta), pairs)


def _source(table: Table) -> Source:
    return normalized(read_source(table, 0), "unit_center_unit")


def _centred(table: Table) -> Table:
    return table[0], _source(table).vectors


def _turns(trained: dict[str, Table], meta: MetaEmbedding) -> Claim:
    """How far the maps are from rotations, and the cosines within a table from what they were."""
    off = max(float(np.abs(turn.T @ turn - np.eye(DIM)).max()) for turn in meta.maps_)
    for table, turn in zip(trained.values(), meta.maps_, strict=True):
        rows = _source(table).vectors[:500].astype(np.float64)
        off = max(off, float(np.abs((rows @ turn) @ (rows @ turn).T - rows @ rows.T).max()))
    return Claim("the maps are rotations: cosines within a table stay, to 1e-5", off < 1e-5, off, 1e-5, 0)


def _misaligned(trained: dict[str, Table]) -> Table:
    """The average after maps that were learned with each word facing a random one."""
    rng = np.random.default_rng(0)
    sources = [_source(table) for table in trained.values()]
    turned = [(list(sources[0].words), sources[0].vectors)]
    for number in range(1, len(sources)):
        there, here = same_words(sources, number, 0, {})
        mixed = Procrustes().fit(sources[number].vectors[there], sources[0].vectors[rng.permutation(here)])
        turned.append((list(sources[number].words), mixed.transform(sources[number].vectors)))
    return _table(MetaEmbedding("average", normalize=None).fit(turned))


def _hidden_words(trained: dict[str, Table], score: Score, claims: list[Claim], ablations: list[Ablation]) -> None:
    """A fifth of the words is taken out of the first table and made anew."""
    name, *others = trained
    words, vectors = _centred(trained[name])
    knowing = _source(trained[others[0]])
    cosines: dict[str, list[float]] = {"made": [], "random": []}
    scores: dict[str, list[float]] = {"made": [], "zero": [], "random": []}
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        lost = rng.random(len(words)) < HIDDEN
        kept = ([w for w, gone in zip(words, lost, strict=True) if not gone], vectors[~lost])
        rest = [trained[other] for other in others]
        hidden = {w for w, gone in zip(words, lost, strict=True) if gone}
        touched = Score({n: [p for p in ps if p[0] in hidden or p[1] in hidden] for n, ps in score.sets.items()})
        made, random = _made(kept, knowing, hidden, rng)
        true = vectors[[n for n, w in enumerate(words) if w in made]]
        for kind, found in (("made", made), ("random", random)):
            given = np.stack([found[w] for w in words if w in made])
            cosines[kind].append(float(np.einsum("nd,nd->n", given, true).mean()))
        mended = ([*kept[0], *random], np.vstack([kept[1], *random.values()]))
        for kind, first, oov in (("made", kept, "neighbours"), ("zero", kept, "zero"), ("random", mended, "zero")):
            scores[kind].append(touched(_table(MetaEmbedding(oov=oov).fit([first, *rest]))))
    mean = {kind: float(np.mean(values)) for kind, values in cosines.items()}
    near = Claim.above(
        "made vectors are closer to the true ones than averages of random words", mean["made"], mean["random"], CLEARLY
    )
    level = {kind: float(np.mean(values)) for kind, values in scores.items()}
    better = Claim.above("making hidden words betters the similarity of their pairs", level["made"], level["zero"])
    claims += [near, better]
    ablations.append(better.without("hidden words made from random words", level["random"]))


def _made(
    kept: Table, knowing: Source, hidden: set[str], rng: np.random.Generator
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Vectors of the hidden words that the other table knows: from neighbours, and from random words."""
    own = Source(*kept)
    there, here = same_words([knowing, own], 0, 1, {})
    known = [word for word in knowing.words if word in hidden]
    rows = np.array([knowing.row[word] for word in known])
    made, _ = from_neighbours(knowing.vectors, rows, there, own.vectors[here])
    random, _ = from_neighbours(knowing.vectors, rows, there, own.vectors[rng.permutation(here)])
    return dict(zip(known, made, strict=True)), dict(zip(known, random, strict=True))


def _sentences(data: Path, trained: dict[str, Table], figures: dict[str, float]) -> None:
    """Averaged vectors of the words of a sentence, on the test part of STS-B; and analogies. Figures only."""
    pairs = stsb(data, "test")
    tables = {name: _centred(table) for name, table in trained.items()}
    tables["aligned average"] = _table(MetaEmbedding().fit(list(trained.values())))
    asked = _analogies(data, set.intersection(*(set(words) for words, _ in trained.values())))
    figures["analogies asked"] = len(asked)
    for name, table in tables.items():
        look = look_up(table)
        sides = [
            np.stack([look(WORD.findall(text.lower()) or [""]).mean(axis=0) for text in texts])
            for texts in ([pair[0] for pair in pairs], [pair[1] for pair in pairs])
        ]
        cosine = np.einsum("nd,nd->n", unit_rows(sides[0]), unit_rows(sides[1]))
        figures[f"STS-B, {name}"] = 100 * float(spearmanr(cosine, [pair[2] for pair in pairs]).statistic)
        figures[f"analogies, {name}"] = _answered(table, asked)


def _analogies(data: Path, known: set[str]) -> list[list[str]]:
    raw = gzip.decompress((data / "words" / "analogy" / "google-questions-words.txt.gz").read_bytes()).decode()
    rows = [line.lower().split() for line in raw.splitlines() if not line.startswith(":")]
    rows = [row for row in rows if len(row) == 4 and known.issuperset(row)]
    chosen = np.random.default_rng(0).permutation(len(rows))[:1500]
    return [rows[n] for n in chosen]


def _answered(table: Table, asked: Sequence[Sequence[str]]) -> float:
    """Share × 100 of questions a : b = c : d whose d is closest to b - a + c."""
    row = {word: n for n, word in enumerate(table[0])}
    vectors = unit_rows(table[1])
    ids = np.array([[row[word] for word in words] for words in asked])
    a, b, c = (vectors[ids[:, n]] for n in range(3))
    cosine = (b - a + c) @ vectors.T
    np.put_along_axis(cosine, ids[:, :3], -np.inf, axis=1)
    return 100 * float(np.mean(cosine.argmax(axis=1) == ids[:, 3]))


def _tagging(data: Path, trained: dict[str, Table], claims: list[Claim], figures: dict[str, float]) -> None:
    parts = [treebank(data / "ud" / "en_lines" / f"{part}.conllu.gz") for part in ("train", "test")]
    meta = MetaEmbedding().fit(list(trained.values()))
    looks = {name: look_up(_centred(table)) for name, table in trained.items()}
    looks["aligned average"] = meta.transform
    found = {}
    for name, look in looks.items():
        tagger = RidgeClassifier().fit(*windows(parts[0], look))
        found[name] = 100 * float(tagger.score(*windows(parts[1], look)))
    figures |= {f"part of speech, {name}": value for name, value in found.items()}
    best, ours = max(found[name] for name in trained), found["aligned average"]
    claims.append(Claim("part of speech: no worse than the best table", ours >= best, ours, best, 0))
