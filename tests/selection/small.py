"""Small real data and a small space, for whole runs of `find` within seconds."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from plait.data import Pairs, Task, read, select
from plait.selection.space import Space

MEASURED = ("ms_per_text",)
"""Columns that hold times, which no two runs share."""


@cache
def pairs(size: int = 120) -> Task:
    """The first pairs of the similarity sample's dev and test parts."""
    whole = read("demo:stsb")
    parts = {name: select(whole.parts[name], np.arange(size)) for name in ("dev", "test")}
    rows = np.unique(np.concatenate([rows for part in parts.values() for rows in (part.left, part.right)]))
    cut = {
        name: Pairs(np.searchsorted(rows, part.left), np.searchsorted(rows, part.right), part.score)
        for name, part in parts.items()
    }
    return Task("sts", "pairs", tuple(whole.documents[row] for row in rows), parts=cut)


def whole_pairs(size: int = 60) -> Task:
    """The same without a split."""
    task = pairs(size)
    parts = [task.parts["dev"], task.parts["test"]]
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in ("left", "right", "score")]
    return replace(task, parts={"all": Pairs(*columns)})


def space(*models: Path | str, **changes: object) -> Space:
    """Two poolings, two transforms, one width."""
    small = Space(
        models=tuple(map(str, models)),
        mixes=("LayerMean([1, -1])",),
        poolings=("MeanPool()", "MaxPool()"),
        transforms=("", "Center()"),
        widths=(8,),
        quantisers=("", "Int8()", "Binary()"),
        parts=4,
    )
    return replace(small, **changes)  # type: ignore[arg-type]


def outcome(folder: Path) -> dict[str, bytes]:
    """All that a run with the same seed must repeat byte for byte."""
    table = pq.read_table(folder / "results.parquet")
    kept = table.drop_columns(list(MEASURED))
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, kept.schema) as writer:
        writer.write_table(kept.combine_chunks())
    run = json.loads((folder / "run.json").read_text())
    scores = {
        name: {key: value for key, value in run[name].items() if key not in MEASURED}
        for name in ("best", "best_single")
    }
    card = [line for line in (folder / "model" / "README.md").read_text().splitlines() if "ms a text" not in line]
    files = ("recipe.txt", "model/recipe.txt", "model/model.safetensors", "model/plait.json")
    return {name: (folder / name).read_bytes() for name in files} | {
        "results": sink.getvalue(),
        "scores": json.dumps(
            [scores, run["searches"], run["inclusion"], run["encoded_texts"], run["candidates"]]
        ).encode(),
        "card": "\n".join(card).encode(),
    }
