"""A learned mix of all layers against the last one: probes on a frozen host, and speed of fine-tuning."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from _scan import table
from torch import Tensor, nn
from torch.nn import functional as F

from plait.data.reading import read
from plait.data.tasks import Labels, Task
from plait.encoders.transformer import Transformer
from plait.evaluation.classification import Classification
from plait.evaluation.embedded import Embedded
from plait.evaluation.probing import probing_tasks
from plait.layers.concat import ConcatLayers
from plait.layers.scalar_mix import LayerWeights, ScalarMix
from plait.papers import Claim, Outcome
from plait.pooling.mean import MeanPool
from plait.training import GradualPruning
from plait.types import Floats

HOST = "all-MiniLM-L6-v2"
PROBES = ("SentLen", "TreeDepth", "BShift", "Tense", "SubjNum")
TRAIN, TEST = 2000, 1000
SEEDS = (0, 1, 2)
GAIN, MOVED = 2.0, 0.02
"""Points that the mix must bring on average, and how far a weight must leave the uniform mix: both from the card."""
SENTENCES, DEV, BATCH, EVERY, GOAL = 3000, 300, 32, 8, 0.85
"""Fine-tuning: sentences of one epoch, dev sentences, batch, steps between two looks at dev, accuracy to reach."""
SPARSITY, FLOOR = 0.8, 0.6
"""Share of weights pruned away, and the accuracy below which a run has diverged."""


def check(data: Path) -> Outcome:
    host = Transformer(HOST, max_length=48)
    probes = {task.name.rsplit(" ", 1)[-1]: task for task in probing_tasks(data / "ud" / "en_lines")}
    tasks = _tasks(host, {name: probes[name] for name in PROBES} | {"TREC": _trec(data)})
    mixed = {name: [task.mixed(seed) for seed in SEEDS] for name, task in tasks.items()}
    last = {name: [task.last()] for name, task in tasks.items()}
    copied = {name: [task.copies(seed) for seed in SEEDS] for name, task in tasks.items() if name in PROBES}
    uniform = {name: [task.uniform()] for name, task in tasks.items() if name in PROBES}

    def mean(found: dict[str, list[float]]) -> float:
        return float(np.mean([found[name] for name in PROBES]))

    scores = {name: [score for score, _ in found] for name, found in mixed.items()}
    probing = Claim.above("the mix reads the probes better than the last layer", mean(scores), mean(last), GAIN)
    weights = {name: np.mean([importance for _, importance in found], axis=0) for name, found in mixed.items()}
    depth = {name: float(share @ np.arange(len(share))) for name, share in weights.items()}
    lower = Claim.above(
        "for sentence length the mix lies lower than for question type", -depth["SentLen"], -depth["TREC"]
    )
    moved = float(np.mean([tasks["SentLen"].moved(seed) for seed in SEEDS]))
    shuffled = float(np.mean([tasks["SentLen"].moved(seed, shuffled=True) for seed in SEEDS]))
    learned = Claim.above("the weights leave the uniform mix", moved, 0.0, MOVED)
    tuning, tuned = _tuning(data)
    gradient = _gradient(data)
    return Outcome(
        [probing, lower, learned, *tuning, gradient],
        [
            probing.without("all layers replaced by copies of the last", mean(copied)),
            learned.without("trained on shuffled labels, the weights stay", shuffled),
        ],
        metric="accuracy × 100, mean of five probes",
        data=["ud/en_lines", "classification/trec", "classification/sst2"],
        seeds=SEEDS,
        figures={
            **{f"{name}: mix": float(np.mean(scores[name])) for name in tasks},
            **{f"{name}: last layer": float(np.mean(last[name])) for name in tasks},
            "mean of all layers, five probes": mean(uniform),
            **{f"{name}: mean depth of the mix": depth[name] for name in tasks},
            **tuned,
        },
        note="The same logistic regression reads the mix and the last layer; the mix is trained before it, with a "
        "linear head that is thrown away. Importance is weight times mean length of a layer's vectors. Pruned runs are "
        "recorded, not claimed: one each, of half an epoch.",
    )


@dataclass
class _Probe:
    """A classification over pooled layers, side by side."""

    stack: Floats
    layers: int
    train: Labels
    test: Labels

    @property
    def top(self) -> Floats:
        return self.stack[:, -self.stack.shape[1] // self.layers :]

    def last(self) -> float:
        return self._score(self.top)

    def mixed(self, seed: int) -> tuple[float, Floats]:
        mix = self._mix(self.stack, seed)
        return self._score(mix.transform(self.stack)), mix.importance(self.stack)

    def moved(self, seed: int, shuffled: bool = False) -> float:
        return float(np.abs(self._mix(self.stack, seed, shuffled).weights - 1 / self.layers).max())

    def copies(self, seed: int) -> float:
        copies = np.tile(self.top, self.layers)
        return self._score(self._mix(copies, seed).transform(copies))

    def uniform(self) -> float:
        return self._score(self.stack.reshape(len(self.stack), self.layers, -1).mean(axis=1))

    def _mix(self, stack: Floats, seed: int, shuffled: bool = False) -> ScalarMix:
        labels = self.train.labels
        if shuffled:
            labels = self.train.take(np.random.default_rng(seed).permutation(len(labels))).labels
        return ScalarMix(random_state=seed).fit(stack, Labels(self.train.rows, labels), layers=self.layers)

    def _score(self, vectors: Floats) -> float:
        embedded = Embedded(np.ascontiguousarray(vectors))
        return 100 * Classification("logistic").evaluate(embedded, self.train, self.test).value


def _tasks(host: Transformer, tasks: Mapping[str, Task]) -> dict[str, _Probe]:
    """Every task over the layers of its texts, from one pass over all of them."""
    parts = {name: (_sample(task, "train", TRAIN), _sample(task, "test", TEST)) for name, task in tasks.items()}
    texts = list(dict.fromkeys(text for pair in parts.values() for found, _ in pair for text in found))
    recipe = host | ConcatLayers("all") | MeanPool()
    vectors = recipe.encode(texts).values
    place = {text: number for number, text in enumerate(texts)}
    out = {}
    for name, ((taught, train), (asked, test)) in parts.items():
        stack = vectors[[place[text] for text in [*taught, *asked]]]
        rows = np.arange(len(stack))
        learned = Labels(rows[: len(taught)], tuple(train)), Labels(rows[len(taught) :], tuple(test))
        out[name] = _Probe(stack, recipe.layers, *learned)
    return out


def _sample(task: Task, part: str, size: int) -> tuple[list[str], list[str]]:
    found = task.parts[part]
    assert isinstance(found, Labels)
    chosen = found.take(np.random.default_rng(0).permutation(len(found))[:size])
    return [str(task.documents[row]) for row in chosen.rows.tolist()], [str(label) for label in chosen.labels]


def _trec(data: Path) -> Task:
    return read(str(data / "classification" / "trec"), columns={"label": "coarse"})


class _Classifier(nn.Module):
    """A host that is tuned whole, read through a mix of its layers or through the last, and a linear head."""

    def __init__(self, host: Transformer, mix: bool, seed: int) -> None:
        super().__init__()
        self.model = copy.deepcopy(host.host.model).float().requires_grad_(True)
        torch.manual_seed(seed)
        self.mix = LayerWeights(host.depth + 1) if mix else None
        self.head = nn.Linear(host.width, 2)

    def states(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        return self.model(ids, attention_mask=mask, output_hidden_states=True).hidden_states  # type: ignore[no-any-return]

    def read(self, states: Sequence[Tensor], mask: Tensor) -> Tensor:
        tokens = self.mix(states) if self.mix is not None else states[-1]
        pooled = (tokens * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        return self.head(pooled)  # type: ignore[no-any-return]

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.read(self.states(ids, mask), mask)


@dataclass
class _Texts:
    """Sentences as padded ids, with their class."""

    ids: Tensor
    mask: Tensor
    labels: Tensor

    @classmethod
    def of(cls, host: Transformer, rows: Sequence[dict[str, str]]) -> _Texts:
        made = host.host.tokenizer([row["text"] for row in rows], padding=True, truncation=True, max_length=48)
        labels = torch.tensor([int(row["label"]) for row in rows])
        return cls(torch.tensor(made["input_ids"]), torch.tensor(made["attention_mask"]), labels)

    def take(self, rows: Tensor) -> _Texts:
        mask = self.mask[rows]
        longest = int(mask.sum(dim=1).max())
        return _Texts(self.ids[rows][:, :longest], mask[:, :longest], self.labels[rows])


def _sst2(data: Path, host: Transformer, part: str, size: int) -> _Texts:
    rows = table(data / "classification" / "sst2" / f"{part}.tsv")
    chosen = np.random.default_rng(0).permutation(len(rows))[:size]
    return _Texts.of(host, [rows[n] for n in chosen])


def _tune(
    model: _Classifier, train: _Texts, dev: _Texts, seed: int, after: Callable[[float], object] = lambda done: None
) -> tuple[int, float]:
    """Steps until dev accuracy reached the goal (all steps and one more if it did not), and the last accuracy."""
    mixing = [] if model.mix is None else list(model.mix.parameters())
    rest = [p for name, p in model.named_parameters() if not name.startswith("mix.")]
    optimiser = torch.optim.AdamW([{"params": rest, "lr": 2e-5}, {"params": mixing, "lr": 1e-2}], weight_decay=0.0)
    order = torch.randperm(len(train.labels), generator=torch.Generator().manual_seed(seed)).split(BATCH)
    reached, accuracy = len(order) + 1, 0.0
    for step, rows in enumerate(order, start=1):
        batch = train.take(rows)
        loss = F.cross_entropy(model(batch.ids, batch.mask), batch.labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        after(step / len(order))
        if step % EVERY == 0 or step == len(order):
            accuracy = _accuracy(model, dev)
            if accuracy >= GOAL and reached > len(order):
                reached = step
    return reached, accuracy


def _accuracy(model: _Classifier, texts: _Texts) -> float:
    with torch.no_grad():
        parts = [texts.take(rows) for rows in torch.arange(len(texts.labels)).split(100)]
        right = sum(int((model(part.ids, part.mask).argmax(dim=1) == part.labels).sum()) for part in parts)
    return right / len(texts.labels)


def _tuning(data: Path) -> tuple[list[Claim], dict[str, float]]:
    """Steps to the goal, mix against last layer, and what pruning does to both."""
    host = Transformer(HOST, max_length=48)
    train, dev = _sst2(data, host, "train", SENTENCES), _sst2(data, host, "dev", DEV)
    steps = {mix: [_tune(_Classifier(host, mix, seed), train, dev, seed) for seed in SEEDS] for mix in (True, False)}
    means = {mix: float(np.mean([reached for reached, _ in found])) for mix, found in steps.items()}
    figures = {
        "SST-2: mean accuracy at the end, mix": 100 * float(np.mean([a for _, a in steps[True]])),
        "SST-2: mean accuracy at the end, last layer": 100 * float(np.mean([a for _, a in steps[False]])),
    }
    half = train.take(torch.arange(SENTENCES // 2))
    for mix, name in ((True, "mix"), (False, "last layer")):
        model = _Classifier(host, mix, SEEDS[0])
        blocks = [m for m in model.model.encoder.modules() if isinstance(m, nn.Linear)]
        _, accuracy = _tune(model, half, dev, SEEDS[0], GradualPruning(blocks, SPARSITY).step)
        figures[f"SST-2 pruned to {SPARSITY:.0%}, {name}"] = 100 * accuracy
        figures[f"SST-2 pruned to {SPARSITY:.0%}, {name}: diverged"] = float(accuracy < FLOOR)
    slowest = len(train.labels) // BATCH + 1
    claim = Claim(
        "tuned with a mix, SST-2 dev accuracy reaches 85 % in no more steps (signs turned)",
        means[True] <= means[False] <= slowest,
        -means[True],
        -means[False],
        0.0,
    )
    return [claim], figures


def _gradient(data: Path) -> Claim:
    """Norm of the gradient at the first block's output, at step 0."""
    host = Transformer(HOST, max_length=48)
    batch = _sst2(data, host, "train", BATCH)
    norms = {}
    for mix in (True, False):
        model = _Classifier(host, mix, SEEDS[0])
        states = model.states(batch.ids, batch.mask)
        states[1].retain_grad()
        F.cross_entropy(model.read(states, batch.mask), batch.labels).backward()  # type: ignore[no-untyped-call]
        assert states[1].grad is not None
        norms[mix] = float(states[1].grad.norm())
    return Claim.above("the first block gets a larger gradient through a mix", norms[True], norms[False])
