"""The grid of combinations, sets and sizes: baselines and unseen words by hand, nothing learned from dealt tags."""

from __future__ import annotations

import json

import numpy as np
import pytest

import plait
from plait.data.tasks import Tags, Task
from plait.evaluation import CharacterLSTM, SequenceTagger, ShapeEmbedding, TaggingTable, tagging_benchmark
from plait.evaluation.tagging_grid import MAJORITY, PER_WORD, TaggingRow
from plait.types import DataError, Items, Vectors

TAGGER = SequenceTagger(epochs=10, lr=0.05, dropout=0.0)


def task(name: str = "set", spans: bool = False) -> Task:
    """Capitalised words are names; ten words of each kind, of which the test part has five that train lacks."""
    rng = np.random.default_rng(0)
    kinds = {"B-PER" if spans else "NAME": "Ann Bob Cid Dan Eve Fay Gus Hal Ian Joy", "O": "a b c d e f g h i j"}
    pool = {tag: words.split() for tag, words in kinds.items()}

    def sentence(top: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        tags = rng.choice(list(pool), 5, p=[0.3, 0.7])
        return tuple(pool[tag][rng.integers(0, top)] for tag in tags), tuple(map(str, tags))

    drawn = {"train": [sentence(5) for _ in range(60)], "dev": [sentence(5) for _ in range(20)]}
    drawn["test"] = [sentence(10) for _ in range(40)]
    documents: dict[tuple[str, ...], int] = {}
    parts = {
        part: Tags(np.array([documents.setdefault(w, len(documents)) for w, _ in found]), tuple(t for _, t in found))
        for part, found in drawn.items()
    }
    return Task("tagging", name, tuple(documents), parts=parts)


class Lengths:
    """A frozen vector of a word: its length, and nothing else."""

    calls = 0

    def encode(self, items: Items) -> Vectors:
        self.calls += 1
        return Vectors(np.array([[len(word), 1] for words in items for word in words], np.float32))


def rows_of(found: TaggingTable, name: str) -> list[TaggingRow]:
    return [row for row in found.rows if row.combination == name]


def test_baselines_and_unseen_words_are_those_counted_by_hand() -> None:
    data = task()
    found = tagging_benchmark([data], {}, sizes=[60], seeds=[0])
    train, test = data.parts["train"], data.parts["test"]
    assert isinstance(train, Tags) and isinstance(test, Tags)
    known = {word for row in train.rows for word in data.documents[row]}
    words = [word for row in test.rows for word in data.documents[row]]
    gold = [tag for tags in test.tags for tag in tags]
    (majority,), (usual,) = rows_of(found, MAJORITY), rows_of(found, PER_WORD)
    assert majority.unseen_words == sum(word not in known for word in words) > 50
    assert majority.score == pytest.approx(np.mean([tag == "O" for tag in gold]))
    unseen = [tag == "O" for word, tag in zip(words, gold, strict=True) if word not in known]
    assert majority.unseen == usual.unseen == pytest.approx(np.mean(unseen))
    assert usual.seen == 1.0
    assert usual.score == pytest.approx((sum(word in known for word in words) + sum(unseen)) / len(words))


def test_shapes_tell_names_that_were_never_seen_and_lengths_too() -> None:
    encoder = Lengths()
    combinations = {"shape": [ShapeEmbedding(4)], "length": [encoder], "both": [encoder, CharacterLSTM(4, 4, 1)]}
    found = tagging_benchmark([task()], combinations, sizes=[20, 60], seeds=[0, 1], tagger=TAGGER)
    for name in ("shape", "length"):
        assert found.mean(name) == found.mean(name, column="unseen") == 1.0
    assert encoder.calls == 1
    assert len(found.rows) == 2 * 2 * 5
    assert {row.size for row in found.rows} == {20, 60}


def test_spans_are_scored_as_spans() -> None:
    found = tagging_benchmark([task(spans=True)], {"shape": [ShapeEmbedding(4)]}, [60], [0], TAGGER)
    assert {row.metric for row in found.rows} == {"span-f1"}
    assert found.mean(MAJORITY) == 0.0
    assert found.mean("shape") == 1.0


def test_nothing_is_learned_from_dealt_tags() -> None:
    combination = {"shape": [ShapeEmbedding(4)]}
    found = tagging_benchmark([task()], combination, [60], [0, 1], TAGGER, shuffled=True)
    assert found.mean("shape") <= found.mean(MAJORITY) + 0.05
    assert found.mean("shape") < tagging_benchmark([task()], combination, [60], [0, 1], TAGGER).mean("shape") - 0.2


def test_a_size_beyond_the_set_is_the_whole_set_and_held_out_parts_are_cut() -> None:
    found = tagging_benchmark([task()], {}, sizes=[60, 500], seeds=[0], held_out=10)
    assert {row.size for row in found.rows} == {60}
    assert len(found.rows) == 2
    assert rows_of(found, MAJORITY)[0].unseen_words <= 10 * 5


def test_a_recipe_gives_words_their_vectors() -> None:
    recipe = plait.StaticTable("wordllama") | plait.MeanPool()
    found = tagging_benchmark([task()], {"table": [recipe]}, [60], [0], TAGGER)
    assert found.mean("table", column="seen") == 1.0


def test_a_table_is_rows_json_and_a_chart() -> None:
    found = tagging_benchmark([task("a"), task("b")], {}, [60], [0, 1])
    assert json.loads(found.to_json()) == found.table()
    assert len(found.table()) == 2 * 2 * 2
    assert found.mean(MAJORITY, task="a") == found.mean(MAJORITY, task="b")
    values = found.plot()["data"]
    assert values == {"values": found.table()}
    with pytest.raises(DataError, match="no score of 'other'"):
        found.mean("other")


def test_what_does_not_fit_is_refused() -> None:
    data = task()
    with pytest.raises(DataError, match="no part 'dev'"):
        tagging_benchmark([Task("tagging", "x", data.documents, parts={"train": data.parts["train"]})], {})

    class Short(Lengths):
        def encode(self, items: Items) -> Vectors:
            return Vectors(super().encode(items).values[1:])

    with pytest.raises(DataError, match="expected one a word"):
        tagging_benchmark([data], {"short": [Short()]}, [10], [0], TAGGER)
