"""What `find` found, and the files it is written to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from plait.bank import write_atomic
from plait.data.splits import Protocol
from plait.data.tasks import Task
from plait.evaluation.statistics import Comparison, Interval
from plait.plan import PassReport
from plait.retrieval.settings import Settings
from plait.selection.ablation import Effect
from plait.selection.pareto import front
from plait.selection.search import Candidate, Selection


@dataclass(frozen=True)
class Figure:
    """One recipe's measured figures.

    Attributes:
        recipe: its text.
        dev: score on the dev part, which chose it.
        test: score on the test part, which was looked at once.
        interval: of ``test``, 95 %.
        against: the winner's test score minus this one's, on the same examples; None for the winner itself.
        bytes: of one stored vector.
        milliseconds: of one text on this machine.
        weight_bytes: of the models that must be loaded.
    """

    recipe: str
    dev: float
    test: float
    interval: Interval
    against: Comparison | None
    bytes: int
    milliseconds: float
    weight_bytes: int

    def as_dict(self) -> dict[str, object]:
        """Plain values for ``run.json``."""
        out: dict[str, object] = {
            "recipe": self.recipe,
            "dev": self.dev,
            "test": self.test,
            "interval": [self.interval.low, self.interval.high],
            "bytes": self.bytes,
            "ms_per_text": self.milliseconds,
            "weight_bytes": self.weight_bytes,
        }
        if self.against is not None:
            gain = self.against
            out["gain_of_best"] = {
                "difference": gain.difference,
                "interval": [gain.low, gain.high],
                "p_value": gain.p_value,
            }
        return out


@dataclass(frozen=True, eq=False)
class FindResult:
    """The outcome of a run of `find`.

    Attributes:
        task: the data.
        protocol: how it was split; several folds mean nested cross-validation.
        metric: what every score is.
        strategy: whose concatenation could win.
        seed: of the run.
        seconds: wall time.
        selection: the search on all that may be looked at: candidates, concatenation searches, their parts.
        best: the winner.
        best_single: the best that is one strand.
        defaults: each model as it comes, by the encoder's text.
        effects: what each family of options brought, on test.
        passes: what went through each encoder, and what was cut.
        memory: the most memory the process held, in bytes.
        machine: what it ran on.
        versions: of the packages that took part.
        search: how an index of the winner is best searched, by dev; None for what is not retrieval.
    """

    task: Task
    protocol: Protocol
    metric: str
    strategy: str
    seed: int
    seconds: float
    selection: Selection
    best: Figure
    best_single: Figure
    defaults: Mapping[str, Figure]
    effects: Sequence[Effect]
    passes: Mapping[str, PassReport]
    memory: int
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    search: Settings | None = None

    @property
    def nested(self) -> bool:
        """Whether test figures are those of the procedure, by nested cross-validation."""
        return len(self.protocol.folds) > 1

    def rows(self) -> Iterator[tuple[str, Figure]]:
        """The recipes whose test score was looked at, best first."""
        named = {"winner": self.best, "best single strand": self.best_single}
        named |= {f"default of {name}": figure for name, figure in self.defaults.items()}
        yield from sorted(named.items(), key=lambda item: -item[1].test)

    def front(self) -> list[Candidate]:
        """Fully scored candidates that no other beats on quality, bytes and time, best first."""
        full = [c for c in self.selection.candidates if c.share == 1.0]
        quality = np.array([c.score for c in full])
        bytes_, times = (np.array([getattr(c, name) for c in full], np.float64) for name in ("bytes", "milliseconds"))
        kept = [c for c, on in zip(full, front(quality, bytes_, times), strict=True) if on]
        return sorted(kept, key=lambda c: -c.score)

    def as_dict(self) -> dict[str, object]:
        """Plain values for ``run.json``."""
        against = self.best_single.against
        return {
            "data": self.task.name,
            "task": self.task.kind,
            "proxy": self.task.proxy,
            "notes": list(self.task.notes),
            "metric": self.metric,
            "protocol": "nested cross-validation" if self.nested else "train / dev / test",
            "folds": len(self.protocol.folds),
            "examples": {
                name: sum(len(getattr(f, name)) for f in self.protocol.folds) for name in ("train", "dev", "test")
            },
            "candidates": len(self.selection.candidates),
            "skipped": self.selection.skipped,
            "unique_texts": len(self.task.documents) + len(self.task.queries),
            "encoded_texts": {name: report.encoded for name, report in self.passes.items()},
            "tokens": {name: report.tokens for name, report in self.passes.items()},
            "truncated": {
                name: {"texts": r.cut_items, "tokens": r.cut_tokens, "share": r.cut_items / max(1, r.items)}
                for name, r in self.passes.items()
            },
            "seconds": self.seconds,
            "peak_memory_bytes": self.memory,
            "best": self.best.as_dict(),
            "best_single": self.best_single.as_dict(),
            "defaults": {name: figure.as_dict() for name, figure in self.defaults.items()},
            "p_value": None if against is None else against.p_value,
            "strategy": self.strategy,
            "searches": {
                name: {
                    "score": float(search.scores_.max()),
                    "evaluations": len(search.scores_),
                    "recipe": str(search.concat),
                }
                for name, search in self.selection.searches.items()
            },
            "families": [effect.as_dict() for effect in self.effects],
            "search": None if self.search is None else asdict(self.search),
            "parts": self.selection.parts,
            "inclusion": self.inclusion(),
            "seed": self.seed,
            "versions": dict(self.versions),
            "machine": dict(self.machine),
        }

    def inclusion(self) -> dict[str, float]:
        """How likely the chosen search takes each part."""
        search = self.selection.searches.get(self.strategy)
        if search is None:
            return {}
        return dict(zip(self.selection.parts, map(float, search.inclusion_probability_), strict=True))

    def card(self) -> dict[str, object]:
        """Measured numbers for the model card."""
        low, high = self.best.interval.low, self.best.interval.high
        return {
            "data": f"{self.task.name} ({self.task.kind}{', a proxy' if self.task.proxy else ''})",
            f"test {self.metric}": f"{self.best.test:.4f} (95 % interval {low:.4f} to {high:.4f})",
            "bytes a vector": self.best.bytes,
            "ms a text": f"{self.best.milliseconds:.2f} on {self.machine.get('processor', 'this machine')}",
            "weights": f"{self.best.weight_bytes / 1e6:.0f} MB",
            "seed": self.seed,
        } | ({} if self.search is None else {"weight of words in a search": f"{self.search.words:g}"})

    def write(self, folder: Path) -> None:
        """Write ``results.parquet``, ``recipe.txt``, ``report.html`` and, last, ``run.json``."""
        from plait.selection.report import render

        write_atomic(folder / "results.parquet", self._parquet())
        write_atomic(folder / "recipe.txt", f"{self.best.recipe}\n".encode())
        write_atomic(folder / "report.html", render(self, folder).encode())
        write_atomic(folder / "run.json", (json.dumps(self.as_dict(), indent=1, ensure_ascii=False) + "\n").encode())

    def _parquet(self) -> bytes:
        import pyarrow as pa
        import pyarrow.parquet as pq

        candidates = sorted(self.selection.candidates, key=lambda c: (-c.share, -c.score, c.text))
        names = ("text", "stage", "share", "score", "final", "bytes", "milliseconds")
        table = pa.table({name: [getattr(c, name) for c in candidates] for name in names})
        table = table.rename_columns(["recipe", "stage", "dev_share", "dev_score", "dev_final", "bytes", "ms_per_text"])
        sink = BytesIO()
        pq.write_table(table, sink)
        return sink.getvalue()
