"""Embedders tuned apart on three tasks, merged along the spheres between them, against one tuned on all at once."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from _probes import Split, accuracy
from _scan import sentences, similarity_score, stsb, table
from _tuning import Example, SciFact, Shelf, contrast, rematched, shuffled_batches, snli, tune

from plait.encoders.transformer import Transformer
from plait.encoders.tuning import TunedHost
from plait.fusion.merging import merge
from plait.fusion.spherical import SelfPositioning
from plait.fusion.task_vectors import TaskVector, task_geometry
from plait.papers import Ablation, Claim, Outcome
from plait.pooling.mean import MeanPool
from plait.training import Schedule

HOST, MAX_LENGTH, FROZEN = "all-MiniLM-L6-v2", 32, 5
SIZES = {"inference": 3000, "retrieval": 300, "questions": 300}
"""Examples of each set, 10 : 1 : 1: the joint training takes them as unequal as they are."""
STEPS, BATCH, LR, TEMPERATURE = 50, 32, 1e-4, 0.05
"""Steps on each set; the joint training takes three times as many, so that both ways see equally many examples."""
GROWTH = (12, 25)
"""Steps, without repeats, on smaller parts of the inference set than the model itself takes."""
PROBE, PROBE_EPOCHS, PROBE_LR, MU = 96, 6, 0.05, 0.01
"""Examples of each set in the probe, drawn from those of the training."""
PHASES = 3
"""Stretches of the search over which the probe's loss is averaged."""
OTHERS, TREC_TRAIN = 300, 800
"""Abstracts to search beside the judged ones; questions that the question types are learned from."""
SEEDS = (0, 1)


def check(data: Path) -> Outcome:
    bed = Bed(data)
    runs = [Run(bed, seed) for seed in SEEDS]
    means = {name: float(np.mean([r.scores[name].mean() for r in runs if name in r.scores])) for name in runs[0].scores}
    joint = _no_worse("the searched position is no worse than joint training", means["searched"], means["joint"])
    average = _no_worse("the searched position is no worse than the plain average", means["searched"], means["average"])
    falls = [run.losses for run in runs]
    grows = [run.growth for run in runs]
    least = min(float(run.search.weights_.min()) for run in runs)
    return Outcome(
        [
            joint,
            average,
            Claim.above("no model's weight is near zero", least, 0, 0.01),
            Claim(
                "the probe's loss falls from stretch to stretch of the search",
                all(np.all(np.diff(losses) < 0) for losses in falls),
                float(np.mean([losses[-1] for losses in falls])),
                float(np.mean([losses[0] for losses in falls])),
                0,
            ),
            Claim(
                "the task vector grows with the number of examples",
                all(np.all(np.diff(norms) > 0) for norms in grows),
                float(np.mean([norms[-1] for norms in grows])),
                float(np.mean([norms[0] for norms in grows])),
                0,
            ),
        ],
        [
            Ablation(
                "a search on a probe whose positives are shuffled",
                not means["shuffled"] > means["average"],
                means["shuffled"],
            )
        ],
        metric="mean of Spearman, nDCG@10 and accuracy, × 100",
        data=["sts/stsb", "nli/snli", "retrieval/scifact", "classification/trec"],
        seeds=list(SEEDS),
        figures=_figures(runs, means),
        note=(
            f"{HOST} with {FROZEN} of 6 blocks frozen and {STEPS} steps a set stands for full fine-tuning; texts are "
            f"cut at {MAX_LENGTH} tokens, and SciFact is searched among its judged abstracts and {OTHERS} others. The "
            "two seeds differ in the order of the examples."
        ),
    )


def _no_worse(text: str, value: float, baseline: float) -> Claim:
    return Claim(text, value >= baseline, value, baseline, 0)


class Bed:
    """Examples to learn from, what is tested, and every text as the frozen blocks leave it."""

    def __init__(self, data: Path) -> None:
        scifact = SciFact(data)
        trec = {part: table(data / "classification" / "trec" / f"{part}.tsv") for part in ("train", "test")}
        questions = {part: Split([r["text"] for r in rows], [r["coarse"] for r in rows]) for part, rows in trec.items()}
        pools = {
            "inference": [Example(*pair, pair[0]) for pair in snli(data, ("dev",))],
            "retrieval": scifact.examples(),
            "questions": _same_class(questions["train"]),
        }
        self.sets = {name: _sample(pools[name], size) for name, size in SIZES.items()}
        self.sts, self.search = stsb(data, "test"), scifact.test(OTHERS)
        self.known, self.asked = questions["train"].sample(TREC_TRAIN), questions["test"]
        texts = [text for examples in self.sets.values() for example in examples for text in example[:2]]
        texts += [*sentences(self.sts), *self.search.queries, *self.search.documents, *self.known[0], *self.asked[0]]
        self.shelf = Shelf(opened(HOST), texts)

    def scores(self, host: TunedHost) -> np.ndarray:
        """Similarity, retrieval, question types."""

        def vectors(texts: Sequence[str]) -> np.ndarray:
            return host.vectors(self.shelf(texts))

        return np.array(
            [
                similarity_score(vectors(sentences(self.sts)), self.sts),
                self.search.ndcg(vectors(self.search.queries), vectors(self.search.documents)),
                accuracy(vectors(self.known.texts), self.known.labels, vectors(self.asked.texts), self.asked.labels),
            ]
        )


class Run:
    """One seed: models tuned apart, tuned together, merged; and the position searched on the probe."""

    def __init__(self, bed: Bed, seed: int) -> None:
        self.bed, self.seed, self.sets = bed, seed, bed.sets
        batches = {name: shuffled_batches(examples, BATCH, STEPS, seed) for name, examples in self.sets.items()}
        with tempfile.TemporaryDirectory() as scratch:
            at = {name: self.tuned(steps).save(Path(scratch) / name) for name, steps in batches.items()}
            hosts = {name: opened(folder) for name, folder in at.items()}
            hosts["joint"] = self.tuned(self.joint())
            models = list(at.values())
            self.search, self.losses = self.searched(hosts, rematch=False)
            astray, _ = self.searched(hosts, rematch=True)
            merged = {
                "average": {"method": "linear"},
                "searched": {"method": "task_arithmetic", "weight": self.search.factors_.tolist()},
                "shuffled": {"method": "task_arithmetic", "weight": astray.factors_.tolist()},
            }
            if seed == SEEDS[0]:
                merged |= {"slerp": {"method": "slerp"}, "ties": {"method": "ties", "density": 0.2}}
            hosts |= {name: opened(merge(HOST, models, Path(scratch) / name, **how)) for name, how in merged.items()}  # type: ignore[arg-type]
            self.geometry = task_geometry(HOST, models)
            self.scores = {name: bed.scores(host) for name, host in hosts.items()}
            self.growth = [*self.grown(Path(scratch)), float(self.geometry.norms[0])]

    def tuned(self, batches: Sequence[Sequence[Example]]) -> TunedHost:
        return tune(opened(HOST), batches, self.bed.shelf, self.bed.shelf, LR, TEMPERATURE, self.seed)

    def joint(self) -> list[list[Example]]:
        """Batches of one set each, drawn as often as the set is large."""
        total = sum(SIZES.values())
        names = np.random.default_rng(self.seed).choice(
            list(SIZES), size=len(SIZES) * STEPS, p=[size / total for size in SIZES.values()]
        )
        found = {
            name: iter(shuffled_batches(examples, BATCH, int((names == name).sum()), self.seed))
            for name, examples in self.sets.items()
        }
        return [next(found[name]) for name in names]

    def searched(self, hosts: Mapping[str, TunedHost], rematch: bool) -> tuple[SelfPositioning, np.ndarray]:
        probe = {name: examples[:PROBE] for name, examples in self.sets.items()}
        if rematch:
            probe = {name: rematched(examples, self.seed) for name, examples in probe.items()}

        def batches(epoch: int) -> list[list[Example]]:
            found = [
                batch
                for examples in probe.values()
                for batch in shuffled_batches(examples, BATCH, len(examples) // BATCH, epoch)
            ]
            return [found[n] for n in np.random.default_rng(epoch).permutation(len(found))]

        search = SelfPositioning(opened(HOST), [dict(hosts[name].named_parameters()) for name in SIZES], mu=MU)
        shelf = self.bed.shelf
        search.fit(
            batches,
            lambda call, batch: contrast(call, batch, shelf, shelf, TEMPERATURE),
            Schedule(epochs=PROBE_EPOCHS, lr=PROBE_LR, seed=self.seed),
        )
        losses = np.array(search.history_.losses).reshape(PHASES, -1).mean(axis=1)
        return search, losses

    def grown(self, scratch: Path) -> list[float]:
        """Length of the task vector after one pass over small parts of the inference set."""
        found = []
        for steps in GROWTH:
            part = self.sets["inference"][: steps * BATCH]
            folder = self.tuned(shuffled_batches(part, BATCH, steps, self.seed)).save(scratch / f"part{steps}")
            found.append(TaskVector(HOST, folder).norm)
        return found


def opened(model: str | Path) -> TunedHost:
    """The host, or what was tuned or merged from it, as it is trained and tested here."""
    return TunedHost(Transformer(str(model), max_length=MAX_LENGTH), MeanPool(), FROZEN).eval()


def _sample(examples: Sequence[Example], size: int) -> list[Example]:
    return [examples[n] for n in np.random.default_rng(0).permutation(len(examples))[:size]]


def _same_class(questions: Split) -> list[Example]:
    """Each question with another one of its type."""
    found = []
    for label in sorted(set(questions.labels)):
        members = [text for text, own in zip(*questions, strict=True) if own == label]
        mixed = [members[n] for n in np.random.default_rng(0).permutation(len(members))]
        found += [Example(a, b, label) for a, b in zip(mixed, [*mixed[1:], mixed[0]], strict=True)]
    return found


def _figures(runs: Sequence[Run], means: Mapping[str, float]) -> dict[str, float]:
    base = runs[0].bed.scores(opened(HOST))
    tasks = ("similarity", "retrieval", "questions")
    figures = {f"untuned, {task}": score for task, score in zip(tasks, base, strict=True)}
    for name in runs[0].scores:
        found = np.mean([run.scores[name] for run in runs if name in run.scores], axis=0)
        figures |= {f"{name}, {task}": float(score) for task, score in zip(tasks, found, strict=True)}
    for run in runs:
        figures |= {f"weight of {name}, seed {run.seed}": w for name, w in zip(SIZES, run.search.weights_, strict=True)}
        figures[f"norm factor, seed {run.seed}"] = run.search.scale_
        figures[f"smallest angle between task vectors, seed {run.seed}"] = float(
            run.geometry.angles[np.triu_indices(len(SIZES), 1)].min()
        )
    return figures | {f"mean, {name}": value for name, value in means.items()}
