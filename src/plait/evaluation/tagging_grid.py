"""One tagger over many inputs: every combination of word representations, on every set, at every training size."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Protocol, TypeAlias

import numpy as np
from sklearn.base import clone

from plait.data.tasks import Tags, Task
from plait.evaluation.evaluators import evaluator
from plait.evaluation.sentence_batches import WordInputs
from plait.evaluation.tagger import SequenceTagger
from plait.evaluation.tagging import span_counts, token_counts
from plait.evaluation.token_parts import TokenPart
from plait.types import Codes, DataError, Floats, Items, Vectors, ranges

MAJORITY, PER_WORD = "majority tag", "most frequent tag of each word"
"""Names of the two baselines that every table holds."""


class WordEncoder(Protocol):
    """What gives frozen vectors of words: a recipe, or anything with its ``encode``."""

    def encode(self, items: Items, /) -> Vectors | Codes:
        """One row a word of items given as tuples of words."""
        ...


Combination: TypeAlias = "Sequence[TokenPart | WordEncoder]"
Says: TypeAlias = Callable[[Tags], list[tuple[str, ...]]]


@dataclass(frozen=True)
class TaggingRow:
    """One cell of the grid.

    Attributes:
        task: name of the set.
        size: training sentences.
        combination: what the words were represented by.
        seed: of the sample of training sentences and of the tagger.
        metric: of ``score``: "accuracy", or "span-f1" for tags that mark spans.
        score: from 0 to 1.
        seen: accuracy on words that the training sentences hold; None where no word is one.
        unseen: accuracy on the other words.
        unseen_words: how many those are.
    """

    task: str
    size: int
    combination: str
    seed: int
    metric: str
    score: float
    seen: float | None
    unseen: float | None
    unseen_words: int


@dataclass(frozen=True)
class TaggingTable:
    """What `tagging_benchmark` measured."""

    rows: tuple[TaggingRow, ...]

    def table(self) -> list[dict[str, Any]]:
        """One row a cell; ``pandas.DataFrame(result.table())`` is the same as a frame."""
        return [asdict(row) for row in self.rows]

    def to_json(self) -> str:
        """The table as JSON."""
        return json.dumps(self.table(), indent=1, allow_nan=False)

    def plot(self) -> dict[str, object]:
        """The scores over the training sizes as a Vega-Lite chart, one panel a set."""
        channels = {"x": ("size", "quantitative"), "y": ("score", "quantitative"), "column": ("task", "nominal")}
        encoding = {channel: {"field": name, "type": kind} for channel, (name, kind) in channels.items()}
        encoding["color"] = {"field": "combination", "type": "nominal"}
        return {
            "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
            "data": {"values": self.table()},
            "mark": {"type": "line", "point": True},
            "encoding": {**encoding, "y": {**encoding["y"], "aggregate": "mean"}},
        }

    def mean(self, combination: str, task: str | None = None, size: int | None = None, column: str = "score") -> float:
        """Mean of a column over all seeds, and over all sets and sizes that are not named.

        Raises:
            DataError: if nothing of that kind was measured.
        """
        found = [
            getattr(row, column)
            for row in self.rows
            if row.combination == combination and task in (None, row.task) and size in (None, row.size)
        ]
        values = [value for value in found if value is not None]
        if not values:
            raise DataError(f"no {column} of {combination!r} on {task or 'any set'} at {size or 'any'} sentences")
        return float(np.mean(values))


def tagging_benchmark(
    tasks: Sequence[Task],
    combinations: Mapping[str, Combination],
    sizes: Sequence[int] = (100, 500, 2000),
    seeds: Sequence[int] = (0, 1, 2),
    tagger: SequenceTagger | None = None,
    held_out: int | None = None,
    shuffled: bool = False,
) -> TaggingTable:
    """Train one tagger on every combination of word representations, for every set, size and seed.

    Every table also holds two baselines that read no vector: the majority tag, and each word's most frequent tag.

    Args:
        tasks: tagging sets with the parts "train", "dev" (for early stopping) and "test".
        combinations: name to what stands side by side: trainable parts, and recipes that give frozen vectors of words.
        sizes: training sentences; a set that has fewer is used whole.
        seeds: each draws its own training sentences and initial weights.
        tagger: to be trained, its ``parts`` and ``random_state`` aside; None takes an LSTM tagger at its defaults.
        held_out: sentences of the dev and of the test part that are used, the same for all cells; None for all.
        shuffled: deal the tags of the training words to other words: nothing can then be learned but how many of each
            there are.

    Raises:
        DataError: if a task has no tags, or lacks a part.

    Source: Sequence Tagging with Contextual and Non-Contextual Subword Representations: A Multilingual Evaluation,
    arXiv 1906.01569.

    Example:
        >>> from plait.evaluation import CharacterLSTM, ShapeEmbedding
        >>> words, tags = ("Ada", "is", "12"), ("NAME", "VERB", "NUMBER")
        >>> part = Tags(np.zeros(40, np.int64), (tags,) * 40)
        >>> task = Task("tagging", "tiny", (words,), parts={"train": part, "dev": part, "test": part})
        >>> combinations = {"shape": [ShapeEmbedding(8)], "both": [ShapeEmbedding(8), CharacterLSTM(4, 4, 1)]}
        >>> table = tagging_benchmark([task], combinations, sizes=[40], seeds=[0], tagger=SequenceTagger(lr=0.05))
        >>> table.mean("shape"), table.mean("both"), round(table.mean("majority tag"), 2)
        (1.0, 1.0, 0.33)
    """
    rows = [
        row
        for task in tasks
        for row in _Bed.of(task, held_out).rows(combinations, sizes, seeds, tagger or SequenceTagger("lstm"), shuffled)
    ]
    return TaggingTable(tuple(rows))


@dataclass(frozen=True, eq=False)
class _Bed:
    """One set; the frozen vectors of each encoder are made once."""

    task: Task
    metric: str
    train: Tags
    dev: Tags
    test: Tags
    frozen: dict[int, tuple[Floats, np.ndarray]]

    @classmethod
    def of(cls, task: Task, held_out: int | None) -> _Bed:
        parts = []
        for name in ("train", "dev", "test"):
            part = task.parts.get(name)
            if not isinstance(part, Tags):
                raise DataError(f"{task.name} has no part {name!r} of tagged sentences; it has {', '.join(task.parts)}")
            parts.append(part if name == "train" else _drawn(part, held_out, 0))
        train, dev, test = parts
        return cls(task, evaluator(task).metric, train, dev, test, {})

    def rows(
        self,
        combinations: Mapping[str, Combination],
        sizes: Sequence[int],
        seeds: Sequence[int],
        tagger: SequenceTagger,
        shuffled: bool,
    ) -> list[TaggingRow]:
        found = []
        for size in sorted({min(size, len(self.train)) for size in sizes}):
            for seed in seeds:
                drawn = _drawn(self.train, size, seed)
                train = _dealt(drawn, seed) if shuffled else drawn
                says: dict[str, Says] = {MAJORITY: self._majority(train), PER_WORD: self._per_word(train)}
                for name, combination in combinations.items():
                    says[name] = self._fitted(train, combination, clone(tagger).set_params(random_state=seed))
                found += [self._row(name, say, train, seed) for name, say in says.items()]
        return found

    def _fitted(self, train: Tags, combination: Combination, tagger: SequenceTagger) -> Says:
        tagger.set_params(parts=[part for part in combination if isinstance(part, TokenPart)])
        encoders = [part for part in combination if not isinstance(part, TokenPart)]
        tagger.fit(self._inputs(train, encoders), train.tags, dev=(self._inputs(self.dev, encoders), self.dev.tags))
        return lambda part: tagger.predict(self._inputs(part, encoders))

    def _inputs(self, part: Tags, encoders: Sequence[WordEncoder]) -> WordInputs:
        blocks = [self._block(encoder, part) for encoder in encoders]
        return WordInputs(self._words(part), np.hstack(blocks) if blocks else None)

    def _block(self, encoder: WordEncoder, part: Tags) -> Floats:
        """Standardised by one factor, so that no block drowns another; made for the whole set at first use."""
        if id(encoder) not in self.frozen:
            documents = tuple(self.task.documents)
            used = np.unique(np.concatenate([part.rows for part in (self.train, self.dev, self.test)]))
            made = encoder.encode([documents[row] for row in used])
            bounds = np.zeros(len(documents) + 1, np.int64)
            bounds[used + 1] = [len(documents[row]) for row in used]
            if not isinstance(made, Vectors) or len(made.values) != bounds.sum():
                raise DataError(f"{encoder} gave {len(made)} vectors for {bounds.sum()} words; expected one a word")
            self.frozen[id(encoder)] = made.values / (float(made.values.std()) or 1.0), np.cumsum(bounds)
        values, units = self.frozen[id(encoder)]
        return values[ranges(units[part.rows], units[part.rows + 1])]

    def _words(self, part: Tags) -> list[tuple[str, ...]]:
        return [tuple(self.task.documents[row]) for row in part.rows]

    def _majority(self, train: Tags) -> Says:
        tag = Counter(tag for tags in train.tags for tag in tags).most_common(1)[0][0]
        return lambda part: [(tag,) * len(tags) for tags in part.tags]

    def _per_word(self, train: Tags) -> Says:
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for words, tags in zip(self._words(train), train.tags, strict=True):
            for word, tag in zip(words, tags, strict=True):
                counts[word][tag] += 1
        usual = {word: counter.most_common(1)[0][0] for word, counter in counts.items()}
        other = Counter(tag for tags in train.tags for tag in tags).most_common(1)[0][0]
        return lambda part: [tuple(usual.get(word, other) for word in words) for words in self._words(part)]

    def _row(self, name: str, say: Says, train: Tags, seed: int) -> TaggingRow:
        said, gold = say(self.test), self.test.tags
        count = span_counts if self.metric == "span-f1" else token_counts
        right, total = (float(values.sum()) for values in count(said, gold))
        known = {word for words in self._words(train) for word in words}
        seen = np.array([word in known for words in self._words(self.test) for word in words])
        hits = np.array(
            [a == b for one, other in zip(said, gold, strict=True) for a, b in zip(one, other, strict=True)]
        )
        return TaggingRow(
            self.task.name,
            len(train),
            name,
            seed,
            self.metric,
            right / total if total else 0.0,
            float(hits[seen].mean()) if seen.any() else None,
            float(hits[~seen].mean()) if (~seen).any() else None,
            int((~seen).sum()),
        )


def _drawn(part: Tags, size: int | None, seed: int) -> Tags:
    """That many sentences, without replacement."""
    return part.take(np.sort(np.random.default_rng(seed).permutation(len(part))[:size]))


def _dealt(part: Tags, seed: int) -> Tags:
    """The same tags as often, on other words."""
    flat = np.random.default_rng(seed).permutation([tag for tags in part.tags for tag in tags]).tolist()
    bounds = np.cumsum([0, *map(len, part.tags)])
    return Tags(part.rows, tuple(tuple(flat[a:b]) for a, b in pairwise(bounds)))
