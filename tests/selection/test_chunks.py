"""Documents in chunks among what `find` tries for retrieval."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from plait.chunks import cuts
from plait.data import Judgements, Task
from plait.selection.finding import find
from plait.selection.space import Space
from tests.selection.small import pairs, space

TOPICS = ("the fox runs", "a dog sleeps", "rain falls", "cancel my card", "a bank transfer", "it is late")


def task() -> Task:
    """Each query is answered by the document whose second sentence says the same."""
    documents = tuple(f"{TOPICS[n - 1]}. {TOPICS[n]}. {TOPICS[(n + 1) % 6]}." for n in range(6))
    judged = [Judgements(np.arange(a, a + 2), ({a: 1}, {a + 1: 1})) for a in (0, 2, 4)]
    parts = dict(zip(("train", "dev", "test"), judged, strict=True))
    return Task("retrieval", "six", documents, TOPICS, parts, np.arange(6), tuple("abcdef"))


def test_only_retrieval_has_chunks_and_only_encoders_that_read(tiny_bert: Path, tiny_table: Path) -> None:
    both = Space((str(tiny_bert), str(tiny_table)))
    found = [str(strand) for strand in both.strands() if any(cuts(leaf.pool) for leaf in strand.strands())]
    assert len(found) == len(set(found)) == 2 * (1 + len(both.mixes))
    assert all(str(tiny_bert) in text for text in found)
    others = both.for_task("sts").strands()
    assert not any(cuts(leaf.pool) for strand in others for leaf in strand.strands())


def test_chunks_are_scored_compressed_and_given_a_row_of_their_own(tiny_bert: Path, tmp_path: Path) -> None:
    small = space(tiny_bert, chunks=('SpanPool("sentences:1")',), poolings=("MeanPool()",), transforms=("",))
    result = find(task(), space=small, out=tmp_path)
    cut = [c for c in result.selection.candidates if "SpanPool" in c.text and c.recipe.quantiser is None]
    assert cut
    width = result.defaults[next(iter(result.defaults))].bytes // 4
    assert all(c.bytes == 3 * 4 * width for c in cut if "Pca" not in c.text)  # three sentences, three vectors
    (row,) = [effect for effect in result.effects if effect.family == "chunks"]
    assert "SpanPool" in row.recipes[0]


def test_a_task_of_pairs_never_meets_them(tiny_bert: Path, tmp_path: Path) -> None:
    result = find(pairs(20), space=replace(space(tiny_bert), transforms=("",)), out=tmp_path)
    assert not any("SpanPool" in candidate.text for candidate in result.selection.candidates)
