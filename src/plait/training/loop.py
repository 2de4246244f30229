"""The one training loop: early stopping, progress, and a checkpoint from which a killed run goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from plait.bank import write_atomic
from plait.plan import Progress
from plait.types import DataError, RecipeError

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    Args:
        epochs: passes over the batches, at most.
        lr: peak step of AdamW; 1e-3 suits small modules on frozen states, 2e-5 a pretrained host.
        warmup: share of all steps over which the step grows from 0; it falls linearly to 0 afterwards.
        weight_decay: AdamW's.
        patience: epochs without a better dev score after which to stop.
        clip: largest norm of the gradient.
        seed: of dropout.
    """

    epochs: int = 10
    lr: float = 1e-3
    warmup: float = 0.1
    weight_decay: float = 0.0
    patience: int = 3
    clip: float = 1.0
    seed: int = 0


@dataclass
class History:
    """What a training run saw.

    Attributes:
        losses: mean loss of each epoch.
        scores: dev score after each epoch; higher is better.
        best: the epoch whose weights the module has now; -1 when no epoch was scored.
    """

    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    best: int = -1


def train(
    module: nn.Module,
    batches: Callable[[int], Iterable[Batch]],
    loss: Callable[[Batch], Tensor],
    *,
    dev: Callable[[], float] | None = None,
    schedule: Schedule | None = None,
    rates: Mapping[str, float] | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> History:
    """Train a module in place; it ends with the weights of its best epoch.

    Args:
        module: what learns: its parameters that require a gradient.
        batches: of an epoch, by its number; the same number must give the same batches, or a resumed run differs.
        loss: of a batch.
        dev: a score after each epoch, higher is better; None takes the last epoch's weights.
        schedule: None takes the defaults.
        rates: step by the beginning of a parameter's name, where it is not the schedule's: the scalars that mix
            layers need a larger one than the rest.
        checkpoint: file kept after each epoch and removed at the end; a run that was killed goes on from it.
        progress: called with a label, epochs done, epochs in all.

    Raises:
        RecipeError: if nothing in the module learns, or the loss stops being a number.
        DataError: if an epoch has no batch, or the checkpoint is damaged or of another run.

    Example:
        >>> layer, points = nn.Linear(1, 1), torch.arange(4.0)[:, None]
        >>> seen = train(layer, lambda epoch: [points], lambda x: ((layer(x) - 2 * x) ** 2).mean(),
        ...              schedule=Schedule(epochs=200, lr=0.1))
        >>> round(layer.weight.item(), 1)
        2.0
    """
    schedule = schedule or Schedule()
    run = _Run(module, schedule, rates or {})
    if checkpoint and checkpoint.exists():
        run.load(checkpoint)
    while run.goes_on:
        epoch = len(run.history.losses)
        with torch.random.fork_rng(devices=[]):  # dropout, too, must fall alike in a run that goes on
            torch.manual_seed(schedule.seed * 100_003 + epoch)
            module.train()
            run.epoch(list(batches(epoch)), loss)
        module.eval()
        if dev is not None:
            with torch.no_grad():
                run.judge(float(dev()))
        if checkpoint:
            run.save(checkpoint)
        if progress:
            progress("training", epoch + 1, schedule.epochs)
    run.restore()
    if progress and len(run.history.losses) < schedule.epochs:
        progress("training", schedule.epochs, schedule.epochs)
    if checkpoint:
        checkpoint.unlink(missing_ok=True)
    return run.history


class _Run:
    """A run between two epochs: module, optimiser, best weights so far."""

    def __init__(self, module: nn.Module, schedule: Schedule, rates: Mapping[str, float]) -> None:
        self.module, self.schedule, self.history = module, schedule, History()
        self.learned = {name: p for name, p in module.named_parameters() if p.requires_grad}
        if not self.learned:
            raise RecipeError(f"{type(module).__name__} has no parameter that requires a gradient; nothing would learn")
        peaks = {name: next((r for start, r in rates.items() if name.startswith(start)), None) for name in self.learned}
        groups: dict[float, list[Tensor]] = {}
        for name, parameter in self.learned.items():
            groups.setdefault(peaks[name] or schedule.lr, []).append(parameter)
        self.peaks = list(groups)
        self.optimiser = torch.optim.AdamW(
            [{"params": list(members)} for members in groups.values()], lr=0.0, weight_decay=schedule.weight_decay
        )
        self.best: dict[str, Tensor] = {}

    @property
    def goes_on(self) -> bool:
        done, best = len(self.history.losses), self.history.best
        return done < self.schedule.epochs and not (best >= 0 and done - 1 - best >= self.schedule.patience)

    def epoch(self, batches: Sequence[Any], loss: Callable[[Any], Tensor]) -> None:
        if not batches:
            raise DataError("an epoch has no batch; give at least one example, or a smaller batch size")
        total = 0.0
        for number, batch in enumerate(batches):
            self._set_rate((len(self.history.losses) + number / len(batches)) / self.schedule.epochs)
            self.optimiser.zero_grad(set_to_none=True)
            value = loss(batch)
            if not torch.isfinite(value):
                raise RecipeError(f"the loss became {value.item()}; lower the schedule's lr ({self.schedule.lr})")
            value.backward()
            torch.nn.utils.clip_grad_norm_(self.learned.values(), self.schedule.clip)
            self.optimiser.step()
            total += value.item()
        self.history.losses.append(total / len(batches))

    def judge(self, score: float) -> None:
        scores = self.history.scores
        if not scores or score > max(scores):
            self.history.best = len(scores)
            self.best = {name: p.detach().clone() for name, p in self.learned.items()}
        scores.append(score)

    def restore(self) -> None:
        with torch.no_grad():
            for name, value in self.best.items():
                self.learned[name].copy_(value)

    def save(self, path: Path) -> None:
        tensors = {f"now.{name}": p.detach() for name, p in self.learned.items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        for number, parameter in enumerate(self._ordered()):
            state = self.optimiser.state[parameter]
            tensors |= {f"optimiser.{number}.{name}": torch.as_tensor(value) for name, value in state.items()}
        facts = {"schedule": json.dumps(asdict(self.schedule)), "history": json.dumps(asdict(self.history))}
        write_atomic(path, to_bytes({name: t.contiguous() for name, t in tensors.items()}, facts))

    def load(self, path: Path) -> None:
        try:
            with safe_open(path, "pt") as file:
                facts = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
        except (SafetensorError, OSError) as error:
            raise DataError(f"the checkpoint {path} cannot be read ({error}); delete it to begin anew") from error
        shapes = {name: p.shape for name, p in self.learned.items()}
        found = {name[4:]: t.shape for name, t in tensors.items() if name.startswith("now.")}
        if facts.get("schedule") != json.dumps(asdict(self.schedule)) or found != shapes:
            raise DataError(f"the checkpoint {path} is of another run; delete it, or choose another file")
        self.history = History(**json.loads(facts["history"]))
        self.best = {name[5:]: t for name, t in tensors.items() if name.startswith("best.")}
        with torch.no_grad():
            for name, parameter in self.learned.items():
                parameter.copy_(tensors[f"now.{name}"])
        for number, tensor in enumerate(self._ordered()):
            start = f"optimiser.{number}."
            state = {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}
            if state:
                self.optimiser.state[tensor] = state

    def _ordered(self) -> list[Tensor]:
        return [parameter for group in self.optimiser.param_groups for parameter in group["params"]]

    def _set_rate(self, done: float) -> None:
        warmup = self.schedule.warmup
        factor = done / warmup if done < warmup else (1 - done) / (1 - warmup)
        first = 1e-3  # the very first step would have size 0
        for group, peak in zip(self.optimiser.param_groups, self.peaks, strict=True):
            group["lr"] = peak * max(factor, first)
