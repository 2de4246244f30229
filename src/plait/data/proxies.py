"""Made-up labels for texts that have none: honest stand-ins, named as such.

Each finds a document by something that was taken out of it or that a person might have typed instead of it: its title,
one of its sentences (the inverse cloze task), or a damaged copy.

Source: Latent Retrieval for Weakly Supervised Open Domain Question Answering, arXiv 1906.00300.
"""

from __future__ import annotations

import random
import re
from array import array
from collections import Counter
from collections.abc import Callable

import numpy as np

from plait.data.build import Unique, joined
from plait.data.tally import Tally
from plait.data.tasks import Judgements, Task
from plait.types import DataError

QUERIES = 500
"""Most queries of a proxy: nDCG@10 over them has a standard error near 0.02."""
ENOUGH = 20
"""Documents that must allow a proxy before it is taken (or half of them, in a small corpus)."""
LOOKED_AT = 20_000
"""Documents that are searched for sentences at most."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])\s*")
_WORDS = re.compile(r"\S+")


class Corpus:
    """Documents by title and body; equal ones share a row.

    A document without title is kept as its text alone: among a million of them that saves a hundred megabytes.
    """

    def __init__(self) -> None:
        self.unique: Unique[str | tuple[str, str]] = Unique()
        self.rows = array("q")
        self.ids: list[str] = []

    def add(self, title: str, body: str, key: str | None = None) -> None:
        """Add a document."""
        self.rows.append(self.unique.row((title, body) if title else body))
        if key is not None:
            self.ids.append(key)


def proxy_task(name: str, corpus: Corpus, tally: Tally, seed: int = 0) -> Task:
    """A retrieval task with made-up queries, by the best of three ways that the documents allow.

    Titles find their body; where there are none, a sentence finds the document it was taken out of; where documents are
    single sentences, a damaged copy finds its original.

    Args:
        name: of the task.
        corpus: the documents.
        tally: where empty, repeated and unfit documents are counted.
        seed: of the choice of documents and sentences.

    Raises:
        DataError: if there are fewer than two different texts.
    """
    entries = list(corpus.unique)
    corpus.unique.clear()
    empty = {row for row, entry in enumerate(entries) if not "".join(entry).strip()}
    tally.add("document", "without text kept as empty", sum(row in empty for row in corpus.rows))
    tally.add("document", "with the same text as another one", len(corpus.rows) - len(entries))
    usable = [row for row in range(len(entries)) if row not in empty]
    if len(usable) < 2:
        raise DataError(
            f"{name} holds {len(usable)} different text{'s' * (len(usable) != 1)}; "
            "a search among them cannot be judged: give at least two, better some hundreds"
        )
    chance = random.Random(seed)
    chance.shuffle(usable)
    enough = min(ENOUGH, (len(usable) + 1) // 2)
    for way in (_titles, _sentences, _variants):
        documents = [entry if isinstance(entry, str) else joined(*entry) for entry in entries]
        found, proxy = way(entries, documents, usable, chance, tally)
        if len(found) >= enough or (way is _variants and len(found) > 1):
            return _task(name, corpus, documents, found, proxy, tally)
    raise DataError(f"{name}: no query can be made of its texts; give data with labels or judgements")


Found = dict[str, set[int]]
"""Query to the rows that it should find."""
Entries = list[str | tuple[str, str]]
"""Texts, or title and body."""
Way = Callable[[Entries, list[str], list[int], random.Random, Tally], tuple[Found, str]]


def _titles(
    entries: Entries, documents: list[str], usable: list[int], chance: random.Random, tally: Tally
) -> tuple[Found, str]:
    """Titles as queries; every document loses its title."""
    found: Found = {}
    for row in usable:
        entry = entries[row]
        if isinstance(entry, str):
            continue
        title, body = (part.strip() for part in entry)
        rest = body.removeprefix(title).lstrip(" .:\n") if title else body
        documents[row] = rest or documents[row]
        if title and rest and (len(found) < QUERIES or title in found):
            found.setdefault(title, set()).add(row)
    return found, "labels are made up: titles are the queries, and each should find the body that it was taken from"


def _sentences(
    entries: Entries, documents: list[str], usable: list[int], chance: random.Random, tally: Tally
) -> tuple[Found, str]:
    """One sentence of each sampled document as the query; the document loses it."""
    candidates: dict[int, list[str]] = {}
    single = 0
    for row in usable[:LOOKED_AT]:
        if len(candidates) < QUERIES:
            sentences = _split(documents[row])
            single += len(sentences) < 2
            if len(sentences) > 1:
                candidates[row] = sentences
    wanted = {sentence for sentences in candidates.values() for sentence in sentences}
    seen = Counter(s for text in documents for s in _split(text) if s in wanted) if wanted else Counter()
    found: Found = {}
    for row, sentences in candidates.items():
        own = [s for s in sentences if seen[s] == 1 and (len(_WORDS.findall(s)) > 2 or len(s) > 20)]
        if own:
            query = chance.choice(own)
            found[query] = {row}
            documents[row] = " ".join(s for s in sentences if s != query)
    if len(found) >= ENOUGH:
        tally.add("document", "of one sentence passed over while queries were made", single)
    proxy = "labels are made up: each query is a sentence taken out of a document, and should find that document"
    return found, proxy


def _split(text: str) -> list[str]:
    return [sentence for sentence in _SENTENCE.split(text.strip()) if sentence]


def _variants(
    entries: Entries, documents: list[str], usable: list[int], chance: random.Random, tally: Tally
) -> tuple[Found, str]:
    """A damaged copy of each sampled document as the query."""
    known = set(documents)
    made: Found = {}
    for row in usable[:QUERIES]:
        variant = chance.choice((_typo, _recased, _word_dropped))(documents[row], chance)
        if variant not in known and variant.strip():
            made.setdefault(variant, set()).add(row)
    return {variant: rows for variant, rows in made.items() if len(rows) == 1}, (
        "labels are made up: each query is a copy of a text with a typing error, other capitals or a word left out, "
        "and should find the original; this measures robustness, not meaning"
    )


def _typo(text: str, chance: random.Random) -> str:
    """Two neighbouring letters swapped."""
    places = [n for n in range(len(text) - 1) if text[n].isalnum() and text[n + 1].isalnum() and text[n] != text[n + 1]]
    if not places:
        return text.swapcase()
    place = chance.choice(places)
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]


def _recased(text: str, chance: random.Random) -> str:
    other = chance.choice((text.upper(), text.lower(), text.title()))
    return other if other != text else text.swapcase() if text.swapcase() != text else _typo(text, chance)


def _word_dropped(text: str, chance: random.Random) -> str:
    words = text.split()
    if len(words) < 3:
        return _typo(text, chance)
    del words[chance.randrange(len(words))]
    return " ".join(words)


def _task(name: str, corpus: Corpus, documents: list[str], found: Found, proxy: str, tally: Tally) -> Task:
    """The task; all documents that share a row are relevant where it is."""
    texts: Unique[str] = Unique()
    rows = np.array([texts.row(text) for text in documents], np.int64)[np.array(corpus.rows)]
    numbers: dict[int, list[int]] = {row: [] for wanted in found.values() for row in wanted}
    for number, row in enumerate(corpus.rows):
        if row in numbers:
            numbers[row].append(number)
    relevant = tuple({number: 1 for row in sorted(wanted) for number in numbers[row]} for wanted in found.values())
    return Task(
        "retrieval",
        name,
        tuple(texts),
        queries=tuple(found),
        parts={"all": Judgements(np.arange(len(found)), relevant)},
        corpus=rows,
        doc_ids=tuple(corpus.ids or map(str, range(len(rows)))),
        notes=tally.notes(),
        proxy=proxy,
    )
