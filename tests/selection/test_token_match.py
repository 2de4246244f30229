"""A second look at the best documents, against every pair compared in the open."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import plait
from plait.data import Judgements
from plait.evaluation.evaluators import evaluator
from plait.evaluation.retrieval import Retrieval
from plait.retrieval import Index, Settings
from plait.retrieval.late_interaction import TokenEncoder
from plait.selection.beside import Fold
from plait.selection.finding import find
from plait.selection.token_match import TokenMatch
from plait.store import Record
from tests.selection.small import space
from tests.selection.test_chunks import task as topics
from tests.selection.test_workbench import bench


def in_the_open(encoder: plait.StaticTable, query: str, document: str) -> float:
    asked, read = (TokenEncoder(encoder).vectors([text])[0] for text in (query, document))
    return float(np.mean([max(float(token @ other) for other in read) for token in asked]))


def test_scores_are_those_of_every_pair_and_documents_are_read_once(tiny_table: Path) -> None:
    task, encoder = topics(), plait.StaticTable(str(tiny_table))
    recipes = [encoder | plait.MeanPool(), encoder | plait.MaxPool()]
    scored, read = bench(task, recipes), list[tuple[int, int]]()
    how = evaluator(task)
    assert isinstance(how, Retrieval)
    look = TokenMatch(task, how, encoder, told=lambda done, total: read.append((done, total)))
    for recipe in recipes:
        first, second = look.rankings(scored, recipe)
        assert sorted(first.numbers[0].tolist()) == sorted(second.numbers[0].tolist()) == list(range(6))
        for place, row in enumerate(task.parts["dev"].queries.tolist()):  # type: ignore[union-attr]
            for number, score in zip(*second.line(place), strict=True):
                assert score == pytest.approx(in_the_open(encoder, task.queries[row], task.documents[number]), abs=1e-5)
    assert read == [(6, 6)]


def test_the_weight_is_chosen_on_dev_alone(tiny_table: Path) -> None:
    task, encoder = topics(), plait.StaticTable(str(tiny_table))
    recipe = encoder | plait.MeanPool()
    how = evaluator(task)
    assert isinstance(how, Retrieval)
    dev, test = (bench(task, [recipe], on) for on in ("dev", "test"))
    read = list[tuple[int, int]]()
    look = TokenMatch(task, how, encoder, told=lambda done, total: read.append((done, total)))
    folds = [Fold(dev, test, (recipe, recipe))]
    look.read(look.candidates(folds))
    effect = look.effect(folds, test.score(recipe), test.score(recipe), seed=0)
    chosen = look.tune(dev, recipe).weights
    assert effect.alone == look.score(test, recipe, chosen).value
    assert effect.family == "rescoring"
    assert read == [(6, 6)]  # for the queries of both parts at once


def test_an_index_looks_again_as_was_measured(tiny_table: Path, tmp_path: Path) -> None:
    pytest.importorskip("lancedb")
    task = topics()
    result = find(task, space=space(tiny_table, transforms=("",)), out=tmp_path / "run")
    (row,) = [effect for effect in result.effects if effect.family == "rescoring"]
    assert "token by token" in row.recipes[0]
    assert result.search is not None
    records = [Record(text, str(number)) for number, text in enumerate(task.documents)]
    again = replace(result.search, words=0.0, rescore=f'StaticTable("{tiny_table}")', share=0.5)
    model = plait.load(tmp_path / "run" / "model")
    index = Index.create(tmp_path / "index", model, records, again)
    part = task.parts["test"]
    assert isinstance(part, Judgements)
    queries = [task.queries[row] for row in part.queries.tolist()]
    plain = Index.create(tmp_path / "plain", model, records, Settings(words=0.0)).search_many(queries, k=6)
    encoder = plait.StaticTable(str(tiny_table))
    for query, before, after in zip(queries, plain, index.search_many(queries, k=6), strict=True):
        looks = np.array([[hit.score, in_the_open(encoder, query, hit.text)] for hit in before])
        span = np.ptp(looks, axis=0)
        both = (looks - looks.min(axis=0)) / np.where(span > 0, span, 1)
        assert [hit.score for hit in after] == pytest.approx(sorted(both.mean(axis=1), reverse=True), abs=1e-4)
