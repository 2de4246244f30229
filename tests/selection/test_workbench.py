"""Scores without a forward pass, against encoding and scoring in the open."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import plait
from plait.data import Judgements, Labels, Pairs, Tags, Task, select
from plait.data.splits import Fold, split
from plait.data.tasks import join
from plait.evaluation.embedded import Embedded
from plait.evaluation.evaluators import evaluator
from plait.evaluation.judging import judge
from plait.selection import workbench
from plait.selection.workbench import Bench, Slice, Vault
from plait.step import Chain, Composite, Concat
from tests.selection.small import pairs

LABELLED = [
    ("the fox runs", "animal"),
    ("a dog sleeps", "animal"),
    ("cancel my card", "bank"),
    ("a bank transfer", "bank"),
]


@pytest.fixture
def strands(tiny_table: Path) -> list[Chain]:
    table = plait.StaticTable(str(tiny_table))
    return [table | plait.MeanPool(), table | plait.MaxPool(), table | plait.SifPool(a=0.1)]


def bench(task: Task, strands: list[Chain], on: str = "dev", share: float = 1.0, seed: int = 0) -> Bench:
    vault = Vault.fill(task, strands, None, None)
    return Bench(vault, split(task).folds[0], on, evaluator(task), share, seed)


def labelled(copies: int = 12) -> Task:
    texts = [(f"{text} {n}", label) for n in range(copies) for text, label in LABELLED]
    parts = {
        name: Labels(np.arange(start, len(texts), 3), tuple(label for _, label in texts[start::3]))
        for start, name in enumerate(("train", "dev", "test"))
    }
    return Task("classification", "topics", tuple(text for text, _ in texts), parts=parts)


def retrieval(copies: int = 1) -> Task:
    words = [word + " red" * n for n in range(copies) for word in ("fox", "dog", "cat", "rain", "card", "bank")]
    thirds = np.split(np.arange(len(words)), 3)
    judged = [Judgements(rows, tuple({row: 1} for row in rows.tolist())) for rows in thirds]
    parts = dict(zip(("train", "dev", "test"), judged, strict=True))
    documents = tuple(f"the {word} is here" for word in words)
    queries = tuple(f"where is a {word}" for word in words)
    return Task("retrieval", "six", documents, queries, parts, np.arange(len(words)), tuple(words))


def in_the_open(recipe: Composite, task: Task, fit: str, on: str) -> float:
    """The score of a recipe that is fitted on one part's texts and encodes everything itself."""
    part = task.parts[fit]
    if isinstance(part, Pairs):
        rows = np.unique(np.concatenate([part.left, part.right]))
    else:
        rows = np.unique(part.rows) if isinstance(part, Labels | Tags) else np.arange(len(task.documents))
    fitted = clone(recipe)
    given = {}
    for strand in fitted.strands():
        strand.pool.fit(strand.encoder.tokenize(task.documents))
    for strand in fitted.strands():
        alone = Chain([strand.encoder, strand.pool])
        given[strand.text] = alone.encode([task.documents[row] for row in rows]).values
    fitted.learn(given)
    documents = fitted.encode(task.documents).values
    queries = fitted.encode(task.queries, role="query").values if len(task.queries) else None
    return evaluator(task).evaluate(Embedded(documents, queries), task.parts[fit], task.parts[on]).value


@pytest.mark.parametrize("task", [pairs(), retrieval()], ids=["sts", "retrieval"])
def test_a_score_is_that_of_fitting_and_encoding_in_the_open(task: Task, strands: list[Chain]) -> None:
    mine = bench(task, strands)
    fit = "dev" if "train" not in task.parts else "train"
    recipes: list[Composite] = [*strands, strands[0] | plait.Center(), strands[1] | plait.Pca(4)]
    recipes += [Concat(strands[:2], [1.0, 0.5]), Concat([strands[0] | plait.Center(), strands[2]]) | plait.Pca(6)]
    for recipe in recipes:
        expected = in_the_open(recipe, task, fit, "dev")
        assert mine.quick(recipe) == pytest.approx(expected, abs=1e-3), str(recipe)
        assert mine.score(recipe).value == pytest.approx(expected, abs=1e-3), str(recipe)


def test_a_learned_heads_score_is_that_in_the_open(strands: list[Chain]) -> None:
    task = labelled()
    for recipe in (strands[0], strands[1] | plait.Center()):
        assert bench(task, strands).score(recipe).value == pytest.approx(in_the_open(recipe, task, "train", "dev"))


@pytest.mark.parametrize("task", [pairs(), retrieval(), labelled()], ids=["sts", "retrieval", "classification"])
@pytest.mark.parametrize("weights", [[1.0, 1.0, 0.0], [0.5, 0.0, 2.0], [0.0, 1.4, 0.0], [1.0, 0.7, 1.4]])
def test_adding_scores_is_scoring_the_concatenation(task: Task, strands: list[Chain], weights: list[float]) -> None:
    mine = bench(task, strands)
    added = mine.concatenations(strands)(np.array(weights)).value
    chosen = [n for n, weight in enumerate(weights) if weight]
    made = Concat([strands[n] for n in chosen], [weights[n] for n in chosen])
    assert added == pytest.approx(mine.quick(made), abs=2e-3)


@pytest.mark.parametrize("rescore", [0, 4])
def test_a_compressed_recipe_ranks_as_a_search_over_its_codes(strands: list[Chain], rescore: int) -> None:
    task, recipe = retrieval(), strands[0] | plait.Binary(rescore)
    mine = bench(task, strands)
    fitted = mine.fitted(recipe)
    codes, asked = fitted.encode(task.documents).values, strands[0].encode(task.queries, role="query").values
    differing = np.bitwise_count(np.packbits(asked > 0, axis=1)[:, None] ^ codes[None]).sum(axis=2)
    order = np.argsort(differing, axis=1, kind="stable")
    if rescore:  # six documents are all candidates: the float query decides among them
        signs = 2 * np.unpackbits(codes, axis=1).astype(np.float32)[:, : asked.shape[1]] - 1
        order = np.argsort(-(asked @ signs.T), axis=1, kind="stable")
    on = task.parts["dev"]
    ranks = [order[query].tolist().index(next(iter(on.relevant[row]))) for row, query in enumerate(on.queries)]
    assert mine.score(recipe).value == pytest.approx(np.mean([1 / np.log2(rank + 2) for rank in ranks]))


def test_compressed_recipes_are_scored_as_their_codes_decode(strands: list[Chain]) -> None:
    task = pairs()
    recipe = strands[0] | plait.Int8()
    fitted = bench(task, strands).fitted(recipe)
    codes = fitted.encode(task.documents)
    decoded = fitted.quantiser.inverse_transform(codes.values)  # type: ignore[union-attr]
    expected = evaluator(task).evaluate(Embedded(decoded), None, task.parts["dev"]).value
    assert bench(task, strands).score(recipe).value == pytest.approx(expected, abs=1e-6)
    assert bench(task, strands).width(recipe) == 16


def test_the_recipe_that_is_scored_stays_unfitted(strands: list[Chain]) -> None:
    recipe = strands[0] | plait.Center()
    bench(pairs(), strands).score(recipe)
    assert not recipe.steps[-1].state()


def test_a_test_bench_learns_from_train_and_dev(strands: list[Chain]) -> None:
    task = labelled()
    mine = bench(task, strands, on="test")
    assert len(mine.fit) == len(task.parts["train"]) + len(task.parts["dev"])
    assert mine.on.labels == task.parts["test"].labels  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "part",
    [
        Pairs(np.array([3, 1]), np.array([2, 2]), np.array([0.5, 1.0])),
        Labels(np.array([3, 1]), ("a", "b")),
        Tags(np.array([3, 1]), (("A",), ("B", "O"))),
        Judgements(np.array([3, 1]), ({2: 1}, {0: 2})),
    ],
    ids=lambda part: type(part).__name__,
)
def test_joining_keeps_every_example_in_order(part: Pairs | Labels | Tags | Judgements) -> None:
    both = join(part, select(part, np.array([1])))
    assert len(both) == 3
    back = select(both, np.array([0, 1]))
    for mine, theirs in zip(vars(back).values(), vars(part).values(), strict=True):
        assert list(mine) == list(theirs)
    assert join(part, part) is part


def test_a_bench_holds_only_the_rows_it_needs(strands: list[Chain]) -> None:
    task = pairs()
    mine = bench(task, strands)
    dev = task.parts["dev"]
    assert isinstance(dev, Pairs)
    assert isinstance(mine.on, Pairs)
    needed = np.unique(np.concatenate([dev.left, dev.right]))
    assert mine.unit_rows.tolist() == needed.tolist()
    np.testing.assert_array_equal(needed[mine.on.left], dev.left)
    np.testing.assert_array_equal(needed[mine.on.right], dev.right)


def test_words_keep_their_sentences(tiny_table: Path) -> None:
    documents = (("the", "fox"), ("rain",), ("a", "dog", "runs"), ("cats",))
    tags = {"train": Tags(np.array([2]), (("O", "A", "B"),)), "dev": Tags(np.array([1]), (("A",),))}
    task = Task("tagging", "four", documents, parts={**tags, "test": Tags(np.array([0]), (("O", "A"),))})
    strand = plait.StaticTable(str(tiny_table)) | plait.MeanPool()
    mine = bench(task, [strand])
    embedded = mine.embed(strand)
    assert mine.unit_rows.tolist() == [2, 3, 4, 5]
    assert mine.units is not None
    assert mine.units.tolist() == [0, 1, 4]
    np.testing.assert_allclose(embedded.documents, strand.encode([documents[1], documents[2]]).values, atol=1e-6)


def test_samples_are_seeded_and_never_small(strands: list[Chain]) -> None:
    task = labelled(400)
    whole = len(task.parts["dev"])
    sizes = {share: len(bench(task, strands, share=share).on) for share in (0.01, 0.5, 1.0)}
    assert sizes == {0.01: 200, 0.5: round(0.5 * whole), 1.0: whole}
    drawn = [bench(task, strands, share=0.5, seed=seed) for seed in (1, 1, 2)]
    kept = [mine.unit_rows.tolist() for mine in drawn]
    assert kept[0] == kept[1] != kept[2]


def test_a_slice_scores_as_a_bench_of_its_examples(strands: list[Chain]) -> None:
    task = replace(retrieval(), parts={"all": Judgements(np.arange(6), tuple({n: 1} for n in range(6)))})
    whole, some = task.parts["all"], np.array([4, 0, 5])
    vault = Vault.fill(task, strands, None, None)
    full = Bench(vault, Fold(whole, whole, whole), "dev", evaluator(task))
    part = select(whole, some)
    alone = Bench(vault, Fold(part, part, part), "dev", evaluator(task))
    for recipe in (strands[0], strands[1] | plait.Center()):
        assert Slice(full, some).quick(recipe) == pytest.approx(alone.quick(recipe))
    weights = np.array([1.0, 0.5])
    sliced = Slice(full, some).concatenations(strands[:2])(weights).value
    assert sliced == pytest.approx(alone.concatenations(strands[:2])(weights).value)


def test_one_pass_each_for_documents_and_queries(strands: list[Chain]) -> None:
    task = retrieval()
    (report,) = Vault.fill(task, strands, None, None).passes.values()
    assert report.encoded == report.items == 12


def test_token_frequencies_are_not_learned_from_test_texts(strands: list[Chain]) -> None:
    from plait.selection.finding import _taught

    task = labelled()
    rows = [*task.parts["train"].rows, *task.parts["dev"].rows]  # type: ignore[union-attr]
    assert _taught(split(task)) == [task.documents[row] for row in sorted(set(rows))]
    vault = Vault.fill(task, strands, None, None, _taught(split(task)))
    sif = strands[2].steps[1]
    table = strands[2].steps[0]
    expected = clone(sif).fit(table.tokenize(_taught(split(task))))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(sif.state()["probability_"], expected.state()["probability_"])
    assert len(vault.documents[str(strands[2])]) == len(task.documents)
    assert list(_taught(split(retrieval()))) == list(retrieval().documents)


def test_what_was_trained_is_not_trained_again(
    strands: list[Chain], trainings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbench, "KEPT_BYTES", 0)  # vectors are forgotten at once
    mine = bench(labelled(), strands)
    recipes = [strand | plait.LinearMap(4, epochs=1) for strand in strands[:2]]
    first = [mine.quick(recipe) for recipe in recipes]
    mine.concatenations(recipes)
    mine.fitted(recipes[0])
    assert [mine.quick(recipe) for recipe in recipes] == first
    assert len(trainings) == 2


POOL = "AttentionPool(latents=4, heads=2, head_dim=8, epochs=2)"


@pytest.mark.parametrize("task", [labelled(), retrieval(6)], ids=["classification", "retrieval"])
@pytest.mark.parametrize("tail", ["", " | Center()"])
def test_a_trained_pooling_scores_as_when_it_is_judged_alone(
    task: Task, tail: str, tiny_bert: Path, strands: list[Chain], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbench, "KEPT_BYTES", 0)
    recipe = plait.parse(f'Transformer("{tiny_bert}") | {POOL}{tail}')
    for on in ("dev", "test"):
        mine = bench(task, strands, on)
        score = mine.score(recipe).value
        assert score == pytest.approx(judge(recipe, task, part=on).score.value, abs=1e-6)
        mine._scores.clear()
        assert mine.score(recipe).value == score  # from the pooling that was trained
    model = mine.fitted(recipe)
    np.testing.assert_allclose(model.encode(task.documents).values, mine.embed(recipe).documents, atol=1e-5)
