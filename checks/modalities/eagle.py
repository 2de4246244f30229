"""Three image encoders for one small decoder: joined by channels, in sequence, alone; trained along, pre-aligned."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from _visual_reading import (
    DIM,
    GRID,
    SIZES,
    Drawer,
    Model,
    Reader,
    Scenes,
    copy_encoder,
    digit_encoder,
    kept_maps,
    on_grid,
    rows_of,
    turn_encoder,
)
from numpy.typing import NDArray
from torch import Tensor, nn

from plait.fusion.strategies import greedy_select
from plait.modalities.pre_alignment import pre_align
from plait.papers import Claim, Outcome
from plait.training import Schedule, train

SEEDS = (0, 1)
MAKERS = {"digits": digit_encoder, "turns": turn_encoder, "copies": copy_encoder}
"""Encoders by what they learned before."""
ALL = tuple(MAKERS)
EPOCHS, JOINT, LR = 5, 3, 4e-3
CLEARLY = 1.0
"""Points of exact match by which one way of reading has to beat another."""
ROUNDS = 2000

Hits = NDArray[np.bool_]


def check(data: Path) -> Outcome:
    runs = [Run(data, seed) for seed in SEEDS]
    sets = [chosen for count in (1, 2, 3) for chosen in combinations(ALL, count)]
    dev = {chosen: _percent([run.frozen(chosen).dev for run in runs]) for chosen in sets}
    single = max(sets[:3], key=dev.__getitem__)
    trio, alone = ([run.frozen(chosen).test for run in runs] for chosen in (ALL, single))
    copies = [run.copies(single[0]).test for run in runs]
    channel, sequence = ([run.frozen(ALL, mode) for run in runs] for mode in ("channel", "sequence"))
    listed = [arm.test for arm in sequence]
    spread = _interval(trio, listed)
    tokens = [float(run.tokens(ALL, mode)) for run, mode in zip(runs, ("channel", "sequence"), strict=True)]
    seconds = [sum(arm.seconds for arm in arms) for arms in (channel, sequence)]
    tuned = [run.unfrozen().test for run in runs]
    joint = {aligned: [run.joint(aligned).test for run in runs] for aligned in (True, False)}
    chosen = greedy_select(ALL, lambda names: dev[tuple(sorted(names, key=ALL.index))])
    taken, best = tuple(sorted(chosen, key=ALL.index)), max(sets, key=dev.__getitem__)
    near = _interval([run.frozen(best).dev for run in runs], [run.frozen(taken).dev for run in runs])
    gain = Claim.above(f"three encoders read more than the best of them, {single[0]}", *_both(trio, alone), CLEARLY)
    return Outcome(
        [
            gain,
            Claim.above("and more than three seeds of it, as wide", *_both(trio, copies), CLEARLY),
            Claim.above("joined by channels they read no worse than in sequence", *_both(trio, listed), -spread),
            Claim("with fewer tokens", tokens[0] < tokens[1], *tokens, 0),
            Claim("and in less time (CPU seconds of training)", seconds[0] < seconds[1], *seconds, 0),
            Claim.above(
                "pre-aligned encoders read more after the same joint steps", *_both(joint[True], joint[False]), CLEARLY
            ),
            Claim.above("encoders that learn along read more than frozen ones", *_both(tuned, trio), CLEARLY),
            Claim.above(
                "greedy selection ends at the best set, or within its interval", dev[taken], dev[best], -near - 1e-9
            ),
        ],
        [gain.without(f"the map of {name} set to zero", _percent([run.without(name) for run in runs])) for name in ALL],
        metric="rows of digits read without a mistake, in %",
        data=["images/mnist_t10k"],
        seeds=SEEDS,
        figures={
            **{f"dev, {' + '.join(names)}": value for names, value in dev.items()},
            "points in 95 of 100 resamples, channels against sequence": spread,
            "encoders that greedy selection took": float(len(taken)),
        },
        note=(
            "Two or three MNIST test digits side by side over fragments of others: the CIFAR sample is in JPEG, which "
            f"nothing here decodes. The grid has {GRID[0]} x {GRID[1]} cells. No ImageNet weights are at hand; the "
            "third encoder learned by how much a digit was turned. Encoders are frozen where nothing else is said. The "
            "language model is the decoder that learned on the digit encoder: frozen for pre-alignment, and both joint "
            "runs start from it. Cross-attention and adapters are not covered."
        ),
    )


class Arm(NamedTuple):
    """What one trained model reads, and what its training cost."""

    model: Model
    dev: Hits
    test: Hits
    seconds: float


class Run:
    """All models of one seed; each is trained once."""

    def __init__(self, data: Path, seed: int) -> None:
        self.seed = seed
        drawers = {part: Drawer(data, part) for part in SIZES}
        self.scenes = {part: drawers[part].scenes(SIZES[part], seed) for part in SIZES}
        self._drawer = drawers["train"]
        self.encoders = {name: make(self._drawer, seed) for name, make in MAKERS.items()}
        self.maps = {name: self._kept(encoder) for name, encoder in self.encoders.items()}
        self._arms: dict[tuple[str, ...], Arm] = {}

    def _kept(self, encoder: nn.Module) -> dict[str, Tensor]:
        return {part: kept_maps(encoder, scenes.images) for part, scenes in self.scenes.items()}

    def tokens(self, names: Sequence[str], mode: str = "channel") -> int:
        return self._model([self.encoders[name] for name in names], mode).eyes.tokens

    def frozen(self, names: Sequence[str], mode: str = "channel") -> Arm:
        """Encoders as they are; projector and decoder learn."""
        key = (mode, *names)
        if key not in self._arms:
            model = self._model([self.encoders[name] for name in names], mode)
            self._arms[key] = self._read(model, [self.maps[name] for name in names])
        return self._arms[key]

    def copies(self, name: str) -> Arm:
        """As many seeds of one encoder as there are encoders."""
        others = [MAKERS[name](self._drawer, self.seed + 10 * number) for number in range(1, len(ALL))]
        encoders = [self.encoders[name], *others]
        return self._read(self._model(encoders), [self.maps[name], *map(self._kept, others)])

    def without(self, name: str) -> Hits:
        """What the three read when one of their maps is empty."""
        maps = [self.maps[n]["test"] * (n != name) for n in ALL]
        return self.frozen(ALL).model.right(maps, self.scenes["test"].text)

    def unfrozen(self) -> Arm:
        """The three encoders learn along from the beginning."""
        return self._learn_all(self._model([copy.deepcopy(self.encoders[name]) for name in ALL]), EPOCHS)

    def joint(self, aligned: bool) -> Arm:
        """The three encoders learn along with a decoder that can read one, after pre-alignment with it or without."""
        reader = self.frozen(("digits",)).model.reader
        encoders = [copy.deepcopy(self.encoders[name]) for name in ALL]
        for encoder in encoders if aligned else ():
            self._pre_align(encoder, reader)
        return self._learn_all(self._model(encoders, reader=reader), JOINT)

    def _pre_align(self, encoder: nn.Module, reader: Reader) -> None:
        given = self.scenes["train"]

        def loss(see: nn.Module, rows: Tensor) -> Tensor:
            return reader.loss(see(given.images[rows]), given.text[rows])

        plan = Schedule(epochs=2, lr=LR, seed=self.seed)
        pre_align(on_grid([encoder]), reader, loss, len(given.text), dim=DIM, batch_size=128, schedule=plan)

    def _model(self, encoders: Sequence[nn.Module], mode: str = "channel", reader: Reader | None = None) -> Model:
        torch.manual_seed(self.seed)
        return Model(encoders, mode, reader)

    def _read(self, model: Model, maps: Sequence[Mapping[str, Tensor]]) -> Arm:
        """Train projector and decoder on kept maps."""
        text = self.scenes["train"].text
        learner = nn.ModuleList([model.eyes.widen, model.projector, model.reader])
        begun = time.process_time()
        train(
            learner,
            rows_of(len(text), self.seed, 128),
            lambda rows: model.reader.loss(model.see([one["train"][rows] for one in maps]), text[rows]),
            schedule=Schedule(epochs=EPOCHS, lr=LR, seed=self.seed),
        )
        seconds = time.process_time() - begun
        hits = {part: model.right([one[part] for one in maps], self.scenes[part].text) for part in ("dev", "test")}
        return Arm(model, hits["dev"], hits["test"], seconds)

    def _learn_all(self, model: Model, epochs: int) -> Arm:
        """Train everything on pictures."""
        given = self.scenes["train"]
        begun = time.process_time()
        train(
            model,
            rows_of(len(given.text), self.seed, 128),
            lambda rows: model.reader.loss(model.see(list(model.eyes.maps(given.images[rows]))), given.text[rows]),
            schedule=Schedule(epochs=epochs, lr=LR, seed=self.seed),
        )
        seconds = time.process_time() - begun
        hits = {part: self._seen(model, self.scenes[part]) for part in ("dev", "test")}
        return Arm(model, hits["dev"], hits["test"], seconds)

    def _seen(self, model: Model, scenes: Scenes) -> Hits:
        return model.right([kept_maps(encoder, scenes.images) for encoder in model.eyes.encoders], scenes.text)


def _percent(hits: Sequence[Hits]) -> float:
    return 100 * float(np.mean([one.mean() for one in hits]))


def _both(one: Sequence[Hits], other: Sequence[Hits]) -> tuple[float, float]:
    return _percent(one), _percent(other)


def _interval(one: Sequence[Hits], other: Sequence[Hits]) -> float:
    """Half the width, in points, of the 95 % bootstrap interval of the difference, pictures resampled in pairs."""
    difference = np.concatenate([a.astype(float) - b.astype(float) for a, b in zip(one, other, strict=True)])
    rows = np.random.default_rng(0).integers(len(difference), size=(ROUNDS, len(difference)))
    low, high = np.percentile(difference[rows].mean(axis=1), [2.5, 97.5])
    return 50 * float(high - low)
