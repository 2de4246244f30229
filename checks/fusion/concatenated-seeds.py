"""Features of equal networks from several seeds, side by side, read off for tasks that none was trained on."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from _transfer_tasks import Family, Network, Part, Parts, image_family, text_family
from numpy.typing import NDArray
from scipy.stats import ttest_rel
from sklearn.linear_model import LinearRegression, RidgeClassifier
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from plait.fusion.seeds import DistilledConcat, train_seeds, train_snapshots
from plait.papers import Ablation, Claim, Outcome
from plait.training import Schedule
from plait.transforms.standardize import Standardize
from plait.types import Floats

SEEDS = (0, 1, 2, 3, 4)
SHOTS = (1, 5, 20, None)
"""Examples a class that a probe is fitted on; None takes all."""
DRAWS = 6
STRENGTHS = (1.0, 10.0, 100.0, 1000.0, 10000.0)
"""Penalties that are tried on the dev part, for each kind of features by itself."""
CLEARLY, CLOSE, EQUIVALENT, SIGNIFICANT = 1.0, 1.0, 0.95, 0.05

Features = Sequence[nn.Module]
Scores = NDArray[np.float64]


def check(data: Path) -> Outcome:
    families = {"pictures": image_family(data), "texts": text_family(data)}
    found = {name: Measured(family) for name, family in families.items()}
    mean = {kind: float(np.mean([m.scores[kind].mean() for m in found.values()])) for kind in _kinds(found)}
    gain = Claim.above(
        "five seeds side by side beat one network on other tasks", mean["five seeds"], mean["one"], CLEARLY
    )
    tests = {
        name: ttest_rel(m.per_draw("five seeds"), m.per_draw("as wide"), alternative="greater").pvalue * len(found)
        for name, m in found.items()
    }
    best = min(tests, key=tests.__getitem__)
    wide = [float(found[best].scores[kind].mean()) for kind in ("five seeds", "as wide")]
    off = max(abs(m.source["five seeds"] - m.source["one"]) for m in found.values())
    linear = max(m.explained for m in found.values())
    mapped = min(m.explained_maps for m in found.values())
    figures = {f"{name}, {kind}": float(m.scores[kind].mean()) for name, m in found.items() for kind in m.scores}
    figures |= {f"{name}, source task, {kind}": value for name, m in found.items() for kind, value in m.source.items()}
    figures |= {f"{name}, p against one network as wide, times 2": float(p) for name, p in tests.items()}
    figures |= {f"{name}, {kind}": value for name, m in found.items() for kind, value in m.tuned.items()}
    return Outcome(
        [
            gain,
            Claim(
                f"and one network of their width, in at least one family ({best}; p < 0.05 after two tests)",
                wide[0] > wide[1] and tests[best] < SIGNIFICANT,
                *wide,
                0,
            ),
            Claim(
                "on the task they were trained on they are within a point of one network", off <= CLOSE, off, CLOSE, 0
            ),
            Claim("features of two seeds are no linear map of each other", linear < EQUIVALENT, linear, EQUIVALENT, 0),
        ],
        [
            gain.without("one seed five times", mean["one seed five times"]),
            gain.without("one network and four random linear maps of it", mean["random maps"]),
            Ablation("R² of features and a random linear map of them", mapped >= EQUIVALENT, mapped),
        ],
        metric="probe accuracy in %, mean over targets and shots",
        data=["images/mnist_t10k", *(f"classification/{name}" for name in ("sst2", "trec", "subj", "mr"))],
        seeds=SEEDS,
        figures=figures,
        note=(
            "MNIST test digits stand for scikit-learn's, which are too few to tell a point. Members differ in "
            "initialisation, dropout and order of the data; a figure says what initialisation and dropout alone give. "
            "One network is the mean over the five; a probe's strength is chosen on dev for each kind of features. "
            "Tests are paired over draws of the probe's examples, against the mean of five wide networks. Not "
            "covered: ImageNet, self-supervised members, the cosine classifier for few shots."
        ),
    )


def _kinds(found: Mapping[str, Measured]) -> list[str]:
    return list(next(iter(found.values())).scores)


class Measured:
    """Probe accuracies of every kind of features in one family.

    Attributes:
        scores: ``[targets, shots, draws]`` by kind.
        source: accuracy on the task that networks were trained on, by kind.
        explained: mean R² of the best linear map from one seed's features to the next one's, on target data.
        explained_maps: the same from one network to a random map of it.
        tuned: accuracy after fine-tuning on the first target.
    """

    def __init__(self, family: Family) -> None:
        self.family = family
        members = _train(family, family.width)
        wide = _train(family, family.width * len(SEEDS))
        bodies: dict[str, list[Features]] = {
            "one": [[member.body] for member in members],
            "five seeds": [[member.body for member in members]],
            "as wide": [[network.body] for network in wide],
            "one seed five times": [[members[0].body] * len(SEEDS)],
            "random maps": [[members[0].body, *(_mapped(members[0].body, family.width, seed) for seed in SEEDS[1:])]],
            "distilled": [[_distilled(family, [member.body for member in members])]],
            "five snapshots": [[network.body for network in _snapshots(family)]],
            "five seeds, one order": [[network.body for network in _train(family, family.width, same_order=True)]],
        }
        self.scores = {
            kind: np.array([_probed(p, sets) for p in family.targets.values()]) for kind, sets in bodies.items()
        }
        self.scores["five probes voting"] = np.array(
            [_probed(p, [bodies["five seeds"][0]], vote=True) for p in family.targets.values()]
        )
        self.source = {kind: _accuracy(family.source, bodies[kind]) for kind in ("one", "five seeds", "as wide")}
        target = next(iter(family.targets.values()))
        every = [_features([member.body], target.train) for member in members]
        self.explained = float(np.mean([_explained(one, other) for one, other in pairwise(every)]))
        map_of = _features(bodies["random maps"][0][1:2], target.train)
        self.explained_maps = _explained(every[0], map_of)
        self.tuned = _fine_tuned(target, members, family)

    def per_draw(self, kind: str) -> Scores:
        """``[draws]`` mean accuracy over targets and shots."""
        means: Scores = self.scores[kind].mean(axis=(0, 1))
        return means


def _loss(part: Part) -> object:
    labels = torch.from_numpy(part.labels - part.labels.min())
    return lambda network, rows: cross_entropy(network(part.inputs[rows]), labels[rows])


def _train(family: Family, width: int, same_order: bool = False) -> list[Network]:
    train, schedule = family.source.train, Schedule(epochs=family.epochs, lr=2e-3)
    make = lambda seed: family.network(width)  # noqa: E731
    return train_seeds(make, SEEDS, _loss(train), len(train.labels), schedule=schedule, same_order=same_order)  # type: ignore[arg-type, return-value]


def _snapshots(family: Family) -> list[Network]:
    """Five snapshots of one training, at a step twice as large."""
    train, schedule = family.source.train, Schedule(epochs=family.epochs, lr=4e-3)
    make = lambda seed: family.network(family.width)  # noqa: E731
    return train_snapshots(make, len(SEEDS), _loss(train), len(train.labels), schedule=schedule)  # type: ignore[arg-type, return-value]


def _mapped(body: nn.Module, width: int, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(body, nn.Linear(width, width, bias=False)).eval()


def _distilled(family: Family, teachers: Features) -> nn.Module:
    """A network of one member's width that gives the features of all, learned on the source's inputs."""
    train = family.source.train
    targets = [torch.from_numpy(Standardize().fit(f).transform(f)) for f in (_features([t], train) for t in teachers)]

    def loss(network: DistilledConcat, rows: Tensor) -> Tensor:
        return network.loss(train.inputs[rows], [target[rows] for target in targets])

    (found,) = train_seeds(
        lambda seed: DistilledConcat(family.network(family.width).body, family.width, [family.width] * len(teachers)),  # type: ignore[arg-type]
        [len(SEEDS)],
        loss,
        len(train.labels),
        schedule=Schedule(epochs=2 * family.epochs, lr=2e-3),
    )
    return found.student


def _features(bodies: Features, part: Part) -> Floats:
    with torch.no_grad():
        given = [
            np.concatenate([body.eval()(rows).numpy() for rows in part.inputs.split(500)])
            for body in dict.fromkeys(bodies)
        ]
    place = {body: values for body, values in zip(dict.fromkeys(bodies), given, strict=True)}
    return np.hstack([place[body] for body in bodies])


def _drawn(labels: NDArray[np.int64], shots: int | None, draw: int) -> NDArray[np.int64]:
    """Rows of so many examples a class, or four of five of all."""
    order = np.random.default_rng(draw).permutation(len(labels))
    if shots is None:
        return order[: len(order) * 4 // 5]
    return np.concatenate([order[labels[order] == label][:shots] for label in np.unique(labels)])


def _probed(parts: Parts, sets: Sequence[Features], vote: bool = False) -> Scores:
    """``[shots, draws]`` accuracy × 100 on test, mean over the sets, at the penalty that is best on dev."""
    grid = np.zeros((len(sets), len(SHOTS), DRAWS, 2, len(STRENGTHS)))
    for number, bodies in enumerate(sets):
        groups = [[body] for body in bodies] if vote else [list(bodies)]
        given = [[_features(group, part) for part in parts] for group in groups]
        for place, shots in enumerate(SHOTS):
            for draw in range(DRAWS):
                grid[number, place, draw] = _fits(given, parts, _drawn(parts.train.labels, shots, draw))
    best = grid[..., 0, :].mean(axis=(0, 2)).argmax(axis=-1)
    return np.stack([grid[:, place, :, 1, chosen].mean(axis=0) for place, chosen in enumerate(best)])


def _fits(given: Sequence[Sequence[Floats]], parts: Parts, rows: NDArray[np.int64]) -> Scores:
    """``[2, strengths]`` accuracy on dev and test of a probe a group, their answers added up."""
    labels = parts.train.labels[rows]
    scales = [Standardize().fit(train) for train, *_ in given]
    scaled = [[scale.transform(part) for part in group] for scale, group in zip(scales, given, strict=True)]
    scores = np.zeros((2, len(STRENGTHS)))
    for place, strength in enumerate(STRENGTHS):
        probes = [RidgeClassifier(alpha=strength).fit(train[rows], labels) for train, *_ in scaled]
        for side in (1, 2):
            answers = [_answers(probe, group[side]) for probe, group in zip(probes, scaled, strict=True)]
            named = probes[0].classes_[np.sum(answers, axis=0).argmax(axis=1)]
            scores[side - 1, place] = 100 * np.mean(named == parts[side].labels)
    return scores


def _answers(probe: RidgeClassifier, features: Floats) -> Scores:
    """``[N, classes]``."""
    decided: Scores = probe.decision_function(features)
    return decided if decided.ndim == 2 else np.stack([-decided, decided], axis=1)


def _accuracy(parts: Parts, sets: Sequence[Features]) -> float:
    """Accuracy × 100 on test of a probe on all training examples, mean over the sets of features."""
    every = np.arange(len(parts.train.labels))
    found = np.mean([_fits([[_features(bodies, part) for part in parts]], parts, every) for bodies in sets], axis=0)
    return float(found[1, found[0].argmax()])


def _explained(one: Floats, other: Floats) -> float:
    """R² of the best linear map from one to the other, over the dimensions that vary."""
    alive = other.std(axis=0) > 1e-6
    return float(LinearRegression().fit(one, other[:, alive]).score(one, other[:, alive]))


def _fine_tuned(target: Parts, members: Sequence[Network], family: Family) -> dict[str, float]:
    """Accuracy after fine-tuning on 20 examples a class: each member by itself and then joined, or all at once."""
    few = target.train.take(_drawn(target.train.labels, 20, 0))
    parts = Parts(few, target.dev, target.test)
    classes, schedule = len(np.unique(few.labels)), Schedule(epochs=20, lr=5e-4)

    def alone(seed: int) -> Network:
        return Network(copy.deepcopy(members[seed].body), family.width, classes)

    def joined(seed: int) -> Network:
        body = SideBySide([copy.deepcopy(member.body) for member in members])
        return Network(body, family.width * len(members), classes)

    stages = train_seeds(alone, range(len(members)), _loss(few), len(few.labels), batch_size=16, schedule=schedule)  # type: ignore[arg-type]
    (at_once,) = train_seeds(joined, [0], _loss(few), len(few.labels), batch_size=16, schedule=schedule)  # type: ignore[arg-type]
    return {
        "20 shots, fine-tuned alone": _accuracy(parts, [[network.body] for network in stages]),
        "20 shots, fine-tuned one by one, then joined": _accuracy(parts, [[network.body for network in stages]]),
        "20 shots, joined, then fine-tuned": _accuracy(parts, [[at_once.body]]),
        "20 shots, joined, frozen": _accuracy(parts, [[member.body for member in members]]),
    }


class SideBySide(nn.Module):
    """Features of several networks in one vector."""

    def __init__(self, bodies: Sequence[nn.Module]) -> None:
        super().__init__()
        self.bodies = nn.ModuleList(bodies)

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.cat([body(inputs) for body in self.bodies], dim=1)
