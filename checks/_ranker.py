"""Ranking answer sentences: BM25, and a small ranker on frozen vectors of question and sentence."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from plait.types import Floats

K1, B = 1.2, 0.75
HIDDEN, MARGIN, EPOCHS = 128, 0.2, 8


class Question(NamedTuple):
    """A question, its candidate sentences, and which of them answer it."""

    text: str
    sentences: list[str]
    right: NDArray[np.bool_]


def questions(rows: Sequence[dict[str, str]]) -> list[Question]:
    """Questions that have both right and wrong candidates: the others cannot tell rankings apart."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        found.setdefault(row["question"], []).append(row)
    made = [
        Question(text, [row["sentence"] for row in group], np.array([row["label"] == "1" for row in group]))
        for text, group in found.items()
    ]
    return [question for question in made if question.right.any() and not question.right.all()]


def reciprocal_rank(scores: Sequence[NDArray[np.floating]], asked: Sequence[Question]) -> float:
    """Mean reciprocal rank × 100 of the first right sentence; of equal scores the right one comes last."""
    ranks = []
    for score, question in zip(scores, asked, strict=True):
        best = score[question.right].max()
        ranks.append(1 + int((score[~question.right] >= best).sum()))
    return 100 * float(np.mean(1 / np.array(ranks)))


def bm25(asked: Sequence[Question], corpus: Sequence[str]) -> list[NDArray[np.float64]]:
    """BM25 scores of every candidate; document frequencies come from ``corpus``."""
    documents = [_words(text) for text in corpus]
    frequency = Counter(word for document in documents for word in set(document))
    mean = sum(map(len, documents)) / len(documents)

    def score(question: list[str], sentence: list[str]) -> float:
        counts = Counter(sentence)
        total = 0.0
        for word in set(question) & set(sentence):
            weight = math.log(1 + (len(documents) - frequency[word] + 0.5) / (frequency[word] + 0.5))
            total += weight * counts[word] * (K1 + 1) / (counts[word] + K1 * (1 - B + B * len(sentence) / mean))
        return total

    return [np.array([score(_words(q.text), _words(sentence)) for sentence in q.sentences]) for q in asked]


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


class Ranker:
    """One hidden layer over ``[q, p, q·p, |q − p|]``, trained with a pairwise hinge on the score.

    Args:
        seed: of the weights and of the order.
        shuffled: give each question's right and wrong labels to sentences at random.
    """

    def __init__(self, seed: int, shuffled: bool = False) -> None:
        self.seed, self.shuffled = seed, shuffled

    def fit(self, vectors: Sequence[tuple[Floats, Floats]], asked: Sequence[Question]) -> Ranker:
        """Learn from each question's vector and ``[n, D]`` candidate vectors."""
        torch.manual_seed(self.seed)
        random = np.random.default_rng(self.seed)
        right = [random.permutation(q.right) if self.shuffled else q.right for q in asked]
        features = [_features(*pair) for pair in vectors]
        self.net = torch.nn.Sequential(
            torch.nn.Linear(features[0].shape[1], HIDDEN),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.3),
            torch.nn.Linear(HIDDEN, 1),
        )
        optimiser = torch.optim.AdamW(self.net.parameters(), lr=1e-3, weight_decay=0.01)
        self.net.train()
        for _ in range(EPOCHS):
            for number in random.permutation(len(features)):
                score = self.net(features[number])[:, 0]
                mask = torch.from_numpy(right[number])
                loss = (MARGIN - score[mask][:, None] + score[~mask][None]).clamp(min=0).mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        return self

    def scores(self, vectors: Sequence[tuple[Floats, Floats]]) -> list[NDArray[np.float64]]:
        """Scores of every candidate of every question."""
        self.net.eval()
        with torch.inference_mode():
            return [self.net(_features(*pair))[:, 0].double().numpy() for pair in vectors]


def _features(question: Floats, candidates: Floats) -> torch.Tensor:
    q = np.broadcast_to(question, candidates.shape)
    return torch.from_numpy(np.hstack([q, candidates, q * candidates, np.abs(q - candidates)]).astype(np.float32))
