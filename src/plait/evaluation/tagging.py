"""Tagging: a label for every word, from one vector a word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sklearn.base import clone

from plait.data.tasks import Part, Tags, select
from plait.evaluation.bio_tags import spans
from plait.evaluation.embedded import Embedded
from plait.evaluation.evaluators import Head, Scorer, documents
from plait.evaluation.ridge import BlockLinear, held_out, indicators
from plait.evaluation.scores import Score
from plait.step import unit_rows
from plait.types import Codes, DataError, Ints

WORDS = 30_000
"""Words that the ridge head learns from at most."""

Tagged = Sequence[Sequence[str]]


@dataclass(frozen=True, eq=False)
class Tagging:
    """A head learned on ``fit``, scored on ``on``. One unit is one sentence.

    Args:
        head: "ridge" tags every word by itself, from up to 30,000 words, and is what a search over concatenations uses
            whatever the head; "linear", "lstm", "crf" and "lstm-crf" are `SequenceTagger` at its defaults; or a
            `SequenceTagger`. Trained heads see L2-normalised rows.
        metric: "accuracy" of tokens, or micro-averaged "span-f1".
    """

    head: Head = "ridge"
    metric: str = "accuracy"

    def evaluate(self, embedded: Embedded, fit: Part | None, on: Part, codes: Codes | None = None) -> Score:
        """Learn from ``fit``, score ``on``."""
        vectors = documents(embedded, codes)
        if self.head == "ridge":
            return self.additive([vectors], fit, on)(np.ones(1))
        from plait.evaluation.tagger import SequenceTagger, named

        model: SequenceTagger = named(self.head) if isinstance(self.head, str) else clone(self.head)
        known, asked = _tags(fit, vectors), _tags(on, vectors)
        model.fit((unit_rows(vectors.of(known.rows)), _units(known)), known.tags)
        return self._score(model.predict((unit_rows(vectors.of(asked.rows)), _units(asked))), asked)

    def additive(self, blocks: Sequence[Embedded], fit: Part | None, on: Part) -> Scorer:
        """Ridge heads from one Gram matrix, with one penalty for all weights."""
        known, asked = _sample(_tags(fit, blocks[0])), _tags(on, blocks[0])
        classes, targets = indicators([tag for sentence in known.tags for tag in sentence])
        held = np.repeat(held_out(len(known)), np.diff(_units(known)))
        ridge = BlockLinear([block.of(known.rows) for block in blocks], targets, held)
        features, units = [unit_rows(block.of(asked.rows)) for block in blocks], _units(asked).tolist()
        penalty = ridge.penalty(np.ones(len(blocks)))

        def score(weights: np.ndarray) -> Score:
            said = [classes[number] for number in ridge.solve(weights, penalty).scores(features).argmax(axis=1)]
            return self._score([said[a:b] for a, b in pairwise(units)], asked)

        return score

    def _score(self, said: Tagged, asked: Tags) -> Score:
        counts = span_counts if self.metric == "span-f1" else token_counts
        return Score.of(self.metric, "ratio", *counts(said, asked.tags))


def token_counts(said: Tagged, gold: Tagged) -> tuple[np.ndarray, np.ndarray]:
    """Right words and words of each sentence: their sums' ratio is accuracy."""
    right = [sum(a == b for a, b in zip(*both, strict=True)) for both in zip(said, gold, strict=True)]
    return np.array(right, np.float64), np.array([len(tags) for tags in gold], np.float64)


def span_counts(said: Tagged, gold: Tagged) -> tuple[np.ndarray, np.ndarray]:
    """2 · right and said + true spans of each sentence: their sums' ratio is micro-averaged F1."""
    both = [(set(spans(a)), set(spans(b))) for a, b in zip(said, gold, strict=True)]
    right = np.array([2 * len(a & b) for a, b in both], np.float64)
    return right, np.array([len(a) + len(b) for a, b in both], np.float64)


def _units(part: Tags) -> Ints:
    return np.concatenate([[0], np.cumsum([len(tags) for tags in part.tags])]).astype(np.int64)


def _sample(part: Tags) -> Tags:
    """Whole sentences, drawn with a fixed seed, of about WORDS words in all."""
    words = _units(part)[-1]
    if words <= WORDS:
        return part
    keep = max(1, int(len(part) * WORDS / words))
    return select(part, np.sort(np.random.default_rng(0).permutation(len(part))[:keep]))


def _tags(part: Part | None, embedded: Embedded) -> Tags:
    if part is None:
        raise DataError("a tagging head needs tagged sentences to learn from; give the part to fit on")
    if not isinstance(part, Tags) or not len(part):
        raise DataError(f"tagging is scored on tagged sentences; got {type(part).__name__} of {len(part)}")
    if embedded.units is None:
        raise DataError("tagging needs one vector a word (Embedded.units); these are one a text")
    words = (embedded.units[part.rows + 1] - embedded.units[part.rows]).tolist()
    for number, (size, tags) in enumerate(zip(words, part.tags, strict=True)):
        if size != len(tags):
            raise DataError(f"sentence {number} has {size} word vectors and {len(tags)} tags")
    return part
