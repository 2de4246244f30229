"""Does the rank of true partners say more about downstream quality than graded similarity does?"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from _models import Constant, TrainedWords, zoo

from plait.data import Pairs, read, sample_task
from plait.encoders.static import StaticTable
from plait.evaluation import EvalRank, TaskSpec, benchmark, interval, metric_validity, partners, suite
from plait.evaluation.benchmarking import texts_of
from plait.papers import Ablation, Claim, Outcome
from plait.pooling.mean import MeanPool

PROBES = ("MR", "CR", "SUBJ", "MPQA", "SST2", "TREC")
CAPS = {"train": 600, "dev": 100, "test": 400, "all": 600}
FOLDS = 5
PAIRS = {"stsb": {"train": 2000}, "sick": {"train": 1800}}
"""Pairs that positives and background are taken from; the test part of STS-B is kept out."""
POSITIVE = 4.0
CHANCE = 0.01
"""Mean reciprocal rank that partners dealt at random must stay below, for every model."""
WORD_SETS = (
    *("wordsim353-sim", "wordsim353-rel", "simlex999", "simverb-3500", "mturk-287", "mturk-771", "rg-65", "mc-30"),
    *("yp-130", "verb-143"),
)
BACKGROUND_WORDS = 20_000


def check(data: Path) -> Outcome:
    ranking = _ranking()
    specs = [*_probes(), *[spec for spec in suite("mteb-local") if spec.name == "STS-B"]]
    models = zoo([*ranking.texts, *texts_of(specs)], ranking.texts)
    found = {name: benchmark(model, specs) for name, model in models.items()}
    ranks = {name: ranking.evaluate(model) for name, model in models.items()}
    dealt = _dealt(ranking)
    by_chance = {name: dealt.evaluate(model).mrr for name, model in models.items()}
    metrics = {
        "partner rank": [ranks[name].mrr for name in models],
        "similarity": [found[name].value("STS-B") for name in models],
        "partners dealt at random": [by_chance[name] for name in models],
    }
    quality = {task: [found[name].value(task) for name in models] for task in PROBES}
    validity, linear = (metric_validity(metrics, quality, how) for how in ("spearman", "pearson"))
    said = {name: score.value for name, score in validity.correlations.items()}
    surer = validity.compare("partner rank", "similarity")
    chance = interval(validity.correlations["partners dealt at random"])
    constant = ranking.evaluate(Constant())
    more = Claim.above(
        "the rank of partners goes with downstream quality more than graded similarity does",
        said["partner rank"],
        said["similarity"],
    )
    return Outcome(
        [
            more,
            Claim(
                "a constant vector stands at chance, ties counting half",
                constant.mrr <= 2 / constant.size + 1e-9,
                constant.mrr,
                constant.chance,
                2 / constant.size,
            ),
        ],
        [
            Ablation(
                "partners dealt at random: the interval of the correlation with the probes holds 0",
                chance.low <= 0 <= chance.high,
                said["partners dealt at random"],
            ),
            Ablation(
                "partners dealt at random: the best model's mean reciprocal rank is at chance",
                max(by_chance.values()) < CHANCE,
                max(by_chance.values()),
            ),
        ],
        metric="Spearman with the mean of six probes, over models",
        data=["sts/stsb", "sts/sick", "classification", "words/similarity", "text/classic_books"],
        seeds=[0],
        figures={
            "models": len(models),
            "pairs, from either side": len(next(iter(ranks.values())).ranks),
            "background": constant.size,
            "difference, low end of 95 %": surer.low,
            "difference, high end of 95 %": surer.high,
            "dealt partners, low end of 95 %": chance.low,
            "dealt partners, high end of 95 %": chance.high,
            "partner rank, Pearson": linear.correlations["partner rank"].value,
            "similarity, Pearson": linear.correlations["similarity"].value,
            **{f"{name}, MRR": 100 * value.mrr for name, value in ranks.items()},
            **{f"{name}, STS-B": 100 * found[name].value("STS-B") for name in models},
            **{f"{name}, probes": 100 * found[name].mean("classification") for name in models},
            "MiniLM 6, hits at 1": 100 * ranks["MiniLM 6"].hits(1),
            "MiniLM 6, hits at 3": 100 * ranks["MiniLM 6"].hits(3),
            **_words(data),
        },
        note=(
            "Positives are pairs of STS-B (train, dev) and SICK scored 4 or more, from either side; the background is "
            "all sentences of the pairs drawn. The published pair files are not at hand, so that its table is not "
            f"reproduced. Probes: {', '.join(PROBES)}, logistic regression, {FOLDS} folds, {CAPS['all']} texts each; "
            "MRPC and SICK-E, which the paper adds, are left out. Half of the models are one host in other guises, as "
            "in the paper: they are not independent, and the interval over models is the one to look at. "
            "Graded similarity goes against the probes here: static tables and the tuned top layers score high on it, "
            "and low on sentiment and question types. So partners dealt at random (0.23 in a first run) come out "
            "above graded similarity too; what has to fail is their own correlation, as the paper's argument asks."
        ),
    )


def _probes() -> list[TaskSpec]:
    return [replace(spec, folds=FOLDS) for spec in suite("senteval", CAPS) if spec.name in PROBES]


def _ranking() -> EvalRank:
    found: list[tuple[str, str]] = []
    background: list[str] = []
    for name, most in PAIRS.items():
        task = read(f"data:sts/{name}", "sts", {"score": "relatedness"} if name == "sick" else None)
        task = sample_task(replace(task, parts={p: part for p, part in task.parts.items() if p != "test"}), most)
        found += partners(task, POSITIVE)
        pairs = [part for part in task.parts.values() if isinstance(part, Pairs)]
        rows = np.unique(np.concatenate([side for part in pairs for side in (part.left, part.right)]))
        background += [str(task.documents[row]) for row in rows.tolist()]
    return EvalRank(found, background)


def _dealt(ranking: EvalRank) -> EvalRank:
    """The same background, each first text with the partner of another pair."""
    partners_of = np.random.default_rng(0).permutation([b for _, b in ranking.pairs])
    pairs = [(a, str(b)) for (a, _), b in zip(ranking.pairs, partners_of, strict=True) if a != b]
    return EvalRank(pairs, ranking.texts)


def _words(data: Path) -> dict[str, float]:
    """The same at the level of words: the top quarter of word similarity sets among frequent words."""
    pairs, background = [], []
    for name in WORD_SETS:
        rows = _similarity(data / "words" / "similarity" / f"{name}.csv")
        background += [word for a, b, _ in rows for word in (a, b)]
        least = np.quantile([score for _, _, score in rows], 0.75)
        pairs += [(a, b) for a, b, score in rows if score >= least and a != b]
    trained = TrainedWords([data / "text" / "classic_books" / "train_0.txt.gz"])
    ranking = EvalRank(pairs, [*background, *trained.vectors.index_to_key[:BACKGROUND_WORDS]])
    noise = np.random.default_rng(0).normal(size=(len(ranking.texts), 64)).astype(np.float32)
    found = {
        "WordLlama": ranking.evaluate(StaticTable("wordllama") | MeanPool()),
        "trained words": ranking.evaluate(trained),
        "noise": ranking.rank(noise),
    }
    sizes = {"words, pairs from either side": len(found["noise"].ranks), "words, background": found["noise"].size}
    return {**{f"words, {name}, MRR": 100 * value.mrr for name, value in found.items()}, **sizes}


def _similarity(path: Path) -> list[tuple[str, str, float]]:
    """Lower-case words and their score."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["similarity"]]
    return [(row["word1"].lower(), row["word2"].lower(), float(row["similarity"])) for row in rows]
