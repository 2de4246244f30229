"""The CRF against the enumeration of all paths."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch

from plait.evaluation import Crf


def model(classes: int, seed: int) -> Crf:
    torch.manual_seed(seed)
    crf = Crf(classes)
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter)
    return crf


def path_scores(crf: Crf, emissions: torch.Tensor) -> dict[tuple[int, ...], float]:
    """Score of every path of one sentence, term by term."""
    scores = {}
    for path in product(range(emissions.shape[1]), repeat=len(emissions)):
        score = crf.start[path[0]] + crf.end[path[-1]]
        score = score + sum(emissions[step, tag] for step, tag in enumerate(path))
        score = score + sum(crf.transitions[a, b] for a, b in pairwise(path))
        scores[path] = float(score)
    return scores


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_loss_and_best_path_are_those_of_all_paths(classes: int) -> None:
    crf, lengths = model(classes, classes), [4, 1, 3]
    emissions = torch.randn(3, 4, classes)
    tags = torch.randint(0, classes, (3, 4))
    mask = torch.arange(4) < torch.tensor(lengths)[:, None]
    with torch.no_grad():
        losses, paths = crf(emissions, tags, mask), crf.viterbi(emissions, mask)
        for row, length in enumerate(lengths):
            scores = path_scores(crf, emissions[row, :length])
            total = torch.logsumexp(torch.tensor(list(scores.values())), 0)
            gold = tuple(tags[row, :length].tolist())
            assert float(losses[row]) == pytest.approx(float(total) - scores[gold], abs=1e-4)
            assert tuple(paths[row]) == max(scores, key=lambda path: scores[path])


def test_padding_changes_nothing() -> None:
    crf = model(3, 0)
    emissions, tags = torch.randn(1, 3, 3), torch.tensor([[0, 2, 1]])
    padded, noise = torch.cat([emissions, 50 * torch.randn(1, 4, 3)], 1), torch.full((1, 4), -1)
    mask = torch.arange(7)[None] < 3
    alone = crf(emissions, tags, mask[:, :3])
    assert crf(padded, torch.cat([tags, noise], 1), mask).tolist() == pytest.approx(alone.tolist(), abs=1e-5)
    assert crf.viterbi(padded, mask) == crf.viterbi(emissions, mask[:, :3])


def test_gradients_reach_every_parameter_and_only_words() -> None:
    crf = model(3, 0)
    emissions = torch.randn(2, 4, 3, requires_grad=True)
    mask = torch.arange(4) < torch.tensor([[4], [2]])
    crf(emissions, torch.zeros(2, 4, dtype=torch.long), mask).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in crf.parameters())
    assert emissions.grad is not None
    assert (emissions.grad.abs().sum(2) > 0).equal(mask)
