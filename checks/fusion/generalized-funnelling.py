"""Documents of four languages labelled through one judge, with one language that has few of them."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import hstack
from scipy.stats import ttest_rel
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import brier_score_loss, f1_score
from sklearn.model_selection import KFold
from sklearn.svm import LinearSVC

from plait.fusion.funnelling import Funnelling
from plait.fusion.label_posteriors import LabelPosteriors
from plait.fusion.views import WORD, PosteriorView, View, WordClassView, WordVectorView
from plait.fusion.word_tables import WordTable
from plait.papers import Claim, Outcome
from plait.types import Floats

LANGUAGES = ("Estonian-PART", "Swahili-NT", "Ukranian-NT", "Gujarati-NT")
"""Three scripts. Each in turn is the language with few documents."""
BOOKS = ("MAT", "MAR", "LUK", "JOH", "ACT", "ROM", "1CO", "2CO", "HEB", "REV")
GENRES = {"gospel": ("MAT", "MAR", "LUK", "JOH"), "letter": ("ROM", "1CO", "2CO", "HEB")}
VERSES, FEW, DIM = 8, 60, 100
SEEDS = (0, 1, 2, 3, 4)
HELD_OUT = 0.25
STRENGTHS = (0.1, 1.0, 10.0)
"""C of the linear classifiers that the second tier is compared with."""

Texts = dict[str, list[str]]
Gold = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Bed:
    """Documents of a split; no test document is a translation of a training one.

    Attributes:
        few: the language with `FEW` training documents.
    """

    train: Texts
    train_gold: Gold
    test: Texts
    test_gold: Gold
    few: str


class PermutedColumns(View):
    """A view whose columns stand in another order in every language: what the judge learns no longer carries over."""

    def __init__(self, view: View) -> None:
        self.view = view

    @property
    def posterior(self) -> bool:  # type: ignore[override]
        return self.view.posterior

    def fit(self, X: Mapping[str, list[str]], y: Mapping[str, np.ndarray]) -> PermutedColumns:  # type: ignore[override]
        self.view_ = copy(self.view).fit(X, y)
        return self

    def transform(self, X: Mapping[str, list[str]]) -> dict[str, Floats]:  # type: ignore[override]
        found = self.view_.transform(X)
        return {
            language: rows[:, np.random.default_rng(LANGUAGES.index(language)).permutation(rows.shape[1])]
            for language, rows in found.items()
        }


def check(data: Path) -> Outcome:
    verses = {language: _verses(data, language) for language in LANGUAGES}
    tables = _common_space(verses)
    beds = [_bed(verses, seed) for seed in SEEDS]
    lexical: list[View] = [PosteriorView(), WordClassView()]
    every: list[View] = [*lexical, WordVectorView(tables)]
    plain: list[View] = [PosteriorView()]
    models = {
        "X": Funnelling(plain),
        "X + W": Funnelling(lexical),
        "X + W + M": Funnelling(every),
        "X + W + M side by side": Funnelling(every, aggregate="concat"),
        "X, left out in turn": Funnelling(plain, posteriors="kfold"),
        "X + W + M, left out in turn": Funnelling(every, posteriors="kfold"),
        "X, columns permuted": Funnelling([PermutedColumns(view) for view in plain]),
        "X + W + M, columns permuted": Funnelling([PermutedColumns(view) for view in every]),
    }
    said = {name: [model.fit(b.train, b.train_gold).predict(b.test) for b in beds] for name, model in models.items()}
    alone = {"a linear classifier for each language": _linear, "two tiers for each language": _two_tiers}
    said |= {name: [way(bed) for bed in beds] for name, way in alone.items()}
    macro = {
        name: np.array([_f1(b, one, LANGUAGES) for b, one in zip(beds, runs, strict=True)])
        for name, runs in said.items()
    }
    low = {
        name: np.array([_f1(b, one, [b.few]) for b, one in zip(beds, runs, strict=True)]) for name, runs in said.items()
    }
    micro = {
        name: float(np.mean([_f1(b, one, LANGUAGES, "micro") for b, one in zip(beds, runs, strict=True)]))
        for name, runs in said.items()
    }
    added = _paired("views W and M add to X alone (macro-F1, p < 0.05 over splits)", macro["X + W + M"], macro["X"])
    poor = Claim.above(
        "X alone, judged across languages, helps the language with few documents",
        low["X"].mean(),
        max(low[name].mean() for name in alone),
        1,
    )
    over = Claim.above(
        "all views beat each language alone", macro["X + W + M"].mean(), max(macro[name].mean() for name in alone), 1
    )
    calibrated, raw = (float(np.mean([_brier(bed, way) for bed in beds])) for way in (True, False))
    return Outcome(
        [
            added,
            poor,
            over,
            Claim.above(
                "averaged views beat views side by side",
                macro["X + W + M"].mean(),
                macro["X + W + M side by side"].mean(),
            ),
            Claim.above("the word-class view adds to X", macro["X + W"].mean(), macro["X"].mean()),
            Claim.above("calibration lowers the Brier score of the posteriors (× 100, negative)", -calibrated, -raw),
        ],
        [
            poor.without("columns of X permuted in each language", low["X, columns permuted"].mean()),
            over.without("columns of the views permuted in each language", macro["X + W + M, columns permuted"].mean()),
        ],
        metric="macro-F1 × 100, mean over four languages",
        data=["bitext/bible"],
        seeds=SEEDS,
        figures={
            **{f"macro-F1, {name}": float(values.mean()) for name, values in macro.items()},
            **{f"macro-F1 of the language with few, {name}": float(values.mean()) for name, values in low.items()},
            **{f"micro-F1, {name}": value for name, value in micro.items()},
            "training documents": float(np.mean([len(texts) for b in beds for texts in b.train.values()])),
            "test documents": float(np.mean([len(texts) for b in beds for texts in b.test.values()])),
        },
        note=(
            "Labels are ten books of the New Testament and two genres that span several books; testament, history "
            "and prophecy would repeat one of them. Chapters are dealt out: a quarter is tested on in all languages, "
            "every other one trains one language only. View M are latent semantic vectors of verses from the other "
            "books, one document a verse with its words of all four languages. The transformer view is left out: the "
            "multilingual one at hand is too slow here. What is compared with is the stronger of a linear classifier "
            "(balanced, its C chosen on training documents) and both tiers for each language alone; a first run took "
            "an unbalanced linear one, which was no baseline (macro-F1 16). With 130 documents a language the views "
            "added to X help the language with few and not the others. Whether the judge overrates views of "
            "documents that they were learned from, the figures with documents left out in turn tell."
        ),
    )


def _verses(data: Path, language: str) -> dict[str, str]:
    raw = gzip.decompress((data / "bitext" / "bible" / f"{language}.tsv.gz").read_bytes()).decode()
    return dict(line.split("\t", 1) for line in raw.splitlines()[1:])


def _common_space(verses: Mapping[str, Mapping[str, str]]) -> dict[str, WordTable]:
    """Word vectors of all languages from verses that no task document holds."""
    shared = set.intersection(*(set(found) for found in verses.values()))
    shared = {verse for verse in shared if verse.split(".")[1] not in (*BOOKS, "GEN")}
    words = {language: TfidfVectorizer(sublinear_tf=True, token_pattern=WORD, min_df=2) for language in verses}
    order = sorted(shared)
    blocks = [words[name].fit_transform([found[verse] for verse in order]) for name, found in verses.items()]
    vectors = TruncatedSVD(DIM, random_state=0).fit(hstack(blocks)).components_.T
    parts = np.split(vectors, np.cumsum([block.shape[1] for block in blocks])[:-1])
    return {
        name: (list(words[name].get_feature_names_out()), np.asarray(part, np.float32))
        for name, part in zip(verses, parts, strict=True)
    }


def _bed(verses: Mapping[str, Mapping[str, str]], seed: int) -> Bed:
    rng = np.random.default_rng(seed)
    chapters = sorted({tuple(verse.split(".")[1:3]) for verse in verses[LANGUAGES[1]] if verse.split(".")[1] in BOOKS})
    owner: dict[tuple[str, ...], int] = {}
    for book in BOOKS:  # book by book, so that every language has some of each
        own = [chapter for chapter in chapters if chapter[0] == book]
        rng.shuffle(own)
        held = max(1, round(HELD_OUT * len(own)))
        owner |= dict.fromkeys(map(tuple, own[:held]), -1)
        start = int(rng.integers(len(LANGUAGES)))
        owner |= {tuple(chapter): (start + n) % len(LANGUAGES) for n, chapter in enumerate(own[held:])}
    few = LANGUAGES[seed % len(LANGUAGES)]
    train: Texts = {}
    test: Texts = {}
    train_gold: Gold = {}
    test_gold: Gold = {}
    for number, (language, found) in enumerate(verses.items()):
        train[language], train_gold[language] = _documents(found, [c for c, own in owner.items() if own == number])
        test[language], test_gold[language] = _documents(found, [c for c, own in owner.items() if own == -1])
    kept = rng.permutation(len(train[few]))[:FEW]
    train[few], train_gold[few] = [train[few][n] for n in kept], train_gold[few][kept]
    return Bed(train, train_gold, test, test_gold, few)


def _documents(verses: Mapping[str, str], chapters: list[tuple[str, ...]]) -> tuple[list[str], np.ndarray]:
    """Eight consecutive verses each, with a column for each book and genre."""
    texts, labels = [], []
    by_chapter: dict[tuple[str, ...], list[str]] = {chapter: [] for chapter in chapters}
    for verse, text in verses.items():
        if (chapter := tuple(verse.split(".")[1:3])) in by_chapter:
            by_chapter[chapter].append(text)
    for chapter, lines in by_chapter.items():
        for start in range(0, len(lines) - VERSES // 2, VERSES):
            texts.append(" ".join(lines[start : start + VERSES]))
            labels.append([chapter[0] == book for book in BOOKS] + [chapter[0] in books for books in GENRES.values()])
    return texts, np.array(labels, int)


def _linear(bed: Bed) -> dict[str, np.ndarray]:
    """A linear classifier on each language's own weighted words, its strength chosen on training documents."""
    said = {}
    for language, texts in bed.train.items():
        gold = bed.train_gold[language]
        parts = list(KFold(3, shuffle=True, random_state=0).split(texts))
        scores = []
        for strength in STRENGTHS:
            found = np.zeros_like(gold)
            for kept, away in parts:
                found[away] = _tagged([texts[n] for n in kept], gold[kept], [texts[n] for n in away], strength)
            scores.append(f1_score(gold, found, average="macro", zero_division=0))
        said[language] = _tagged(texts, gold, bed.test[language], STRENGTHS[int(np.argmax(scores))])
    return said


def _tagged(texts: list[str], gold: np.ndarray, new: list[str], strength: float) -> np.ndarray:
    words = TfidfVectorizer(sublinear_tf=True, token_pattern=WORD)
    # Weighed by how rare a label is: otherwise hardly any document is given a rare one.
    bare = LinearSVC(C=strength, class_weight="balanced", random_state=0)
    classifier = LabelPosteriors(bare, calibrate=False).fit(words.fit_transform(texts), gold)
    return np.asarray(classifier.predict(words.transform(new)))


def _two_tiers(bed: Bed) -> dict[str, np.ndarray]:
    """The second tier, too, sees one language at a time."""
    said: dict[str, np.ndarray] = {}
    for language in bed.train:
        model = Funnelling([PosteriorView()]).fit({language: bed.train[language]}, {language: bed.train_gold[language]})
        said |= model.predict({language: bed.test[language]})
    return said


def _f1(bed: Bed, said: Mapping[str, np.ndarray], languages: Sequence[str], average: str = "macro") -> float:
    """F1 × 100 over the labels, mean over the languages."""
    return 100 * float(
        np.mean([f1_score(bed.test_gold[name], said[name], average=average, zero_division=0) for name in languages])
    )


def _brier(bed: Bed, calibrate: bool) -> float:
    """Mean Brier score × 100 of the first tier's posteriors."""
    scores = []
    for language, texts in bed.train.items():
        words = TfidfVectorizer(sublinear_tf=True, token_pattern=WORD)
        classifier = LabelPosteriors(calibrate=calibrate).fit(words.fit_transform(texts), bed.train_gold[language])
        made, gold = classifier.predict_proba(words.transform(bed.test[language])), bed.test_gold[language]
        scores += [brier_score_loss(gold[:, label], made[:, label]) for label in range(gold.shape[1])]
    return 100 * float(np.mean(scores))


def _paired(text: str, ours: np.ndarray, theirs: np.ndarray) -> Claim:
    p = ttest_rel(ours, theirs, alternative="greater").pvalue
    return Claim(text, bool(ours.mean() > theirs.mean() and p < 0.05), ours.mean(), theirs.mean(), 0)
