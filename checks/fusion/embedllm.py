"""Vectors of models, factorised out of who answers what right: forecasts, routing, and what the vectors tell."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _classifiers import MIXED, QUESTIONS, Bed, classifier_bed
from sklearn.linear_model import RidgeCV
from sklearn.metrics import balanced_accuracy_score, r2_score, roc_auc_score
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from plait.fusion.forecasting import Forecaster, ItemResponse, KNNForecaster, MeanAccuracy, routing
from plait.fusion.model_embedder import ModelEmbedder
from plait.papers import Claim, Outcome
from plait.step import unit_rows
from plait.types import Floats

TRAIN, ASKED = 700, 1000
"""Texts of each set that the models learn from, and that they are asked."""
SEEDS = (0, 1, 2)
HELD_OUT = 0.3
NEIGHBOURS = (15, 31, 63, 131)
"""The number that votes is chosen for the baseline on questions that it has not seen; 131 is published."""
SIZES = (500, 1000, 2000)
ANSWERS = 200
"""Answers that a new model is placed by."""


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of the questions to learn from and to test on: all answers to a question are on one side."""

    train: np.ndarray
    test: np.ndarray


def check(data: Path) -> Outcome:
    bed = classifier_bed(data, TRAIN, ASKED)
    splits = [_split(len(bed.sets), seed) for seed in SEEDS]
    mixed = bed.vectors[np.random.default_rng(0).permutation(len(bed.vectors))]
    learned, blank = ([ModelEmbedder(random_state=seed) for seed in SEEDS] for _ in range(2))
    found = {
        "factorised": [_judged(one, bed, part) for one, part in zip(learned, splits, strict=True)],
        "neighbours": [_judged(_neighbours(bed, part), bed, part) for part in splits],
        "mean accuracy": [_judged(MeanAccuracy(), bed, part) for part in splits],
        "item response": [_judged(ItemResponse(), bed, part) for part in splits],
        "questions permuted": [_judged(one, bed, part, mixed) for one, part in zip(blank, splits, strict=True)],
    }
    mean = {name: {key: float(np.mean([run[key] for run in runs])) for key in runs[0]} for name, runs in found.items()}
    ours, near, blind = (mean[name] for name in ("factorised", "neighbours", "questions permuted"))
    forecast = Claim.above(
        "forecasts beat each model's mean accuracy", ours["accuracy"], mean["mean accuracy"]["accuracy"], 1
    )
    routed = Claim.above("routing beats the best single model", ours["routed"], ours["best single model"], 1)
    probed, shuffled = _probing(bed, splits[0])
    foretold = Claim.above("vectors foretell the accuracy on a set left out (R² × 100)", probed, 0)
    alike = Claim.above(
        "the nearest specialist was trained on the same set", _alike(bed, learned[0].model_vectors_), 70
    )
    grown = {
        size: _judged(ModelEmbedder(), bed, Split(splits[0].train[:size], splits[0].test))["accuracy"] for size in SIZES
    }
    figures = {f"{name}, {key}": value for name, values in mean.items() for key, value in values.items()}
    figures |= {f"factorised, accuracy from {size} questions": value for size, value in grown.items()}
    figures |= _told_the_set(bed, splits[0])
    figures |= {"models": len(bed.names), "questions": len(bed.sets)}
    return Outcome(
        [
            forecast,
            Claim.above(
                "they are no worse than those of the nearest questions", ours["accuracy"], near["accuracy"], -0.5
            ),
            Claim.above("at less than half the time (times as fast)", near["ms"] / ours["ms"], 1, 1),
            routed,
            Claim.above("and what the same shares bring at random", ours["routed"], ours["same shares at random"], 1),
            foretold,
            alike,
            Claim.above("a new model is placed by 200 answers better than by their mean", *_placed(bed, splits[0])),
            Claim.above(
                "more questions, better forecasts: all against 500",
                found["factorised"][0]["accuracy"],
                grown[min(grown)],
                0.5,
            ),
        ],
        [
            forecast.without("forecasts with the question vectors permuted", blind["accuracy"]),
            routed.without("routing with the question vectors permuted", blind["routed"]),
            foretold.without("vectors given to other models", shuffled),
            alike.without("nearest specialist, question vectors permuted", _alike(bed, blank[0].model_vectors_)),
        ],
        metric="accuracy × 100 of forecasts whether a model is right",
        data=[*(f"classification/{name}" for name in QUESTIONS if name != "sick"), "sts/sick"],
        seeds=SEEDS,
        figures=figures,
        note=(
            "The models are small classifiers, each trained on one of six sets or a mixture and asked about all. SST "
            "is left out because its sentences are those of MR. Published: 112 language models and 35,673 questions, "
            "where the step is a tenth of the one used here. Vectors begin at a hundredth of the usual length, or "
            "directions that no question asks about would stay noise. The best model per set, the set given, is a "
            "legitimate router and stands among the figures."
        ),
    )


def _split(count: int, seed: int) -> Split:
    order = np.random.default_rng(seed).permutation(count)
    cut = int(HELD_OUT * count)
    return Split(order[cut:], order[:cut])


def _judged(forecaster: Forecaster, bed: Bed, part: Split, vectors: Floats | None = None) -> dict[str, float]:
    given = bed.vectors if vectors is None else vectors
    forecaster.fit(bed.correct[:, part.train], given[part.train])
    probability, right = forecaster.predict_proba(given[part.test]), bed.correct[:, part.test]
    said = probability > 0.5
    judged = routing(right, forecaster.route(given[part.test]))
    return {
        "accuracy": 100 * float((said == right).mean()),
        "balanced accuracy": 100 * float(balanced_accuracy_score(right.ravel(), said.ravel())),
        "area under the curve": 100 * float(roc_auc_score(right.ravel(), probability.ravel())),
        "routed": 100 * judged.routed,
        "same shares at random": 100 * judged.expected,
        "best single model": 100 * judged.best,
        "random model": 100 * judged.random,
        "oracle": 100 * judged.oracle,
        "ms": 1000 * _fastest(lambda: forecaster.predict_proba(given[part.test])),
    }


def _fastest(call: Callable[[], object], tries: int = 3) -> float:
    found = []
    for _ in range(tries):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)


def _neighbours(bed: Bed, part: Split) -> KNNForecaster:
    """The baseline at its best: the number of neighbours is chosen on a tenth of the training questions."""
    cut = len(part.train) // 10
    inner = Split(part.train[cut:], part.train[:cut])
    return max((KNNForecaster(k) for k in NEIGHBOURS), key=lambda one: _judged(one, bed, inner)["accuracy"])


def _alike(bed: Bed, vectors: np.ndarray) -> float:
    """Share × 100 of the specialists whose nearest by cosine was trained on the same set."""
    special = np.flatnonzero([group not in MIXED for group in bed.trained_on])
    unit = unit_rows(vectors[special])
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    group = np.array(bed.trained_on)[special]
    return 100 * float(np.mean(group[cosine.argmax(axis=1)] == group))


def _probing(bed: Bed, part: Split) -> tuple[float, float]:
    """R² × 100, mean over the sets, of the accuracy on a set that the vectors were learned without; and shuffled."""
    found: dict[bool, list[float]] = {False: [], True: []}
    for name in QUESTIONS:
        others = part.train[bed.sets[part.train] != name]
        vectors = ModelEmbedder().fit(bed.correct[:, others], bed.vectors[others]).model_vectors_
        accuracy = bed.correct[:, bed.sets == name].mean(axis=1)
        for shuffled, scores in found.items():
            rows = np.random.default_rng(0).permutation(vectors) if shuffled else vectors
            probe = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 5, 11)))
            said = cross_val_predict(probe, rows, accuracy, cv=KFold(8, shuffle=True, random_state=0))
            scores.append(100 * float(r2_score(accuracy, said)))
    return float(np.mean(found[False])), float(np.mean(found[True]))


def _placed(bed: Bed, part: Split) -> tuple[float, float]:
    """Accuracy × 100 of forecasts for one model of each set that was added later, and of their mean accuracy."""
    late = np.array([bed.trained_on.index(name) for name in QUESTIONS])
    early = np.setdiff1d(np.arange(len(bed.names)), late)
    few = part.train[:ANSWERS]
    embedder = ModelEmbedder().fit(bed.correct[early][:, part.train], bed.vectors[part.train])
    numbers = [embedder.add_model(bed.correct[model, few], bed.vectors[few]) for model in late]
    right = bed.correct[late][:, part.test]
    said = embedder.predict(bed.vectors[part.test])[numbers]
    mean = MeanAccuracy().fit(bed.correct[late][:, few], bed.vectors[few]).predict(bed.vectors[part.test])
    return 100 * float((said == right).mean()), 100 * float((mean == right).mean())


def _told_the_set(bed: Bed, part: Split) -> dict[str, float]:
    """What is reached by who is told which set a question is from: mean accuracies and the best model by set."""
    sets, right = bed.sets[part.test], bed.correct[:, part.test]
    by_set = {name: bed.correct[:, part.train[bed.sets[part.train] == name]].mean(axis=1) for name in QUESTIONS}
    level = np.stack([by_set[name] for name in sets], axis=1)
    return {
        "set given, accuracy": 100 * float(((level > 0.5) == right).mean()),
        "set given, routed": 100 * routing(right, level.argmax(axis=0)).routed,
    }
