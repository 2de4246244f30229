"""Sums of powers and exponentials over sets of token vectors: what they tell apart, and how wide they must be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from math import comb
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from _scan import sentences, stsb
from numpy.typing import NDArray
from torch import Tensor, nn

from plait.encoders.static import StaticTable
from plait.papers import Ablation, Claim, Outcome
from plait.pooling.mean import MeanPool
from plait.pooling.set_functions import constructive_directions, power_features, recover_multiset, width_bounds
from plait.pooling.set_sums import ExpSetPool, PowerSetPool
from plait.roles import Pooling
from plait.training import Schedule, train
from plait.transforms.principal import Pca
from plait.types import Tokens

Doubles = NDArray[np.float64]
Feature = Callable[[Doubles], Doubles]

SEEDS = (0, 1)
SIZES, DIMS = (3, 4, 5, 6, 7, 8), (2, 3, 4)
PAIRS = 10_000
"""Pairs of sets that agree in every channel, searched for a collision."""
SAME, APART = 1e-9, 1e-3
"""Up to where two sums count as equal, and beyond where as clearly different."""
DISTINCT = 0.01
"""Largest coordinate by which a re-paired set must differ from every order of the first one."""
TOLERANCE = 1e-6
LEARNED, FITS = 0.95, (4000, 1000)
"""R² at which a set function counts as learned, and sets to train and to test on."""
WIDEST = 2048


def check(data: Path) -> Outcome:
    bags = Bags(data)
    recovery, recovered, repeats = _recovery(bags)
    collisions, collided = _collisions(bags)
    matching, blind, figures = _matching(bags)
    growth, mean_only, widths = _growth(bags)
    return Outcome(
        [matching[0], matching[1], recovery, *collisions, *growth],
        [*blind, collided, recovered, mean_only],
        metric="accuracy in % of telling a shuffled set from a re-paired one",
        data=["sts/stsb"],
        seeds=SEEDS,
        figures={**figures, **widths, "error of recovery, sets with repeats": repeats},
        note=(
            "Sets are runs of WordLlama vectors of STS-B sentences, reduced to 2 to 4 principal components and scaled "
            "to [-1, 1]. A number that stands m times in a set comes back only to about the m-th root of rounding, "
            "so that recovery is asked of sets of distinct tokens; the error for sets with repeats is a figure. "
            f"The set function that is learned is the largest distance within a set, R² {LEARNED} on {FITS[1]} test "
            "sets. With one power a direction the sum is a linear map of the mean, the ablation of growth."
        ),
    )


class Bags:
    """Sets of consecutive token vectors of real sentences, within [-1, 1]."""

    def __init__(self, data: Path) -> None:
        texts = list(dict.fromkeys(sentences(stsb(data, "train"))))
        states = StaticTable("wordllama").transform(texts)
        self._starts, self._ids = states.tokens.offsets, states.tokens.ids
        self._values = states.values[0]
        self._reduced: dict[int, Doubles] = {}

    def draw(self, size: int, dim: int, count: int, seed: int, distinct: bool = True) -> Doubles:
        """``[count, size, dim]`` sets; of different tokens unless ``distinct`` is off."""
        rng = np.random.default_rng([seed, size, dim])
        lengths = np.diff(self._starts)
        first = np.concatenate(
            [np.arange(s, s + n - size + 1) for s, n in zip(self._starts[:-1], lengths, strict=True) if n >= size]
        )
        ids = np.sort(self._ids[first[:, None] + np.arange(size)], axis=1)
        repeats = (np.diff(ids, axis=1) == 0).any(axis=1)
        chosen = rng.choice(first[~repeats] if distinct else first[repeats], count)
        return self._of(dim)[chosen[:, None] + np.arange(size)]

    def _of(self, dim: int) -> Doubles:
        if dim not in self._reduced:
            rows = Pca(dim).fit(self._values).transform(self._values).astype(np.float64)
            self._reduced[dim] = rows / np.abs(rows).max(axis=0)
        return self._reduced[dim]


def _recovery(bags: Bags) -> tuple[Claim, Ablation, float]:
    """Numbers from their power sums; without the highest power they cannot come back."""

    def worst(distinct: bool, drop: int = 0) -> float:
        errors = []
        for size in SIZES:
            for values in bags.draw(size, 1, 500, 0, distinct)[:, :, 0]:
                sums = np.array([np.sum(values**power) for power in range(1, size + 1)])
                sums[size - drop :] = 0
                errors.append(float(np.abs(recover_multiset(sums) - np.sort(values)).max()))
        return max(errors)

    error = worst(distinct=True)
    claim = Claim("numbers come back from their power sums to 1e-6", error <= TOLERANCE, error, TOLERANCE, 0)
    lacking = worst(distinct=True, drop=1)
    return claim, Ablation("numbers from one power sum too few", lacking > TOLERANCE, lacking), worst(distinct=False)


def repaired(sets: Doubles, seed: int) -> Doubles:
    """Each set with one channel's values handed to other elements; every channel keeps its values."""
    rng = np.random.default_rng(seed)
    out = sets.copy()
    for one in out:
        channel, places = rng.integers(one.shape[1]), rng.choice(len(one), 2, replace=False)
        one[places, channel] = one[places[::-1], channel]
    return out


def distance(one: Doubles, other: Doubles) -> Doubles:
    """``[B]`` largest coordinate by which sets that differ in at most two elements differ under the best order.

    The elements that both sets share are matched with themselves, which no order betters.
    """
    differ = np.abs(one - other).max(axis=2)
    order = np.argsort(-differ, axis=1)[:, :2]
    rows = np.arange(len(one))[:, None]
    left, right = one[rows, order], other[rows, order]
    ways = [np.abs(left - right[:, list(way)]).max(axis=(1, 2)) for way in permutations(range(2))]
    return np.minimum(*ways)


def confusable(bags: Bags, size: int, dim: int, count: int, seed: int) -> tuple[Doubles, Doubles]:
    """Sets, and re-paired ones that are surely others."""
    one = bags.draw(size, dim, 6 * count, seed)
    other = repaired(one, seed)
    kept = np.flatnonzero(distance(one, other) > DISTINCT)[:count]
    return one[kept], other[kept]


def _sums(sets: Doubles, directions: Doubles) -> Doubles:
    """``[B, K·N]`` power sums in float64; each direction keeps values within [-1, 1]."""
    count, size, dim = sets.shape
    unit = directions / np.abs(directions).sum(axis=1, keepdims=True)
    return power_features(sets.reshape(-1, dim), unit, size).reshape(count, size, -1).sum(axis=1)


def _collisions(bags: Bags) -> tuple[list[Claim], Ablation]:
    """As many directions as channels confuse a set with a re-paired one; the construction confuses none."""
    one, other = confusable(bags, 3, 2, PAIRS, 0)
    built, channels = constructive_directions(3, 2), np.eye(2)
    gaps = np.abs(_sums(one, built) - _sums(other, built)).max(axis=1)
    same = np.abs(_sums(one, channels) - _sums(other, channels)).max(axis=1)
    slanted = np.random.default_rng(0).normal(size=(2, 2))
    along = one[:1] @ slanted.T
    along[0, :2, 0] = along[0, 1::-1, 0]
    swapped = along @ np.linalg.inv(slanted).T
    contrived = np.abs(_sums(one[:1], slanted) - _sums(swapped, slanted)).max()
    apart = np.abs(_sums(one[:1], built) - _sums(swapped, built)).max()
    lower, upper = width_bounds(3, 2)
    width, hits = 3 * len(built), int((gaps <= SAME).sum())
    return [
        Claim(f"no two of {len(one)} pairs of sets collide under the construction", hits == 0, hits, 0, 0),
        Claim.above("the pair that D slanted directions confuse differs under it", apart, contrived, APART),
        Claim("its width lies within the bounds", lower <= width <= upper, width, upper, 0),
    ], Ablation(
        "D directions, the channels' own or slanted ones, cannot tell sets made for them apart",
        max(same.max(), contrived) <= SAME,
        max(same.max(), contrived),
    )


class Threshold(NamedTuple):
    """Sums further apart than this are of different sets."""

    value: float

    @classmethod
    def fit(cls, gaps: Doubles, different: NDArray[np.bool_]) -> Threshold:
        """The one with the fewest mistakes."""
        order = np.argsort(gaps, kind="stable")
        right = np.cumsum(~different[order]) + (different.sum() - np.cumsum(different[order]))
        ends = np.append(np.diff(gaps[order]) > 0, True)  # equal gaps fall on one side
        best = int(np.argmax(np.where(ends, right, -1)))
        after = gaps[order[min(best + 1, len(order) - 1)]]
        return cls(float((gaps[order[best]] + after) / 2))

    def accuracy(self, gaps: Doubles, different: NDArray[np.bool_]) -> float:
        return 100 * float(np.mean((gaps > self.value) == different))


def _pooled(pool: Pooling, sets: Doubles) -> Doubles:
    """``[B, L]`` vectors of sets, one item a set, as a recipe would pool them."""
    count, size, dim = sets.shape
    bounds, every = np.arange(count + 1) * size, np.arange(count * size)
    tokens = Tokens(every.astype(np.int32), bounds, every, bounds, np.arange(count + 1), np.zeros(count, np.int64))
    return pool.pool(sets.reshape(-1, dim).astype(np.float32), tokens).astype(np.float64)


def _told_apart(bags: Bags, pools: Callable[[int, int], Feature]) -> float:
    """Mean accuracy over sizes and dimensions; sets of the test half are not those of the training half."""
    scores = []
    for size in SIZES:
        for dim in DIMS:
            one, other = confusable(bags, size, dim, 1000, 1)
            different = np.arange(len(one)) % 2 == 0
            order = np.argsort(np.random.default_rng(2).random(one.shape[:2]), axis=1)
            mate = np.where(different[:, None, None], other, one)
            mate = np.take_along_axis(mate, order[:, :, None], axis=1)
            pool = pools(size, dim)
            gaps = np.linalg.norm(pool(one) - pool(mate), axis=1)
            half = len(one) // 2
            fitted = Threshold.fit(gaps[:half], different[:half])
            scores.append(fitted.accuracy(gaps[half:], different[half:]))
    return float(np.mean(scores))


def _matching(bags: Bags) -> tuple[list[Claim], list[Ablation], dict[str, float]]:
    def of(pool: Pooling) -> Feature:
        return lambda sets: _pooled(pool, sets)

    found = {
        "powers": _told_apart(bags, lambda n, d: of(PowerSetPool(n, d + 1, dim=None, bounded=False))),
        "exponentials": _told_apart(bags, lambda n, d: of(ExpSetPool(n, n * (d + 1), dim=None, bounded=False))),
        "mean": _told_apart(bags, lambda n, d: of(MeanPool())),
        "channels": _told_apart(bags, lambda n, d: lambda sets: _sums(sets, np.eye(d)).round(9)),
        "first powers": _told_apart(bags, lambda n, d: of(PowerSetPool(1, n * (d + 1), dim=None, bounded=False))),
    }
    claims = [
        Claim.above(f"{name} along D + 1 random directions tell 99 of 100 apart", found[name], found["channels"], 49)
        for name in ("powers", "exponentials")
    ]
    blind = [
        claims[0].without("the mean of the elements", found["mean"]),
        claims[0].without("first powers only, at the same width", found["first powers"]),
    ]
    return claims, blind, {f"told apart, {name}": value for name, value in found.items()}


def _growth(bags: Bags) -> tuple[list[Claim], Ablation, dict[str, float]]:
    """The smallest width from which the largest distance within a set is learned."""
    widths = {(n, d): [_least_width(bags, n, d, seed) for seed in SEEDS] for n in (2, 4, 8) for d in (2, 4)}
    mean = {key: float(np.mean(np.log2(values))) for key, values in widths.items()}
    by_size = max(np.polyfit(np.log2([2, 4, 8]), [mean[n, d] for n in (2, 4, 8)], 1)[0] for d in (2, 4))
    by_dim = max(mean[n, 4] - mean[n, 2] for n in (2, 4, 8))
    grown, monomials = 2 ** (mean[8, 4] - mean[2, 2]), comb(12, 4) / comb(4, 2)
    only_linear = _fit(bags, 4, 4, 256, 0, powers=1)
    figures = {f"width learned from, N = {n}, D = {d}": float(2 ** mean[n, d]) for n, d in widths}
    slopes = Claim(
        "the width that is learned from grows with less than the fifth power of set size and dimension",
        max(by_size, by_dim) < 5 and max(max(found) for found in widths.values()) < WIDEST,
        max(by_size, by_dim),
        5,
        0,
    )
    claims = [
        slopes,
        Claim("and more slowly than the number of monomials", grown < monomials / 2, grown, monomials, monomials / 2),
    ]
    return claims, Ablation("R² from 256 first powers", only_linear < LEARNED, only_linear), figures


def _least_width(bags: Bags, size: int, dim: int, seed: int) -> int:
    count = 1
    while count * size < WIDEST and _fit(bags, size, dim, count, seed, size) < LEARNED:
        count *= 2
    return count * size


def _fit(bags: Bags, size: int, dim: int, count: int, seed: int, powers: int) -> float:
    """R² on test sets of a small network on the sums along ``count`` random directions."""
    sets = np.concatenate([bags.draw(size, dim, number, seed + 10 * part) for part, number in enumerate(FITS)])
    target = np.linalg.norm(sets[:, :, None] - sets[:, None], axis=3).max(axis=(1, 2))
    directions = np.random.default_rng(seed).normal(size=(count, dim))
    unit = directions / np.abs(directions).sum(axis=1, keepdims=True)
    inputs = power_features(sets.reshape(-1, dim), unit, powers).reshape(len(sets), size, -1).sum(axis=1)
    inputs, target = (_standardised(values, FITS[0]) for values in (inputs, target[:, None]))
    x, y = torch.from_numpy(inputs), torch.from_numpy(target)
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(x.shape[1], 128), nn.GELU(), nn.Linear(128, 128), nn.GELU(), nn.Linear(128, 1))

    def batches(epoch: int) -> Sequence[Tensor]:
        order = np.random.default_rng([seed, epoch]).permutation(FITS[0])
        return list(torch.from_numpy(order).split(200))

    def loss(rows: Tensor) -> Tensor:
        return nn.functional.mse_loss(net(x[rows]), y[rows])

    train(net, batches, loss, schedule=Schedule(epochs=60, lr=3e-3, seed=seed))
    with torch.no_grad():
        error = net(x[FITS[0] :]) - y[FITS[0] :]
    return 1 - float(error.square().mean() / y[FITS[0] :].var(correction=0))


def _standardised(values: Doubles, count: int) -> NDArray[np.float32]:
    """Columns at mean 0 and deviation 1 over the first ``count`` rows."""
    scale = values[:count].std(axis=0)
    return ((values - values[:count].mean(axis=0)) / np.where(scale > 0, scale, 1)).astype(np.float32)
