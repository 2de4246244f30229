"""A bag of contextual states against static bags and a tuned host, on downstream tasks and probes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
from _models import Constant, Known, RandomLstm, TfidfSvd, TrainedWords, encoded
from _scan import table

from plait.data.tasks import Labels
from plait.encoders.static import StaticTable
from plait.encoders.transformer import Transformer
from plait.evaluation import TaskSpec, benchmark, stratify, suite
from plait.evaluation.benchmarking import BenchmarkResult, TextEncoder, texts_of
from plait.layers.mean import LayerMean
from plait.layers.single import Layer
from plait.papers import Ablation, Claim, Outcome
from plait.pooling.mean import MeanPool
from plait.pooling.power_mean import PowerMeanPool

CAPS = {"train": 1000, "dev": 100, "test": 400, "all": 1000}
"""Examples of each part; STS-B is scored on its whole test part, since a published figure is compared."""
FOLDS = 5
TUNED, BAG, LOW = "MiniLM output", "bag of MiniLM states", "MiniLM first block"
STATIC, POWERS, TRAINED = "WordLlama mean", "WordLlama power means", "trained words mean"
PUBLISHED, TOLERANCE = 82.0, 0.5
"""The tuned host on STS-B test as its authors give it, Spearman × 100."""
DOWNSTREAM = ("MR", "CR", "SUBJ", "MPQA", "SST2", "SST5", "TREC")
SHIFT, SHALLOW = "en_lines BShift", ("en_lines SentLen", "en_lines WC")
ABOVE_CHANCE, LEAK = 5.0, 5.0
"""Points above one half that reading word order has to reach, and above the most frequent label that tell a leak."""


def check(data: Path) -> Outcome:
    specs = _specs()
    texts = texts_of(specs)
    ordered = texts_of([spec for spec in specs if spec.name in (*DOWNSTREAM, SHIFT)])
    shuffled = dict(zip(ordered, _shuffled(ordered), strict=True))
    models, without_order = _models(texts, shuffled, data)
    found = {name: benchmark(model, specs) for name, model in models.items()}
    order_specs = [spec for spec in specs if spec.name in (*DOWNSTREAM, SHIFT)]
    bag_without = benchmark(without_order, order_specs)
    average = {name: _mean(result, DOWNSTREAM) for name, result in found.items()}
    best = _best_counts(found)
    static_change = _static_change(shuffled)

    reads_order = Claim.above(
        "the bag of contextual states tells exchanged neighbours", 100 * found[BAG].value(SHIFT), 50, ABOVE_CHANCE
    )
    order_helps = Claim.above(
        "on the downstream average the bag loses when words are shuffled before encoding",
        average[BAG],
        _mean(bag_without, DOWNSTREAM),
    )
    strongest = max((name for name in found if name != TUNED), key=lambda n: found[n].value("STS-B"))
    related = max((name for name in found if name != TUNED), key=lambda n: found[n].value("SICK-R unsupervised"))
    tuned = 100 * found[TUNED].value("STS-B")
    claims = [
        Claim.above(
            "a bag of contextual states is better than averaged static vectors downstream",
            average[BAG],
            max(average[STATIC], average[TRAINED]),
        ),
        Claim.above("the tuned host is best on STS-B", tuned, 100 * found[strongest].value("STS-B")),
        Claim("the tuned host scores as published", abs(tuned - PUBLISHED) <= TOLERANCE, tuned, PUBLISHED, TOLERANCE),
        Claim.above(
            "the tuned host is best on SICK relatedness",
            100 * found[TUNED].value("SICK-R unsupervised"),
            100 * found[related].value("SICK-R unsupervised"),
        ),
        Claim.above("no encoder is best on every task", len(specs), max(best.values())),
        Claim.above(
            "length and words are read better from the first block than from the tuned output",
            _mean(found[LOW], SHALLOW),
            _mean(found[TUNED], SHALLOW),
        ),
        Claim.above(
            "length and words are read better from power means of static vectors than from the tuned output",
            _mean(found[POWERS], SHALLOW),
            _mean(found[TUNED], SHALLOW),
        ),
        reads_order,
        order_helps,
        Claim(
            "averaged static vectors do not change when words are shuffled",
            static_change < 1e-5,
            static_change,
            0,
            1e-5,
        ),
    ]
    honest, leaking = _shuffled_labels(models[BAG], specs)
    genres = stratify(found[TUNED].scores["STS-B"], [row["genre"] for row in table(data / "sts/stsb/test.tsv")])
    return Outcome(
        claims,
        [
            reads_order.without("words shuffled before encoding", 100 * bag_without.value(SHIFT)),
            Ablation("labels shuffled, in points above the most frequent label", honest <= LEAK, honest),
            Ablation("the same, scored on the texts that were learned from: a leak shows", leaking > LEAK, leaking),
        ],
        metric="mean accuracy × 100",
        data=["classification", "sts", "ud/en_lines", "text/wsj_sample_parsed", "text/classic_books"],
        seeds=[0],
        figures={
            **{f"{name}, downstream": value for name, value in average.items()},
            **{f"{name}, mean of probes": 100 * result.mean("probing") for name, result in found.items()},
            **{f"{name}, STS-B": 100 * result.value("STS-B") for name, result in found.items()},
            **{f"{name}, pairs": 100 * result.mean("pair-classification") for name, result in found.items()},
            **{f"{name}, relatedness learned": 100 * result.mean("sts") for name, result in found.items()},
            **{f"{name}, numbers": result.width for name, result in found.items()},
            **{f"{name}, tasks won": wins for name, wins in best.items()},
            **{f"{TUNED}, {task}": 100 * found[TUNED].value(task) for task in (*SHALLOW, SHIFT)},
            **{f"{LOW}, {task}": 100 * found[LOW].value(task) for task in (*SHALLOW, SHIFT)},
            **{f"{POWERS}, {task}": 100 * found[POWERS].value(task) for task in (*SHALLOW, SHIFT)},
            **{f"{BAG}, {task}": 100 * found[BAG].value(task) for task in (*SHALLOW, SHIFT)},
            "STS-B of the tuned host, all pairs together": 100 * genres.total.value,
            "STS-B of the tuned host, mean of its genres": 100 * genres.mean,
        },
        note=(
            "The states of all layers of MiniLM, a host tuned for similarity, stand for ELMo's; skip-gram vectors of "
            f"one part of the books for word2vec, WordLlama for GloVe. {CAPS['train']} texts of each set to learn from "
            f"and {CAPS['test']} to score, {FOLDS} folds over {CAPS['all']} where there is no split; heads: logistic "
            "regression on rows of unit length, for the probes a "
            "perceptron of 50 on standardised columns. MR, SUBJ, MPQA, CR, SST and MRPC are tokenised as SentEval "
            "has them, which costs sub-word hosts half a point to a point. The SICK part scored is the trial part. Not "
            "covered: STS 2012 to 2016, captions with images, Skip-Thoughts, InferSent, the Universal Sentence Encoder."
        ),
    )


def _specs() -> list[TaskSpec]:
    """Both benchmarks with fewer examples; nothing but SNLI and STS-B supervised is left out."""
    down = [replace(s, folds=FOLDS) for s in suite("senteval", CAPS) if s.name not in ("SNLI", "STS-B supervised")]
    whole = next(spec for spec in suite("senteval") if spec.name == "STS-B")
    down = [whole if spec.name == "STS-B" else spec for spec in down]
    return [*down, *suite("senteval-probing", CAPS)]


def _models(texts: Sequence[str], shuffled: Mapping[str, str], data: Path) -> tuple[dict[str, TextEncoder], Known]:
    """All models, and the bag of contextual states of the shuffled texts, under the texts as they were."""
    small, static = Transformer("all-MiniLM-L6-v2"), StaticTable("wordllama")
    bag = small | LayerMean("all") | MeanPool()
    recipes = {
        BAG: bag,
        LOW: small | Layer(1) | MeanPool(),
        TUNED: small | MeanPool(),
        STATIC: static | MeanPool(),
        POWERS: static | PowerMeanPool(),
    }
    again = encoded({BAG: bag}, [*shuffled.values()])[BAG]
    models: dict[str, TextEncoder] = {
        **encoded(recipes, texts),
        TRAINED: TrainedWords([data / "text" / "classic_books" / "train_0.txt.gz"]),
        "TF-IDF, reduced": TfidfSvd(),
        "random LSTM": RandomLstm(static),
        "most frequent label": Constant(),
    }
    return models, Known(list(shuffled), again.encode([*shuffled.values()]))


def _static_change(shuffled: Mapping[str, str]) -> float:
    """How far shuffling moves a static bag; blanks become single ones on both sides."""
    recipe = StaticTable("wordllama") | MeanPool()
    before, after = ([" ".join(text.split()) for text in side] for side in (shuffled.keys(), shuffled.values()))
    return float(np.abs(recipe.encode(before).values - recipe.encode(after).values).max())


def _shuffled(texts: Sequence[str]) -> list[str]:
    rng = np.random.default_rng(0)
    return [" ".join(rng.permutation(text.split())) for text in texts]


def _mean(result: BenchmarkResult, names: Sequence[str]) -> float:
    return 100 * float(np.mean([result.value(name) for name in names]))


def _best_counts(found: Mapping[str, BenchmarkResult]) -> dict[str, float]:
    """On how many tasks each model is best; equally good ones share the win."""
    counts = dict.fromkeys(found, 0.0)
    for task in next(iter(found.values())).judgements:
        top = max(result.value(task) for result in found.values())
        winners = [name for name, result in found.items() if result.value(task) == top]
        for name in winners:
            counts[name] += 1 / len(winners)
    return counts


def _shuffled_labels(model: TextEncoder, specs: Sequence[TaskSpec]) -> tuple[float, float]:
    """Points above the most frequent label with shuffled labels: on other texts, and on those learned from."""
    rng = np.random.default_rng(0)
    honest, leaking = [], []
    for spec in specs:
        if spec.name not in ("SST2", "TREC", "en_lines SubjNum"):
            continue
        train, test = (cast(Labels, spec.task.parts[part]) for part in ("train", "test"))
        wrong = Labels(train.rows, tuple(rng.permutation(train.labels).tolist()))
        for scored, out in ((test, honest), (wrong, leaking)):
            task = replace(spec.task, parts={"train": wrong, "dev": wrong, "test": scored})
            value = benchmark(model, [replace(spec, task=task)]).value(spec.name)
            out.append(100 * (value - _most_frequent(train, scored)))
    return float(np.mean(honest)), float(np.mean(leaking))


def _most_frequent(train: Labels, scored: Labels) -> float:
    names, counts = np.unique(train.labels, return_counts=True)
    return float(np.mean(np.asarray(scored.labels) == names[counts.argmax()]))
