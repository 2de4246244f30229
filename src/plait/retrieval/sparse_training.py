"""How the head of learned sparse vectors is trained, over states that are read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor, nn

from plait.items import check_items
from plait.plan import Progress
from plait.retrieval.late_interaction import TokenBatch, TokenEncoder
from plait.training.examples import Triples
from plait.training.loop import History, Schedule, train
from plait.training.objectives import Contrast
from plait.types import DataError, Floats, Ints, ranges

if TYPE_CHECKING:
    from plait.retrieval.sparse import LexicalWeights

FEWEST = 4
"""Pairs: two to contrast, and two held out."""


@dataclass(frozen=True, eq=False)
class LexicalPairs:
    """Queries and answers as the states of their tokens, for heads to learn from.

    Attributes:
        states: ``[T, D]`` float16, of the texts' own tokens.
        ids: ``[T]``.
        offsets: ``[N + 1]``; text ``n`` owns ``ids[offsets[n]:offsets[n + 1]]``.
        examples: which text answers which.
    """

    states: np.ndarray
    ids: np.ndarray
    offsets: Ints
    examples: Triples

    @classmethod
    def read(
        cls,
        encoder: TokenEncoder,
        queries: Sequence[str],
        answers: Sequence[str],
        negatives: Sequence[Sequence[str]] = (),
        progress: Progress | None = None,
    ) -> LexicalPairs:
        """Read each text once.

        Args:
            encoder: reads them.
            queries: P texts.
            answers: P texts.
            negatives: P lists, equally long; or none.
            progress: called with a label, tokens read, tokens in all.

        Raises:
            DataError: if there are fewer than four pairs, the three do not fit together, or all texts are empty.
        """
        for texts in (queries, answers):
            check_items(texts)
        if len(queries) != len(answers) or len(queries) < FEWEST:
            raise DataError(
                f"{len(queries)} queries and {len(answers)} answers; expected one answer a query, and {FEWEST} pairs"
            )
        hard = {len(line) for line in negatives} or {0}
        if len(hard) > 1 or len(negatives) not in (0, len(queries)):
            raise DataError(f"{len(negatives)} lists of {sorted(hard)} negatives; expected one of each length a query")
        asked = {text: number for number, text in enumerate(dict.fromkeys(queries))}
        others = [text for line in negatives for text in line]
        told = {text: len(asked) + number for number, text in enumerate(dict.fromkeys([*answers, *others]))}
        anchors, positives = (np.array([m[t] for t in ts], np.int64) for m, ts in ((asked, queries), (told, answers)))
        away = np.array([told[text] for text in others], np.int64).reshape(len(queries), hard.pop())
        total = len(asked) + len(told)
        examples = Triples(anchors, positives, away, _together(anchors, positives, total))
        parts = [
            _own(batch, shift)
            for texts, role, shift in ((list(asked), "query", 0), (list(told), "document", len(asked)))
            for batch in encoder.batches(texts, role, progress)
        ]
        if not any(len(ids) for _, ids, _ in parts):
            raise DataError("the queries and answers are all empty; there is no word to weigh")
        return cls(*_by_text(parts, total), examples)


def _together(anchors: Ints, positives: Ints, size: int) -> Ints:
    """``[P]`` a number a pair, the same for pairs that are linked by a query or an answer."""
    links = coo_array((np.ones(len(anchors)), (anchors, positives)), shape=(size, size))
    groups: Ints = connected_components(links, directed=False)[1].astype(np.int64)[anchors]
    return groups


def _own(batch: TokenBatch, shift: int) -> tuple[Ints, np.ndarray, np.ndarray]:
    """Text, id and state of each of the texts' own tokens."""
    own = batch.own
    return batch.rows[batch.texts[own]] + shift, batch.tokens.ids[own], batch.states[own].astype(np.float16)


def _by_text(parts: Sequence[tuple[Ints, np.ndarray, np.ndarray]], size: int) -> tuple[np.ndarray, np.ndarray, Ints]:
    texts, ids, states = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(texts, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(texts, minlength=size))])
    return states[order], ids[order], offsets


def train_head(
    lexical: LexicalWeights, pairs: LexicalPairs, progress: Progress | None = None
) -> tuple[Floats, float, History]:
    """Weight and bias of a head, and what its training saw; the pairs give the gradient, a tenth of them the end."""
    seed = lexical.random_state
    states, ids = torch.from_numpy(pairs.states), torch.from_numpy(pairs.ids.astype(np.int64))
    special = torch.tensor(sorted(lexical.encoder.encoder.special_ids))
    counted = ~torch.isin(ids, special)
    head = _drawn(states, seed)

    def encode(rows: Ints) -> Tensor:
        place = torch.from_numpy(ranges(pairs.offsets[rows], pairs.offsets[rows + 1]))
        owner = torch.from_numpy(np.repeat(np.arange(len(rows)), np.diff(pairs.offsets)[rows]))
        place, owner = place[counted[place]], owner[counted[place]]
        _, column = torch.unique(ids[place], return_inverse=True)
        weights = torch.relu(head(states[place].float())[:, 0])
        return largest_of(weights, owner, column, len(rows))

    task = Contrast(pairs.examples, lexical.temperature, seed, cosine=False)
    history = train(
        head,
        lambda epoch: task.batches(lexical.batch_size, seed * 7919 + epoch),  # no seed repeats another's epochs
        lambda batch: task.loss(batch, encode),
        dev=lambda: task.score(encode),
        schedule=Schedule(epochs=lexical.epochs, lr=lexical.lr, seed=seed),
        progress=progress,
    )
    return head.weight.detach().numpy()[0].copy(), head.bias.item(), history


def _drawn(states: Tensor, seed: int) -> nn.Linear:
    """A random head whose bias lets most tokens through: states lean to one side, and relu would bury all of them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = nn.Linear(states.shape[1], 1)
    with torch.no_grad():
        sample = states[:: max(1, len(states) // 10_000)].float() @ head.weight[0]
        head.bias.copy_(sample.std(correction=0) - sample.mean())
    return head


def largest_of(weights: Tensor, rows: Tensor, columns: Tensor, size: int) -> Tensor:
    """``(size, width)`` largest weight of each row and column; 0 where there is none.

    Args:
        weights: ``(tokens,)``, 0 or more.
        rows: ``(tokens,)``.
        columns: ``(tokens,)``.
        size: how many rows.
    """
    width = int(columns.max()) + 1 if len(columns) else 1
    flat = torch.zeros(size * width).scatter_reduce(0, rows * width + columns, weights, "amax")
    return flat.view(size, width)
