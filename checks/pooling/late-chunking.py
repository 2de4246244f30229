"""Chunks pooled after the whole document was read, against chunks read alone, on three retrieval collections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from plait.chunks import Chunked
from plait.data import read
from plait.data.tasks import Judgements, Task
from plait.encoders.transformer import Transformer
from plait.evaluation.embedded import Embedded
from plait.evaluation.retrieval import Retrieval
from plait.papers import Claim, Outcome
from plait.plan import run
from plait.pooling.mean import MeanPool
from plait.pooling.spans import SpanPool
from plait.step import Chain, unit_rows
from plait.types import Floats, Ints

HOST, LARGER, LENGTH = "all-MiniLM-L6-v2", "all-mpnet-base-v2", 512
SIZES = (32, 64, 128)
"""Tokens a chunk; small, because the documents have about 200 tokens and the hosts read 512."""
COLLECTIONS = {"med": "all", "cranfield": "all", "scifact": "test"}
DOCUMENTS, FOR_LARGER = 400, 200
"""Documents of each collection, so that five readings of them take minutes; fewer for the larger host."""
ANSWERS = 0.75
"""Share of the documents that answer a query at most; the others are drawn at random."""
SEED = 0
EXACT = 1e-5
CITY = "Lisbon"
PARAGRAPH = (
    "Lisbon is the capital of Portugal and lies where the Tagus meets the Atlantic. ",
    "It was rebuilt on a regular plan after the earthquake of 1755. ",
    "The city has about half a million inhabitants. ",
    "Its oldest quarters climb the hills around the castle. ",
    "Yellow trams have carried its people up the steep streets since 1873. ",
    "The city is also known for a bridge that is one of the longest in Europe.",
)


def check(data: Path) -> Outcome:
    host, quick = Transformer(HOST, max_length=LENGTH), Transformer(HOST, max_length=LENGTH, dtype="bfloat16")
    measured = [_measure(quick, _task(data, name, DOCUMENTS)) for name in COLLECTIONS]
    largest = Transformer(LARGER, max_length=LENGTH, dtype="bfloat16")
    larger = _measure(largest, _task(data, "scifact", FOR_LARGER), SIZES[:1])
    late, naive = (_mean([getattr(m, way)[32] for m in measured]) for way in ("late", "naive"))
    main = Claim.above("late chunks of 32 tokens retrieve better than chunks read alone", late, naive)
    better = sum(all(m.late[size] > m.naive[size] for size in SIZES[:2]) for m in measured)
    small, large = (_mean([m.late[size] - m.naive[size] for m in measured]) for size in (SIZES[0], SIZES[-1]))
    rises, falls = _demonstration(host)
    claims = [
        main,
        Claim("late is better with 32 and with 64 tokens on at least 2 of 3 collections", better >= 2, better, 2, 0),
        Claim.above("the gain is larger with 32 tokens than with 128", small, large),
        Claim.above("a larger host gains too (SciFact, 32 tokens)", larger.late[32], larger.naive[32]),
        Claim.above("every later sentence that says 'it' or 'the city' comes closer to the city's name", rises, 0),
        *_mechanism(host),
    ]
    return Outcome(
        claims,
        [
            main.without("chunks among chunks of other documents", _mean([m.shuffled for m in measured])),
            claims[4].without("the sentences behind a first one about something else", falls),
        ],
        metric="nDCG@10 × 100, mean of three collections",
        data=[f"retrieval/{name}" for name in COLLECTIONS],
        seeds=[SEED],
        figures={
            **{
                f"{name}, {way}, {size} tokens": getattr(m, way)[size]
                for name, m in zip(COLLECTIONS, measured, strict=True)
                for way in ("late", "naive")
                for size in SIZES
            },
            **{f"{name}, whole documents": m.whole for name, m in zip(COLLECTIONS, measured, strict=True)},
            **{f"{name}, share of tokens read": m.read for name, m in zip(COLLECTIONS, measured, strict=True)},
            f"scifact, whole documents, {LARGER}": larger.whole,
        },
        note=(
            f"Hosts read {LENGTH} tokens, not 8192, so documents and chunks are short. Collections are cut to "
            f"{DOCUMENTS} documents ({LARGER}: SciFact, {FOR_LARGER}) and to queries whose answers are among them, in "
            "bfloat16; figures do not compare with those of whole collections. multilingual-e5-small gives no token "
            "states here, and span pooling is not trained. What a document has beyond the length limit is left out "
            "for both ways."
        ),
    )


@dataclass(frozen=True)
class Measured:
    """nDCG@10 × 100 on one collection, by tokens a chunk."""

    late: dict[int, float]
    naive: dict[int, float]
    whole: float
    shuffled: float
    read: float


def _task(data: Path, name: str, size: int) -> Task:
    """A collection cut to some queries drawn at random, the documents that answer them, and others."""
    task, rng = read(data / "retrieval" / name), np.random.default_rng(SEED)
    judged = task.parts[COLLECTIONS[name]]
    assert isinstance(judged, Judgements) and task.corpus is not None
    chosen, answers = list[int](), set[int]()
    for query in rng.permutation(len(judged)).tolist():
        if len(answers | set(judged.relevant[query])) <= ANSWERS * size:
            chosen.append(query)
            answers |= set(judged.relevant[query])
    others = rng.permutation(np.setdiff1d(np.arange(len(task.corpus)), sorted(answers)))
    kept = np.sort([*answers, *others[: size - len(answers)].tolist()])
    place = {number: row for row, number in enumerate(kept.tolist())}
    relevant = tuple({place[n]: grade for n, grade in judged.relevant[query].items()} for query in chosen)
    return replace(
        task,
        documents=[task.documents[row] for row in task.corpus[kept].tolist()],
        corpus=np.arange(len(kept)),
        doc_ids=(),
        parts={"all": Judgements(judged.queries[chosen], relevant)},
    )


def _measure(host: Transformer, task: Task, sizes: Sequence[int] = SIZES) -> Measured:
    whole = host | MeanPool()
    strands = {size: next((host | SpanPool(size)).strands()) for size in sizes}
    plain = next(whole.strands())
    vectors, reports = run([plain, *strands.values()], task.documents)
    (report,) = reports.values()
    queries = whole.encode(task.queries, role="query").values
    judged = task.parts["all"]

    def score(documents: Floats, units: Ints | None) -> float:
        return 100 * Retrieval(task.corpus).evaluate(Embedded(documents, queries, units), None, judged).value

    late, naive = {}, {}
    for size, strand in strands.items():
        chunked = report.chunked[strand.text]
        late[size] = score(vectors[strand.text], chunked.units)
        naive[size] = score(whole.encode(_texts(task, chunked)).values, chunked.units)
    chunked = report.chunked[strands[sizes[0]].text]
    return Measured(
        late,
        naive,
        score(vectors[plain.text], None),
        score(_among_others(host, task, chunked), chunked.units) if len(sizes) > 1 else 0.0,
        1 - report.cut_tokens / (report.tokens + report.cut_tokens),
    )


def _texts(task: Task, chunked: Chunked) -> list[str]:
    owner = np.repeat(np.arange(len(task.documents)), np.diff(chunked.units))
    return [str(task.documents[n])[a:b] for n, (a, b) in zip(owner.tolist(), chunked.spans.tolist(), strict=True)]


def _among_others(host: Transformer, task: Task, chunked: Chunked) -> Floats:
    """Late vectors of the same chunks in documents that are put together of chunks at random."""
    texts = [text.strip() for text in _texts(task, chunked)]
    order = np.random.default_rng(SEED).permutation(len(texts))
    each = max(2, min(round(len(texts) / len(task.documents)), LENGTH // SIZES[0] // 2))
    spans: dict[str, list[tuple[int, int]]] = {}
    rows: list[int] = []
    for start in range(0, len(order), each):
        members = [int(row) for row in order[start : start + each] if texts[row]]
        ends = np.cumsum([len(texts[row]) + 1 for row in members])
        spans[" ".join(texts[row] for row in members)] = [
            (int(end) - len(texts[row]) - 1, int(end) - 1) for row, end in zip(members, ends, strict=True)
        ]
        rows += members
    made = (host | SpanPool(lambda text: spans[text])).encode(list(spans)).values
    if len(made) != len(rows):
        raise AssertionError(f"{len(rows)} chunks were put together and {len(made)} came back: some were cut off")
    out = np.zeros((len(texts), made.shape[1]), np.float32)
    out[rows] = made
    return out


def _demonstration(host: Transformer) -> tuple[float, float]:
    """The least that a later sentence's cosine with the city rises, and the same behind an unrelated first sentence."""
    by_sentence, whole = host | SpanPool("sentences:1"), host | MeanPool()
    alone = _cosines(whole, list(PARAGRAPH[1:]))
    late = _cosines(by_sentence, ["".join(PARAGRAPH)])[1:]
    other = _cosines(by_sentence, ["Sourdough rises slowly when the kitchen is cold. " + "".join(PARAGRAPH[1:])])[1:]
    return float((late - alone).min()), float((other - alone).min())


def _cosines(recipe: Chain, texts: list[str]) -> Floats:
    city = unit_rows(recipe.encode([CITY], role="query").values)[0]
    cosines: Floats = unit_rows(recipe.encode(texts).values) @ city
    return cosines


def _mechanism(host: Transformer) -> list[Claim]:
    """What late chunking must do whatever the data: the whole text as a chunk, a changed neighbour, long texts."""
    text, changed = "".join(PARAGRAPH), "".join(PARAGRAPH).replace("Lisbon", "Porto")
    whole = (host | MeanPool()).encode([text]).values
    one = (host | SpanPool(LENGTH)).encode([text]).values
    windows = Transformer(HOST, max_length=LENGTH, on_overflow="chunk")
    late = [(host | SpanPool("sentences:1")).encode([t]).values[2] for t in (text, changed)]
    again = (windows | SpanPool("sentences:1")).encode([text]).values[2]
    moved = float(np.abs(late[0] - late[1]).max())
    off = [float(np.abs(a - b).max()) for a, b in ((one, whole), (again, late[0]))]
    return [
        Claim("a document in one chunk has the vector of the whole document", off[0] <= EXACT, off[0], 0, EXACT),
        Claim("a short text is the same when long ones are read in windows", off[1] == 0, off[1], 0, 0),
        Claim.above("another word in the first sentence changes a later chunk's vector", moved, 0, 1e-3),
    ]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
