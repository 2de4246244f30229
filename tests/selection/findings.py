"""Results of `find` made by hand, of any size, with costs and scores that look like a real run's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from plait.data.splits import Fold, Protocol
from plait.data.tasks import Labels, Task
from plait.evaluation.statistics import Comparison, Interval
from plait.fusion.search import ConcatSearch
from plait.plan import PassReport
from plait.roles import Encoder
from plait.selection.ablation import Effect
from plait.selection.result import Figure, FindResult
from plait.selection.search import Candidate, Selection
from plait.selection.space import chain
from plait.step import Chain, Composite, Concat
from plait.types import Items, States, Tokens

POOLINGS = ("MeanPool()", "ClsPool()", "MaxPool()", "WeightedMeanPool()", "SifPool()")
TRANSFORMS = ("", "Center()", "Whitening(shrinkage=0.5)", "AllButTheTop(3)")
QUANTISERS = {"": 4.0, "Int8()": 1.0, "Binary()": 0.125}


class Host(Encoder):
    """An encoder of which only the outside is ever asked."""

    def __init__(self, name: str, layers: int = 0, size: int = 384) -> None:
        self.name = name
        self.layers = layers
        self.size = size

    width = property(lambda self: self.size)
    depth = property(lambda self: self.layers)
    nbytes = property(lambda self: 90_868_376)

    def tokenize(self, items: Items) -> Tokens:
        raise NotImplementedError

    def states(self, tokens: Tokens, layers: tuple[int, ...]) -> States:
        raise NotImplementedError


HOSTS = (Host("all-MiniLM-L6-v2", 6), Host("bge-small-en-v1.5", 12), Host("wordllama", 0, 256))


def grid(hosts: Sequence[Host], seed: int = 0) -> list[Candidate]:
    """Every strand and transform; the better half on all of dev."""
    rng, out = np.random.default_rng(seed), []
    for host in hosts:
        for layer in range(host.layers + 1):
            mix = f"Layer({layer})" if host.layers else ""
            for pooling in POOLINGS:
                for transform in TRANSFORMS:
                    recipe = chain(chain(host, mix, pooling), transform)
                    height = 0.1 * (layer / max(1, host.layers) if host.layers else 0.4)
                    score = 0.7 + height - 0.03 * POOLINGS.index(pooling) + 0.01 * bool(transform) + rng.normal(0, 0.01)
                    share = 1.0 if score > 0.72 else 0.25
                    out.append(
                        Candidate(
                            recipe, "grid", share, float(score), 4 * host.size, 0.02 + 0.9 * layer * host.size / 384
                        )
                    )
    return out


def compressed(base: Candidate, width: int) -> list[Candidate]:
    """Narrower and coarser versions of a candidate."""
    out = []
    for cut in (0, 256, 128, 64):
        for bits, per_number in QUANTISERS.items():
            if cut or bits:
                recipe = chain(base.recipe, f"Pca({cut})" if cut else "", bits)
                size = round((cut or width) * per_number)
                loss = 0.3 / size**0.5
                out.append(Candidate(recipe, "compressed", 1.0, base.score - loss, size, base.milliseconds))
    return out


def searches(parts: Sequence[Composite], seed: int = 0) -> dict[str, ConcatSearch]:
    """All strategies on a score that likes the first and the third part."""
    worth = np.random.default_rng(seed).normal(0, 0.01, len(parts))
    worth[[0, -1]] = 0.02, 0.015

    def score(weights: np.ndarray) -> float:
        return float(0.78 + worth @ (weights > 0) - 0.002 * np.abs(weights - 1.2).sum())

    return {
        name: ConcatSearch(list(parts), name, 30, weighted=True, random_state=seed).search(score)
        for name in ("ace", "greedy", "random", "all")
    }


def figure(candidate: Candidate, test: float, gain: Comparison | None = None) -> Figure:
    """Figures of a candidate with an interval of ±0.02."""
    low, high = test - 0.021, test + 0.019
    return Figure(
        candidate.text,
        candidate.score,
        test,
        Interval(low, high),
        gain,
        candidate.bytes,
        candidate.milliseconds,
        90_868_376,
    )


def task(name: str = "banking") -> Task:
    """A small classification."""
    rows = np.arange(12)
    texts = tuple(f"text {n}" for n in rows)
    return Task("classification", name, texts, parts={"all": Labels(rows, ("a", "b") * 6)})


def protocol(of: Task, folds: int = 1) -> Protocol:
    """Twelve texts in three parts, a few times."""
    parts = [Labels(np.arange(start, start + 4), ("a", "b") * 2) for start in (0, 4, 8)]
    return Protocol(of, (Fold(*parts),) * folds, ("4 of train carved out as dev",))


def alone(recipe: Chain, made_of: Task | None = None) -> FindResult:
    """A run that tried one recipe."""
    only = Candidate(recipe, "default", 1.0, 0.5, 1536, 1.25)
    return finding(Selection([only], only, only), figure(only, 0.5), figure(only, 0.5), {}, made_of or task())


def full(hosts: Sequence[Host] = HOSTS, gain: float = 0.0312, made_of: Task | None = None) -> FindResult:
    """A run like a real one."""
    tried = grid(hosts)
    singles = sorted((c for c in tried if c.share == 1.0), key=lambda c: -c.score)
    best_of = {host.name: next(c for c in singles if str(host) in c.text) for host in hosts}
    parts = list(dict.fromkeys([*best_of.values(), *singles]))[:6]
    found = searches([c.recipe for c in parts])
    recipe: Composite = found["ace"].concat
    width = sum(c.bytes // 4 for c, weight in zip(parts, found["ace"].weights_, strict=True) if weight)
    winner = Candidate(
        recipe, "concat", 1.0, float(found["ace"].scores_.max()), 4 * width, sum(c.milliseconds for c in parts[:2])
    )
    plain = [
        Candidate(chain(host, "", "MeanPool()"), "default", 1.0, 0.76 - 0.02 * n, 4 * host.size, 1.0 + n)
        for n, host in enumerate(hosts)
    ]
    everything = [
        *{c.text: c for c in [*tried, *plain]}.values(),
        winner,
        *compressed(winner, width),
        *compressed(singles[0], singles[0].bytes // 4),
    ]
    selection = Selection(everything, winner, singles[0], found, [c.text for c in parts], 0)
    defaults = {
        str(host): figure(
            c,
            0.80 - gain - 0.015 * n,
            Comparison(gain + 0.015 * n, gain + 0.015 * n - 0.018, gain + 0.015 * n + 0.017, 0.0021),
        )
        for n, (host, c) in enumerate(zip(hosts, plain, strict=True))
    }
    single = figure(singles[0], 0.794, Comparison(0.006, -0.004, 0.0158, 0.214))
    return finding(selection, figure(winner, 0.80), single, defaults, made_of or task())


def finding(
    selection: Selection, best: Figure, single: Figure, defaults: dict[str, Figure], made_of: Task
) -> FindResult:
    """The pieces put together."""
    passes = {text: PassReport(text, 12, 12, 3456, 0, 0, 12.5, 20.0) for text in defaults}
    return FindResult(
        task=made_of,
        protocol=protocol(made_of),
        metric="accuracy",
        strategy="ace",
        seed=0,
        seconds=187.4,
        selection=selection,
        best=best,
        best_single=single,
        defaults=defaults,
        effects=[
            Effect(
                "layers",
                0.79,
                Comparison(0.01, -0.002, 0.022, 0.11),
                0.78,
                Comparison(0.02, 0.004, 0.036, 0.01),
                ("a", "b"),
            ),
            Effect("fusion", None, None, 0.794, Comparison(0.006, -0.004, 0.016, 0.2), ("", "c")),
        ],
        passes=passes,
        memory=1_234_567_890,
        machine={"system": "Linux", "processor": "Some CPU @ 2.1 GHz", "cores": "2", "python": "3.11.9"},
        versions={"plait": "0.1.0", "numpy": "2.2.0"},
    )


def nested(result: FindResult, folds: int = 5) -> FindResult:
    """The same run by nested cross-validation."""
    return replace(result, protocol=protocol(result.task, folds))


def wide(parts: int) -> Concat:
    """A concatenation whose text is long."""
    return Concat([chain(HOSTS[1], f"Layer({n % 12})", "MeanPool()", "Whitening(shrinkage=0.5)") for n in range(parts)])
