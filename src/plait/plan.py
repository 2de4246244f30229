"""One pass for hundreds of recipes.

A recipe's *strand* is the part that needs a forward pass: one encoder, one mix of its layers, one pooling. All strands
of an encoder are sinks of a single pass: tokenise once, plan batches by token budget over length-sorted items, take
the union of the layers, compute every layer × linear pooling as one sparse product, drop the states.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from plait.bank import Bank, digest
from plait.chunks import Chunked, cuts
from plait.types import Floats, Ints, Items, States, Tokens, ranges

Progress = Callable[[str, int, int], None]
"""Called with a label, tokens done and tokens in all."""

ORDER = 2
"""Raised whenever `plan_batches` puts items in another order: a half-written pass goes on by numbers of batches."""
SHARED_COST = 8
"""How many shared tokens cost as much as one that is run."""


class EncoderLike(Protocol):
    """What the pass asks of an encoder."""

    @property
    def width(self) -> int: ...
    @property
    def router_width(self) -> int: ...
    @property
    def budget(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    def asked(self, role: str) -> EncoderLike: ...
    def tokenize(self, items: Items) -> Tokens: ...
    def spanned(self, items: Items) -> Tokens: ...
    def shared(self, tokens: Tokens) -> int: ...
    def states(self, tokens: Tokens, layers: tuple[int, ...]) -> States: ...


class ChangeLike(Protocol):
    """A change of the encoder's inside that lasts for a pass."""

    def change(self, encoder: EncoderLike) -> contextlib.AbstractContextManager[None]: ...


class PoolLike(Protocol):
    """What the pass asks of a pooling: ``weights`` when it is linear, ``pool`` otherwise.

    One that cuts documents into chunks also has ``chunked(tokens, items)``, which gives `plait.chunks.Chunked`: the
    same ids with other units.
    """

    linear: bool

    def width(self, dim: int) -> int: ...
    def weights(self, tokens: Tokens) -> Floats: ...
    def pool(self, values: Floats, tokens: Tokens) -> Floats: ...


@dataclass(frozen=True)
class Strand:
    """One encoder, the changes made to it, one mix of its layers, one pooling.

    Attributes:
        text: the strand's recipe, which is its name.
        pooling: fingerprint of the pooling, with what it has learned.
        source: text of the encoder with its changes; strands of one source share a pass.
        mix: (layer, weight) pairs.
        chunked: the units that it pools, where they are not the encoder's own.
    """

    text: str
    pooling: str
    source: str
    encoder: EncoderLike = field(compare=False)
    changes: tuple[ChangeLike, ...] = field(compare=False)
    mix: tuple[tuple[int, float], ...] = field(compare=False)
    pool: PoolLike = field(compare=False)
    chunked: Chunked | None = field(compare=False, default=None)

    @property
    def key(self) -> str:
        """Vectors are banked under it."""
        if self.chunked is None:
            return digest(self.text, self.pooling)
        tokens = self.chunked.tokens  # what a function cut is known by where it cut, not by its name
        return digest(self.text, self.pooling, *(a.tobytes() for a in (tokens.index, tokens.bounds, tokens.units)))

    @property
    def width(self) -> int:
        """Numbers in one of its vectors."""
        return self.pool.width(self.encoder.router_width if self.of_routers else self.encoder.width)

    @property
    def of_routers(self) -> bool:
        """Whether it pools routers' weights instead of states."""
        return self.mix[0][0] < 0


@dataclass
class PassReport:
    """What the passes behind some vectors did: ``items`` asked for, ``encoded`` through the forward pass, ever.

    ``chunked`` holds the chunks of each strand that pools some, by its text.
    """

    source: str
    items: int
    encoded: int
    tokens: int
    cut_items: int
    cut_tokens: int
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    chunked: dict[str, Chunked] = field(default_factory=dict, repr=False)


def plan_batches(tokens: Tokens, budget: int, shared: int = 0) -> list[Ints]:
    """Split items into batches of at most ``budget`` padded tokens, longest first.

    The order depends on the items' content alone, never on the order in which they came, so that a shuffled input meets
    the same neighbours and gets the same vectors. An item longer than the budget is a batch by itself.

    Args:
        tokens: of all items.
        budget: padded tokens in a batch.
        shared: tokens at the start of every item that a batch runs once; see `batch_cost`.

    Returns:
        Arrays of row numbers; items without a token are in none of them.
    """
    lengths = tokens.lengths
    position = np.arange(len(tokens.ids), dtype=np.uint64) - np.repeat(tokens.offsets[:-1], lengths).astype(np.uint64)
    mixed = tokens.ids.astype(np.uint64) * np.uint64(0xBF58476D1CE4E5B9) + position * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0x94D049BB133111EB)  # a sum of products alone often ties
    mixed ^= mixed >> np.uint64(29)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)])
    content = sums[tokens.offsets[1:]] - sums[tokens.offsets[:-1]]
    order = np.lexsort((content, -lengths))
    order = order[: np.count_nonzero(lengths)]
    batches, start, sorted_lengths = [], 0, lengths[order].tolist()
    while start < len(order):
        stop = start + max(1, budget // batch_cost(sorted_lengths[start], shared))
        batches.append(order[start:stop])
        start = stop
    return batches


def batch_cost(length: int, shared: int) -> int:
    """Tokens that an item of that length counts for in a batch; a shared one is still copied and attended to."""
    return length - shared + -(-shared // SHARED_COST)


def reduce_states(states: States, strands: Sequence[Strand]) -> dict[str, Floats]:
    """Pool one batch for every strand: ``{strand.text: [U, D]}``."""
    tokens = states.tokens
    linear = {s.pooling: s.pool for s in strands if s.pool.linear and not s.of_routers}
    numbers = {key: number for number, key in enumerate(linear)}
    pooled = states.weighted(np.stack([pool.weights(tokens) for pool in linear.values()])) if linear else None
    plane = {layer: number for number, layer in enumerate(states.layers)}
    out: dict[str, Floats] = {}
    for strand in strands:
        if pooled is not None and strand.pooling in linear and not strand.of_routers:
            out[strand.text] = _mix(strand.mix, lambda n, k=numbers[strand.pooling]: pooled[plane[n], k])  # type: ignore[misc]
        else:
            out[strand.text] = strand.pool.pool(_mix(strand.mix, states.layer), tokens)
    return out


def run(
    strands: Iterable[Strand],
    items: Items,
    bank: Bank | None = None,
    progress: Progress | None = None,
    role: str = "document",
) -> tuple[dict[str, Floats], dict[str, PassReport]]:
    """Vectors of every strand for every item, with one pass for each source.

    Args:
        strands: what to compute; equal ones merge.
        items: unique texts, or sentences as tuples of words.
        bank: where vectors are kept and found again; None keeps them in memory.
        progress: called as the pass goes on.
        role: "query" or "document"; an encoder may read the two differently, and queries are never cut into chunks.

    Returns:
        ``{strand.text: [U, D]}`` and ``{source: PassReport}``.
    """
    groups: dict[str, dict[str, Strand]] = {}
    for strand in strands:
        groups.setdefault(strand.source, {})[strand.text] = strand
    vectors: dict[str, Floats] = {}
    reports: dict[str, PassReport] = {}
    for source, strands_of in groups.items():
        encoder = next(iter(strands_of.values())).encoder.asked(role)
        group = {text: replace(strand, encoder=encoder) for text, strand in strands_of.items()}
        cutting = [strand for strand in group.values() if role != "query" and cuts(strand.pool)]
        tokens = encoder.spanned(items) if cutting else encoder.tokenize(items)
        group |= _chunked(cutting, tokens, items)
        cut = tokens.cut > 0
        report = PassReport(source, len(items), 0, int(tokens.lengths.sum()), int(cut.sum()), int(tokens.cut.sum()))
        report.chunked = {text: strand.chunked for text, strand in group.items() if strand.chunked}
        wall, cpu = time.monotonic(), time.process_time()
        given = _banked if bank else _in_memory
        vectors |= given(bank, items, tokens, group, report, progress)  # type: ignore[arg-type]
        report.seconds, report.cpu_seconds = time.monotonic() - wall, time.process_time() - cpu
        reports[source] = report
    return vectors, reports


def _chunked(strands: Sequence[Strand], tokens: Tokens, items: Items) -> dict[str, Strand]:
    """The strands, with the chunks that their poolings cut; equal poolings share them."""
    found: dict[str, Chunked] = {}
    for strand in strands:
        if strand.pooling not in found:
            found[strand.pooling] = strand.pool.chunked(tokens, items)  # type: ignore[attr-defined]
    return {strand.text: replace(strand, chunked=found[strand.pooling]) for strand in strands}


def token_states(strand: Strand, items: Items, bank: Bank | None = None, progress: Progress | None = None) -> States:
    """Every token's state, layers mixed, for poolings that are trained: from the bank where they are in it.

    Args:
        strand: whose encoder, changes and mix to take; its pooling is left aside.
        items: what to encode.
        bank: where states are kept and found again.
        progress: called as the pass goes on.
    """
    reader = _TokenByToken(strand.encoder.asked("document"))
    single = replace(strand, text=f"{strand.text} token by token", pooling="", encoder=reader, pool=_AsTheyAre())
    vectors, _ = run([single], items, bank, progress)
    return States(vectors[single.text][None], (0,), reader.encoder.tokenize(items))


class _TokenByToken:
    """An encoder whose every token is a unit of its own."""

    def __init__(self, encoder: EncoderLike) -> None:
        self.encoder = encoder
        self.fingerprint = digest(encoder.fingerprint, "token by token")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.encoder, name)

    def asked(self, role: str) -> _TokenByToken:
        return self

    def tokenize(self, items: Items) -> Tokens:
        tokens = self.encoder.tokenize(items)
        every = np.arange(len(tokens.ids) + 1)
        return replace(tokens, index=every[:-1], bounds=every, units=tokens.offsets)


class _AsTheyAre:
    """Pools units of one token."""

    linear = False

    def weights(self, tokens: Tokens) -> Floats:
        return np.ones(len(tokens.index), np.float32)

    def width(self, dim: int) -> int:
        return dim

    def pool(self, values: Floats, tokens: Tokens) -> Floats:
        return values


def _banked(
    bank: Bank, items: Items, tokens: Tokens, group: Mapping[str, Strand], report: PassReport, progress: Progress | None
) -> dict[str, Floats]:
    encoder = next(iter(group.values())).encoder
    shelf = bank.shelf(digest(report.source, encoder.fingerprint), items, rows=len(tokens.bounds) - 1)
    rows = {s.key: _units(s, tokens) for s in group.values() if s.chunked}
    missing = {s.key: s for s in group.values() if not shelf.has(s.key)}
    if missing:
        widths = {key: strand.width for key, strand in missing.items()}
        with shelf.writer(widths, plan=f"{ORDER} {encoder.budget} {encoder.shared(tokens)}", rows=rows) as writer:
            _forward(tokens, missing, writer.write, report, progress, writer.done, writer.commit)
            writer.encoded = report.encoded
    report.encoded = shelf.encoded
    return {text: shelf.get(strand.key, rows.get(strand.key)) for text, strand in group.items()}


def _in_memory(
    bank: None, items: Items, tokens: Tokens, group: Mapping[str, Strand], report: PassReport, progress: Progress | None
) -> dict[str, Floats]:
    out = {text: np.zeros((_units(strand, tokens), strand.width), np.float32) for text, strand in group.items()}

    def write(text: str, rows: Ints, values: Floats) -> None:
        out[text][rows] = values

    _forward(tokens, group, write, report, progress, set(), lambda batch: None)
    return out


def _forward(
    tokens: Tokens,
    group: Mapping[str, Strand],
    write: Callable[[str, Ints, Floats], None],
    report: PassReport,
    progress: Progress | None,
    done: set[int],
    commit: Callable[[int], None],
) -> None:
    """Run every batch that is not done through the encoder and hand each strand its rows."""
    first = next(iter(group.values()))
    layers = tuple(sorted({layer for strand in group.values() for layer, _ in strand.mix}))
    views = _views(group, tokens)
    seen = 0
    report.encoded = int(np.count_nonzero(tokens.lengths == 0))
    with contextlib.ExitStack() as stack:
        for change in first.changes:
            stack.enter_context(change.change(first.encoder))
        for number, rows in enumerate(plan_batches(tokens, first.encoder.budget, first.encoder.shared(tokens))):
            batch = tokens.take(rows)
            seen += len(batch.ids)
            if number not in done:
                states = first.encoder.states(batch, layers)
                for view, names in views:
                    seen_as = states if view is tokens else states.over(view.take(rows))
                    values = reduce_states(seen_as, [group[name] for name in names])
                    unit_rows = _unit_rows(view, rows)
                    for name in names:
                        write(name, unit_rows, values[group[name].text])
                commit(number)
            report.encoded += len(rows)
            if progress:
                progress(report.source, seen, report.tokens)


def _views(group: Mapping[str, Strand], tokens: Tokens) -> list[tuple[Tokens, list[str]]]:
    """Names of the strands, by the units that they pool."""
    found: dict[int, tuple[Tokens, list[str]]] = {}
    for name, strand in group.items():
        view = strand.chunked.tokens if strand.chunked else tokens
        found.setdefault(id(view), (view, []))[1].append(name)
    return list(found.values())


def _units(strand: Strand, tokens: Tokens) -> int:
    """How many vectors a strand gives."""
    return len((strand.chunked.tokens if strand.chunked else tokens).bounds) - 1


def _unit_rows(tokens: Tokens, rows: Ints) -> Ints:
    return ranges(tokens.units[rows], tokens.units[rows + 1])


def _mix(mix: tuple[tuple[int, float], ...], plane: Callable[[int], Floats]) -> Floats:
    """Weighted sum of layers; a single layer is passed on as it is."""
    (layer, weight), *rest = mix
    total = plane(layer) if weight == 1 else weight * plane(layer)
    for layer, weight in rest:
        total = total + weight * plane(layer)
    return total
