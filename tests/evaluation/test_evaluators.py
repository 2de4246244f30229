"""The choice of an evaluator."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import plait.evaluation
from plait.data.tasks import KINDS, Kind, Tags, Task
from plait.evaluation import SequenceTagger, evaluator
from plait.types import DataError

NER = Tags(np.array([0]), (("B-PER", "O"),))
POS = Tags(np.array([0]), (("NOUN", "VERB"),))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_an_evaluator(kind: Kind) -> None:
    expected = {
        "retrieval": "nDCG@10",
        "sts": "spearman",
        "pair-classification": "ap",
        "clustering": "v-measure",
    }
    found = evaluator(Task(kind, "t", ()))
    assert found.metric == expected.get(kind, "accuracy")
    assert callable(found.evaluate)
    assert callable(found.additive)


def test_tags_decide_the_metric_of_tagging() -> None:
    assert evaluator(Task("tagging", "t", (), parts={"train": NER})).metric == "span-f1"
    assert evaluator(Task("tagging", "t", (), parts={"train": POS})).metric == "accuracy"
    assert evaluator(Task("tagging", "t", (), parts={"train": NER}), metric="accuracy").metric == "accuracy"


def test_metrics_and_heads_can_be_chosen() -> None:
    assert evaluator(Task("retrieval", "t", ()), metric="Recall@100").metric == "Recall@100"
    assert evaluator(Task("classification", "t", ()), head="knn", metric="macro-f1").metric == "macro-f1"
    assert evaluator(Task("tagging", "t", ()), head=SequenceTagger(crf=True)).metric == "accuracy"


@pytest.mark.parametrize(
    ("kind", "head", "metric", "message"),
    [
        ("classification", "svm", None, "head is 'svm'; a classification task has logistic, ridge, knn"),
        ("classification", SequenceTagger(), None, "a classification task has logistic"),
        ("sts", "ridge", None, "a sts task has cosine, softmax"),
        ("retrieval", "ridge", None, "a retrieval task has none: it learns nothing"),
        ("retrieval", None, "accuracy", "metric is 'accuracy'; a retrieval task has nDCG@k, Recall@k, MAP, MRR@k"),
        ("sts", None, "nDCG@10", "a sts task has spearman"),
    ],
)
def test_what_a_task_has_not_is_refused(kind: Kind, head: str | None, metric: str | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        evaluator(Task(kind, "t", ()), head, metric)


def test_every_exported_name_is_there() -> None:
    assert all(getattr(plait.evaluation, name) for name in plait.evaluation.NAMES)


def test_scoring_similarity_does_not_load_torch() -> None:
    code = (
        "import sys; from plait.evaluation import evaluator, compare; from plait.data.tasks import Task;"
        "evaluator(Task('retrieval', 't', ())); evaluator(Task('tagging', 't', ()));"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
