"""InfoNCE against the formula written out, and against the peer's."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from plait.training import InfoNCE


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.fixture
def batch() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(5, 8)), rng.normal(size=(5, 8)), rng.normal(size=(5, 2, 8))


def tensors(*arrays: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(array) for array in arrays]


def test_in_batch_and_hard_negatives(batch):
    q, p, n = map(unit, batch)
    logits = np.hstack([q @ p.T, np.einsum("bd,bhd->bh", q, n)]) / 0.07
    expected = (logsumexp(logits, axis=1) - np.diag(logits)).mean()
    assert float(InfoNCE(0.07)(*tensors(*batch))) == pytest.approx(expected, rel=1e-6)


def test_hard_negatives_alone(batch):
    q, p, n = map(unit, batch)
    own = np.einsum("bd,bd->b", q, p)
    logits = np.hstack([own[:, None], np.einsum("bd,bhd->bh", q, n)]) / 0.05
    expected = (logsumexp(logits, axis=1) - logits[:, 0]).mean()
    assert float(InfoNCE(in_batch=False)(*tensors(*batch))) == pytest.approx(expected, rel=1e-6)


def test_symmetric_equals_clip_loss(batch):
    q, p, _ = map(unit, batch)
    logits = q @ p.T / 0.05
    rows = (logsumexp(logits, axis=1) - np.diag(logits)).mean()
    columns = (logsumexp(logits, axis=0) - np.diag(logits)).mean()
    assert float(InfoNCE(symmetric=True)(*tensors(*batch[:2]))) == pytest.approx((rows + columns) / 2, rel=1e-6)


def test_right_answers_are_not_pushed_away(batch):
    q, p, _ = batch
    p = p.copy()
    p[1] = p[0]
    same = torch.zeros(5, 5, dtype=torch.bool)
    same[0, 1] = same[1, 0] = True
    logits = unit(q) @ unit(p).T / 0.05
    logits[0, 1] = logits[1, 0] = -np.inf
    expected = (logsumexp(logits, axis=1) - np.diag(logits)).mean()
    assert float(InfoNCE()(*tensors(q, p), same=same)) == pytest.approx(expected, rel=1e-6)


def test_temperature_learns_only_when_asked():
    assert not any(p.requires_grad for p in InfoNCE().parameters())
    assert all(p.requires_grad for p in InfoNCE(learned=True).parameters())


def test_nothing_to_tell_apart():
    with pytest.raises(ValueError, match="hard negatives"):
        InfoNCE(in_batch=False)(torch.eye(2), torch.eye(2))


def test_shared_negatives_are_extra_columns() -> None:
    queries, positives, pool = (torch.randn(n, 8, generator=torch.Generator().manual_seed(n)) for n in (5, 5, 11))
    positives = positives + queries
    right = torch.zeros(5, 11, dtype=torch.bool)
    right[2, 3:9] = True
    unit = [torch.nn.functional.normalize(part, dim=-1) for part in (queries, positives, pool)]
    logits = torch.cat([unit[0] @ unit[1].T, (unit[0] @ unit[2].T).masked_fill(right, -torch.inf)], dim=1) / 0.1
    expected = torch.nn.functional.cross_entropy(logits, torch.arange(5))
    torch.testing.assert_close(InfoNCE(0.1)(queries, positives, shared=(pool, right)), expected)
    for row in range(5):  # of the shared ones only the three hardest
        easy = logits[row, 5:].argsort(descending=True)[3:]
        logits[row, 5 + easy] = -torch.inf
    expected = torch.nn.functional.cross_entropy(logits, torch.arange(5))
    torch.testing.assert_close(InfoNCE(0.1, hardest=3)(queries, positives, shared=(pool, right)), expected)
    assert InfoNCE(0.1, in_batch=False)(queries, positives, shared=(pool, right)) < expected


def test_by_the_dot_product(batch):
    q, p, _ = batch
    logits = torch.from_numpy(q @ p.T / 0.5)
    expected = torch.nn.functional.cross_entropy(logits, torch.arange(len(q)))
    assert float(InfoNCE(0.5, cosine=False)(*tensors(q, p))) == pytest.approx(float(expected), rel=1e-5)
